"""Reordering n-best lists by an n-gram of characters or words."""

import math
from dataclasses import dataclass, replace
from typing import Annotated

from lm.base.errors import DecodingError
from lm.base.settings import Range, Settings

from ..decoding.base import resolve
from ..decoding.parallel import Bonus, LogProbability, Weight
from .base import Corrector

__all__ = ["RescoreConfig", "CharacterRescorer", "WordRescorer"]

_NATURAL = math.log(10.0)


@dataclass(frozen=True)
class RescoreConfig(Settings):
    """Settings of a rescorer.

    Attributes
    ----------
    lm : str
        Model made by ``lm train``; of characters for "char-rescore", of words or word forms for
        "word-rescore".
    weight : float
        Of the model's natural log probability of the whole line; 0 leaves the order as it is.
    beta : float
        Bonus for each of the model's tokens.
    keep : float
        Weight of the language-model score the hypotheses come with.
    unk_score_offset : float
        Penalty for each token that the model does not list.
    n_best : int
        Hypotheses a line to choose among.
    """

    lm: str = ""
    weight: Weight = 0.0
    beta: Bonus = 0.0
    keep: Weight = 1.0
    unk_score_offset: LogProbability = 0.0
    n_best: Annotated[int, Range(1, 100_000)] = 30


class _Rescorer(Corrector):
    config_class = RescoreConfig
    paths = ("lm",)
    units: tuple[str, ...] = ()
    tunable = {"weight": ((0.0, 0.1, 0.2, 0.4, 0.7, 1.0), 0.1, 0.0, 3.0),
               "beta": ((0.0, 0.5, 1.0, 2.0), 0.4, -3.0, 6.0),
               "keep": ((1.0, 0.5, 0.0), 0.2, 0.0, 2.0)}

    def __init__(self, config, base=None, alphabet=None):
        super().__init__(config, base, alphabet)
        from lm import load_ngram

        if not config.lm:
            raise DecodingError(f"{self.name} needs a language model: name one in its setting lm")
        self._model = load_ngram(resolve(config.lm, base))
        if self._model.unit not in self.units:
            raise DecodingError(f"{self._model.path}: a model of {self._model.unit}s; {self.name} "
                                f"takes one of {' or '.join(u + 's' for u in self.units)}")
        self._scorer = self._model.scorer()
        self._seen = {}

    @property
    def n_best(self):
        return self.config.n_best

    def _language(self, text):
        """Return (natural log probability, tokens, unknown tokens) of a line."""
        found = self._seen.get(text)
        if found is None:
            scores = list(self._scorer.full_scores(" ".join(self._model.tokenise(text))))
            found = self._seen[text] = (_NATURAL * sum(s for s, _, _ in scores), len(scores) - 1,
                                        sum(unknown for _, _, unknown in scores))
        return found

    def correct_line(self, hypotheses):
        """Reorder one line's hypotheses; their scores become the new ones."""
        config = self.config
        if not config.weight or len(hypotheses) < 2:
            return hypotheses
        rescored = []
        for hypothesis in hypotheses:
            log_prob, tokens, unknown = self._language(hypothesis.text)
            language = config.weight * (log_prob + config.unk_score_offset * unknown) \
                + config.beta * tokens
            network = hypothesis.logit_score
            if network is None:
                network, kept = hypothesis.score, 0.0
            else:
                kept = config.keep * (hypothesis.lm_score or 0.0)
            rescored.append(replace(hypothesis, score=network + kept + language,
                                    logit_score=network, lm_score=kept + language))
        return sorted(rescored, key=lambda h: -h.score)

    def correct(self, lines):
        """Reorder every line's hypotheses."""
        if len(self._seen) > 500_000:
            self._seen.clear()
        return super().correct(lines)


class CharacterRescorer(_Rescorer):
    """Reorders by a model of characters: an open vocabulary, so names and numbers survive."""

    name, units = "char-rescore", ("character",)


class WordRescorer(_Rescorer):
    """Reorders by a model of words or word forms."""

    name, units = "word-rescore", ("word", "wordform")
