"""The corrector protocol: hypotheses in, hypotheses out; or plain strings in, strings out."""

import dataclasses
from typing import Annotated, Any, Optional, Union

from lm.base.errors import DecodingError
from lm.base.plugins import Registry, Stage, missing_packages
from lm.base.settings import Range

from ..decoding.base import Hypothesis, Span, Tunable
from ..decoding.spans import word_spans

__all__ = ["CORRECTORS", "Corrector", "Share", "build_corrector", "corrector_stage",
           "list_correctors", "plain_hypothesis", "retext"]

#: A confidence.
Share = Annotated[float, Range(0, 1)]

#: Correctors by name; each entry is a `Corrector` subclass.
CORRECTORS = Registry("corrector", "ocr.correctors")


class Corrector(Tunable):
    """Base of correctors; subclasses give `config_class` and `correct_line`.

    Any number of threads may correct with one corrector at once.

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
    n_best : int
        Hypotheses a line it would like to be given; 1 for those that use only the best.

    `paths` and `tunable` are those of `Plugin` and `Tunable`.
    """

    n_best = 1

    def __init__(self, config, base=None, alphabet=None):
        super().__init__(config)
        self.base, self.alphabet = base, alphabet

    def correct(self, lines: list[list[Hypothesis]]) -> list[list[Hypothesis]]:
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

    def correct_line(self, hypotheses: list[Hypothesis]) -> list[Hypothesis]:
        """Correct one line's hypotheses (at least one)."""
        raise NotImplementedError

    def correct_texts(self, texts: list[str]) -> list[str]:
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
    return Hypothesis(text, 0.0, confidence, characters, word_spans(characters))


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
                               words=word_spans(characters),
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


def list_correctors() -> list[str]:
    """Return the names of the registered correctors."""
    return CORRECTORS.names()


def corrector_stage(name: Union[str, Stage], settings: Any = None, **more) -> Stage:
    """Return a corrector's name with its settings; see `Registry.stage`."""
    return CORRECTORS.stage(name, settings, **more)


def build_corrector(name: Union[str, Stage], settings: Any = None, base: Optional[str] = None,
                    alphabet=None) -> Corrector:
    """Build a corrector.

    Parameters
    ----------
    name : str or Stage
    settings : mapping or dataclass, optional
        Those that differ from the defaults.
    base : str, optional
        Folder that relative paths in the settings start from.
    alphabet : Alphabet, optional

    Raises
    ------
    UnknownNameError
        No such corrector; the message lists the known ones.
    ConfigError
        An unknown setting, a wrong type or value.
    DecodingError
        A package that it needs is missing.
    """
    stage = corrector_stage(name, settings)
    cls = CORRECTORS.get(stage.name)
    if packages := missing_packages(cls.needs(stage.settings)):
        raise DecodingError(f"the corrector {stage.name} needs packages that are not installed: "
                            f"{packages}")
    return cls(stage.settings, base, alphabet)
