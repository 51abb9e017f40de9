"""The corrector protocol: hypotheses in, hypotheses out; or plain strings in, strings out."""

import dataclasses

from lm.base.errors import ConfigError
from lm.base.plugins import Registry
from lm.base.settings import from_mapping

from ..decoding.base import Hypothesis, Span

__all__ = ["CORRECTORS", "Corrector", "build_corrector", "list_correctors", "corrector_config",
           "plain_hypothesis", "retext"]

#: Correctors by name; each entry is a `Corrector` subclass.
CORRECTORS = Registry("corrector", "ocr.correctors")


class Corrector:
    """Base of correctors; subclasses give `config_class` and `correct_line`.

    Parameters
    ----------
    config : dataclass
        An instance of `config_class`.
    base : str, optional
        Folder that relative paths in the config start from.
    alphabet : Alphabet, optional
        Of the recogniser whose readings are corrected; nothing outside it is written. None
        for plain strings of any characters.

    Attributes
    ----------
    config_class : type
        Frozen dataclass of the settings. Its first choice of weights may be zero: then
        the corrector returns what it was given.
    tunable : dict
        Setting -> (values to try first, step of the finer search, lowest, highest).
    paths : tuple of str
        Settings that name files (a path, or a tuple of them).
    n_best : int
        Hypotheses a line it would like to be given; 1 for those that use only the best.
    """

    config_class = None
    paths = ()
    tunable = {}
    n_best = 1

    def __init__(self, config, base=None, alphabet=None):
        self.config, self.base, self.alphabet = config, base, alphabet

    @staticmethod
    def needs(config):
        """Return the packages it takes besides NumPy."""
        return ()

    def reconfigure(self, config):
        """Take other weights without loading anything anew."""
        self.config = config

    def correct(self, lines):
        """Correct a batch.

        Parameters
        ----------
        lines : list of list of Hypothesis
            For each line its hypotheses, best first.

        Returns
        -------
        list of list of Hypothesis
            As many, best first.
        """
        return [self.correct_line(line) if line else line for line in lines]

    def correct_line(self, hypotheses):
        """Correct one line's hypotheses (at least one)."""
        raise NotImplementedError

    def correct_texts(self, texts):
        """Correct plain strings, of whose characters nothing more is known.

        Parameters
        ----------
        texts : list of str

        Returns
        -------
        list of str
        """
        lines = self.correct([[plain_hypothesis(text)] for text in texts])
        return [line[0].text for line in lines]


def plain_hypothesis(text, confidence=0.5):
    """Return a hypothesis for a string from elsewhere: no frames, the same confidence all over."""
    characters = tuple(Span(c, i, i + 1, confidence) for i, c in enumerate(text))
    return Hypothesis(text, 0.0, confidence, characters, _words(characters))


def _words(characters):
    from ..decoding.spans import word_spans

    return word_spans(characters)


def retext(hypothesis, text, score=None):
    """Return `hypothesis` with another text; unchanged characters keep frames and confidence.

    A changed stretch shares the frames that the old one had, and its lowest confidence.

    Parameters
    ----------
    hypothesis : Hypothesis
    text : str
    score : float, optional
        The old one by default.
    """
    # Only correctors need it: reading starts sooner without.
    from rapidfuzz.distance import Levenshtein

    if text == hypothesis.text:
        return hypothesis if score is None else dataclasses.replace(hypothesis, score=score)
    old = hypothesis.characters
    if len(old) != len(hypothesis.text):
        return dataclasses.replace(hypothesis, text=text, characters=(), words=(),
                                   score=hypothesis.score if score is None else score)
    spans, i, k = [], 0, 0
    # Whatever lies between two equal blocks is one changed stretch.
    for block in Levenshtein.editops(hypothesis.text, text).as_matching_blocks():
        if block.b > k:
            spans += _share(old, i, block.a, text[k:block.b])
        spans += old[block.a:block.a + block.size]
        i, k = block.a + block.size, block.b + block.size
    characters = tuple(spans)
    return dataclasses.replace(hypothesis, text=text, characters=characters,
                               words=_words(characters),
                               score=hypothesis.score if score is None else score)


def _share(old, i, j, text):
    """Spread `text` over the frames of old[i:j], or where that is empty at its border."""
    if j > i:
        start, end = old[i].start, old[j - 1].end
        confidence = min(span.confidence for span in old[i:j])
    else:
        near = old[max(i - 1, 0):i + 1]
        start = end = old[i - 1].end if i else (old[0].start if old else 0)
        confidence = min((span.confidence for span in near), default=0.0)
    cuts = [start + (end - start) * n // len(text) for n in range(len(text) + 1)]
    return [Span(c, a, b, confidence) for c, a, b in zip(text, cuts, cuts[1:])]


def list_correctors():
    """Return the names of the registered correctors."""
    return CORRECTORS.names()


def corrector_config(name, settings=None):
    """Return the config of the corrector `name` from a mapping of settings.

    Raises
    ------
    UnknownNameError
        No such corrector; the message lists the known ones.
    ConfigError
        An unknown setting or a wrong type, named.
    """
    return from_mapping(CORRECTORS.get(name).config_class, settings or {}, name)


def build_corrector(name, settings=None, base=None, alphabet=None):
    """Build a corrector by name.

    Parameters
    ----------
    name : str
    settings : mapping or dataclass, optional
    base : str, optional
        Folder that relative paths in the settings start from.
    alphabet : Alphabet, optional

    Raises
    ------
    UnknownNameError, ConfigError
        As `corrector_config`.
    """
    cls = CORRECTORS.get(name)
    config = settings if dataclasses.is_dataclass(settings) else corrector_config(name, settings)
    if not isinstance(config, cls.config_class):
        raise ConfigError(f"{name}: settings of another corrector ({type(config).__name__})")
    return cls(config, base, alphabet)
