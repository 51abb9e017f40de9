"""The decoder protocol: logits and lengths in, hypotheses out."""

import os
from dataclasses import dataclass, fields
from typing import NamedTuple, Optional

import numpy as np

from lm.base.errors import ConfigError, DecodingError
from lm.base.plugins import Registry
from lm.base.settings import from_mapping

__all__ = ["Span", "Hypothesis", "DecoderConfig", "Decoder", "DECODERS", "build_decoder",
           "list_decoders", "check_logits"]

#: Decoders by name; each entry is called with (config, alphabet, base folder).
DECODERS = Registry("decoder", "ocr.decoders")

#: What may search for the decoders beam and beam-lm.
ENGINES = ("auto", "pyctcdecode", "ctc-beam-decoder")

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


@dataclass(frozen=True)
class DecoderConfig:
    """Settings of a decoder; those it has no use for are ignored.

    Attributes
    ----------
    name : str
        A registered decoder.
    beam_width : int
        Prefixes kept after each frame.
    beam_prune_logp : float
        Prefixes this much worse than the best are dropped (natural log, <= 0).
    token_min_logp : float
        Characters less likely than this in a frame are not tried there.
    merge_blanks : float
        Runs of frames whose blank is more probable than this are searched as one; 1 for
        none. Which hypothesis wins hardly ever depends on it, the time does.
    alpha : float
        Weight of the language model: of words for beam-lm, of characters for beam-char.
    beta : float
        Bonus for each word (beam-lm) or character (beam-char).
    unk_score_offset : float
        Penalty for a word that the word model does not list (<= 0).
    lm_score_boundary : bool
        Whether a line begins and ends a sentence for the model.
    lm : str or None
        NAME, NAME.arpa or NAME.bin as ``lm train`` writes them, the word list beside.
    words : str or None
        beam-char only: a model of word forms (``lm train --unit wordform``) beside the one of
        characters.
    word_alpha : float
        Its weight.
    hotwords : tuple of str
        Words to be preferred, each one word.
    hotword_weight : float
        Their bonus: natural log, for each word (beam-char) or as pyctcdecode takes it.
    engine : {"auto", "pyctcdecode", "ctc-beam-decoder"}
        What searches for beam and beam-lm: pyctcdecode, or the package ctc-beam-decoder, which
        does the same in C++; auto takes the latter where it is installed.
    n_best : int
        Hypotheses returned for each line.
    workers : int
        Processes that decode; 0 for one a core.
    """

    name: str = "greedy"
    beam_width: int = 50
    beam_prune_logp: float = -10.0
    token_min_logp: float = -5.0
    merge_blanks: float = 0.998
    alpha: float = 0.5
    beta: float = 1.0
    unk_score_offset: float = -5.0
    lm_score_boundary: bool = True
    lm: Optional[str] = None
    words: Optional[str] = None
    word_alpha: float = 0.2
    hotwords: tuple[str, ...] = ()
    hotword_weight: float = 5.0
    engine: str = "auto"
    n_best: int = 1
    workers: int = 0

    def __post_init__(self):
        for name, low in (("beam_width", 1), ("n_best", 1), ("workers", 0)):
            if getattr(self, name) < low:
                raise ConfigError(f"decoder: {name} must be at least {low}")
        for name in ("beam_prune_logp", "token_min_logp", "unk_score_offset"):
            if getattr(self, name) > 0:
                raise ConfigError(f"decoder: {name} is a log probability and must not exceed 0")
        if self.engine not in ENGINES:
            raise ConfigError(f"decoder: unknown engine {self.engine!r}; "
                              f"known: {', '.join(ENGINES)}")
        for name in ("alpha", "word_alpha"):
            if getattr(self, name) < 0:
                raise ConfigError(f"decoder: {name} must not be negative")
        if not 0.5 <= self.merge_blanks <= 1:
            raise ConfigError("decoder: merge_blanks is a posterior of 0.5 to 1")
        for word in self.hotwords:
            if not word or word.split() != [word]:
                raise ConfigError(f"decoder: the hotword {word!r} is not one word")

    def to_dict(self):
        """Return a JSON-ready dict."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_dict(cls, value):
        """Rebuild from a mapping; `ConfigError` names unknown keys and wrong types."""
        return from_mapping(cls, value, "decoder")


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


class Decoder:
    """Base of decoders: checks the logits, leaves `decode_line` to subclasses.

    Parameters
    ----------
    config : DecoderConfig
    alphabet : Alphabet
    """

    def __init__(self, config, alphabet):
        self.config, self.alphabet = config, alphabet

    def decode(self, logits, lengths=None, n_best=None):
        """Decode a batch.

        Parameters
        ----------
        logits : numpy.ndarray or sequence of numpy.ndarray
            Raw logits or log probabilities: (N, T, C), or a list of (T_i, C).
        lengths : sequence of int, optional
            True frame counts of an (N, T, C) array.
        n_best : int, optional
            Hypotheses for each line; the config's by default. Greedy has one.

        Returns
        -------
        list of list of Hypothesis
            For each line, best first, at least one.
        """
        lines = check_logits(logits, lengths, self.alphabet.num_classes)
        return self._decode_lines(lines, n_best or self.config.n_best)

    def decode_line(self, logits, n_best=None):
        """Decode one line's (T, C) logits into a list of hypotheses."""
        return self.decode([logits], n_best=n_best)[0]

    def reconfigure(self, config):
        """Take other weights and widths without loading anything anew.

        Parameters
        ----------
        config : DecoderConfig
            Of the same decoder with the same language models.
        """
        self.config = config

    @staticmethod
    def needs(config):
        """Return the packages it takes besides NumPy; "a|b" where either will do."""
        return ()

    @staticmethod
    def tunable_of(config):
        """Return what can be tuned: setting -> (values to try, step, lowest, highest)."""
        return {}

    def _decode_lines(self, lines, n_best):
        return [self._decode_one(line, n_best) for line in lines]

    def _decode_one(self, line, n_best):
        raise NotImplementedError


def build_decoder(config, alphabet, base=None):
    """Build the decoder that `config.name` asks for.

    Parameters
    ----------
    config : DecoderConfig
    alphabet : Alphabet
    base : str, optional
        Folder that relative language-model paths start from.

    Raises
    ------
    UnknownNameError
        No such decoder; the message lists the known ones.
    """
    return DECODERS.get(config.name)(config, alphabet, base)


def list_decoders():
    """Return the names of the registered decoders."""
    return DECODERS.names()


def resolve(path, base):
    """Return `path`, taken from the folder `base` when relative."""
    return path if base is None or os.path.isabs(path) else os.path.join(base, path)
