"""The decoder protocol: logits and lengths in, hypotheses out."""

import os
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from lm.base.errors import DecodingError
from lm.base.plugins import Plugin, Registry, Stage, missing_packages

__all__ = ["Span", "Hypothesis", "Tunable", "Decoder", "DECODERS", "build_decoder",
           "decoder_stage", "list_decoders", "check_logits"]

#: Decoders by name; each entry is a `Decoder` subclass, called with (config, alphabet, base).
DECODERS = Registry("decoder", "ocr.decoders")

#: Share of a word model's words that the alphabet must be able to write.
LEAST_WORDS = 0.1


class Span(NamedTuple):
    """A piece of a reading and where it stands.

    Attributes
    ----------
    text : str
        A character or a word.
    start, end : int
        Frames, the end exclusive.
    confidence : float
        0..1. Of a character: its highest posterior within its frames. Of a word: the
        geometric mean of its characters'.
    """

    text: str
    start: int
    end: int
    confidence: float


@dataclass(frozen=True)
class Hypothesis:
    """One reading of a line.

    Attributes
    ----------
    text : str
        Without outer and repeated spaces, whichever the decoder, so that decoders compare.
    score : float
        Natural log; what the decoder ranks by. Greedy: probability of the best path. Beam:
        probability of the paths kept, plus the language model's part.
    confidence : float
        0..1: geometric mean of the characters' confidences; of an empty line, the geometric
        mean of the blank's posteriors. A decoder takes it from the network alone; a tuned
        pipeline turns it into the probability that all of the line is right.
    characters, words : tuple of Span
    logit_score, lm_score : float or None
        The two parts of a beam's score.
    """

    text: str
    score: float
    confidence: float
    characters: tuple = ()
    words: tuple = ()
    logit_score: Optional[float] = None
    lm_score: Optional[float] = None


def check_logits(logits, lengths, num_classes):
    """Return a list of (T_i, C) float32 arrays.

    Parameters
    ----------
    logits : numpy.ndarray or sequence of numpy.ndarray
        (N, T, C), or N arrays (T_i, C).
    lengths : sequence of int, optional
        True frame counts of an (N, T, C) array.
    num_classes : int

    Raises
    ------
    DecodingError
        A wrong shape, number of classes or length, or a value that is not finite; the message
        names the line's index.
    """
    lines = [np.asarray(line, np.float32) for line in logits]
    if lengths is not None:
        lengths = [int(n) for n in lengths]
        if len(lengths) != len(lines):
            raise DecodingError(f"{len(lengths)} lengths for {len(lines)} lines")
        for index, (line, length) in enumerate(zip(lines, lengths)):
            if not 0 <= length <= len(line):
                raise DecodingError(f"line {index}: length {length} of {len(line)} frames")
        lines = [line[:length] for line, length in zip(lines, lengths)]
    for index, line in enumerate(lines):
        if line.ndim != 2 or line.shape[1] != num_classes:
            raise DecodingError(f"line {index}: logits of shape {line.shape}, expected "
                                f"(frames, {num_classes}) for this alphabet")
        if not np.isfinite(line).all():
            raise DecodingError(f"line {index}: the logits hold NaN or infinity")
    return lines


class Tunable(Plugin):
    """A plugin with weights that `ocr.correction.tuning.tune` may choose.

    Attributes
    ----------
    tunable : dict
        Setting -> (values to try first, step of the finer search, lowest, highest).
    """

    tunable: dict[str, tuple] = {}

    def __init__(self, config):
        self.config = config

    @classmethod
    def tunable_of(cls, config) -> dict[str, tuple]:
        """Return what of `tunable` makes sense with these settings."""
        return cls.tunable

    def reconfigure(self, config):
        """Take other weights and widths without loading anything anew.

        Parameters
        ----------
        config : dataclass
            Of the same class, with the same files.
        """
        self.config = config


class Decoder(Tunable):
    """Base of decoders: checks the logits, leaves `_decode_one` to subclasses.

    Any number of threads may decode with one decoder at once.

    Parameters
    ----------
    config : dataclass
        An instance of `config_class`.
    alphabet : Alphabet
    base : str, optional
        Folder that relative paths in the config start from.
    """

    def __init__(self, config, alphabet, base=None):
        super().__init__(config)
        self.alphabet, self.base = alphabet, base

    def decode(self, logits, lengths=None, n_best=1) -> list[list[Hypothesis]]:
        """Decode a batch.

        Parameters
        ----------
        logits : numpy.ndarray or sequence of numpy.ndarray
            Raw logits or log probabilities: (N, T, C), or a list of (T_i, C).
        lengths : sequence of int, optional
            True frame counts of an (N, T, C) array.
        n_best : int
            Hypotheses for each line, at most. Greedy has one.

        Returns
        -------
        list of list of Hypothesis
            For each line, best first, at least one.
        """
        lines = check_logits(logits, lengths, self.alphabet.num_classes)
        return self._decode_lines(lines, n_best)

    def decode_line(self, logits, n_best=1) -> list[Hypothesis]:
        """Decode one line's (T, C) logits into a list of hypotheses."""
        return self.decode([logits], n_best=n_best)[0]

    def _decode_lines(self, lines, n_best):
        return [self._decode_one(line, n_best) for line in lines]

    def _decode_one(self, line, n_best):
        raise NotImplementedError


def decoder_stage(name: Union[str, Stage], settings: Any = None, **more) -> Stage:
    """Return a decoder's name with its settings; see `Registry.stage`.

    Examples
    --------
    >>> decoder_stage("beam", beam_width=8).settings.beam_width
    8
    """
    return DECODERS.stage(name, settings, **more)


def build_decoder(name: Union[str, Stage], alphabet, settings: Any = None,
                  base: Optional[str] = None) -> Decoder:
    """Build a decoder.

    Parameters
    ----------
    name : str or Stage
    alphabet : Alphabet
    settings : mapping or dataclass, optional
        Those that differ from the defaults; the decoder's own dataclass takes them.
    base : str, optional
        Folder that relative language-model paths start from.

    Raises
    ------
    UnknownNameError
        No such decoder; the message lists the known ones.
    ConfigError
        An unknown setting, a wrong type or value.
    DecodingError
        A package that it needs is missing, or a language model does not fit.
    """
    stage = decoder_stage(name, settings)
    cls = DECODERS.get(stage.name)
    if packages := missing_packages(cls.needs(stage.settings)):
        raise DecodingError(f"the decoder {stage.name} needs packages that are not installed: "
                            f"{packages}")
    return cls(stage.settings, alphabet, base)


def list_decoders() -> list[str]:
    """Return the names of the registered decoders."""
    return DECODERS.names()


def resolve(path, base):
    """Return `path`, taken from the folder `base` when relative."""
    return path if base is None or os.path.isabs(path) else os.path.join(base, path)
