"""How well an n-gram model foretells a text."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Union

from .base.errors import LanguageModelError
from .corpus import Corpus, tokenise
from .ngram import NgramModel, load_ngram
from .normalisation import Normaliser

__all__ = ["PerplexityReport", "perplexity", "score_sentences"]


@dataclass(frozen=True)
class PerplexityReport:
    """How well a model foretells a text.

    Attributes
    ----------
    sentences, tokens : int
        Lines, and their words or characters without sentence ends.
    oov : int
        Tokens that the model does not know.
    oov_rate : float
        `oov` / `tokens`; 0 for a text without tokens.
    log10_prob, log10_prob_without_oov : float
        Base-10 logarithm of the probability of the text, sentence ends included; with unknown
        tokens scored as ``<unk>``, and with them left out.
    perplexity, perplexity_without_oov : float
        For each token, sentence ends counted as tokens; with unknown tokens scored as
        ``<unk>``, and with them left out (KenLM's "including" and "excluding OOVs").
    bits_per_token : float
        log2 of `perplexity`.
    """

    sentences: int
    tokens: int
    oov: int
    oov_rate: float
    log10_prob: float
    log10_prob_without_oov: float
    perplexity: float
    perplexity_without_oov: float
    bits_per_token: float

    def __str__(self):
        return (f"{self.sentences:,} sentences, {self.tokens:,} tokens, "
                f"{self.oov:,} out of vocabulary ({self.oov_rate:.2%}); "
                f"perplexity {self.perplexity:.2f}, "
                f"without unknown tokens {self.perplexity_without_oov:.2f}")


def score_sentences(scorer: Any, sentences: Iterable[Sequence[str]]) -> PerplexityReport:
    """Return the `PerplexityReport` of tokenised sentences."""
    count = tokens = unknown = 0
    total = unknown_total = 0.0
    for sentence in sentences:
        count += 1
        tokens += len(sentence)
        for log_prob, _, oov in scorer.full_scores(" ".join(sentence)):
            total += log_prob
            if oov:
                unknown += 1
                unknown_total += log_prob
    if not count:
        raise LanguageModelError("there is no text to find the perplexity of")
    events = tokens + count  # every sentence ends once
    known_total = total - unknown_total
    return PerplexityReport(
        sentences=count, tokens=tokens, oov=unknown,
        oov_rate=unknown / tokens if tokens else 0.0,
        log10_prob=total, log10_prob_without_oov=known_total,
        perplexity=10 ** (-total / events),
        perplexity_without_oov=10 ** (-known_total / (events - unknown)),
        bits_per_token=-total / events * math.log2(10))


def perplexity(model: Union[NgramModel, str], texts: Union[str, Iterable[str], Corpus],
               reserved: str = "error") -> PerplexityReport:
    """Report how well a model foretells texts.

    Parameters
    ----------
    model : NgramModel or str
        A path goes through `load_ngram`.
    texts : iterable of str, or lm.corpus.Corpus
        One line (sentence) each, normalised as the model's corpus was; a Corpus reads files and
        must have the model's unit and rules of normalisation.
    reserved : {"error", "skip"}
        See `lm.corpus.tokenise`.

    Returns
    -------
    PerplexityReport

    Raises
    ------
    LanguageModelError
        No text; a reserved word; the model cannot be read.
    """
    if not isinstance(model, NgramModel):
        model = load_ngram(model)
    if isinstance(texts, Corpus):
        if texts.unit != model.unit:
            raise LanguageModelError(f"the corpus is read by {texts.unit}, but the model's unit "
                                     f"is the {model.unit}")
        if texts.normaliser.rules != model.normalise:
            raise LanguageModelError(
                f"the corpus is normalised by the rules {list(texts.normaliser.rules)}, the "
                f"model's text was by {list(model.normalise)}")
        return score_sentences(model.scorer(), texts)
    if isinstance(texts, str):
        texts = texts.splitlines()
    normaliser = Normaliser(model.normalise)
    sentences = (tokenise(normaliser(text), model.unit, reserved, f"text {number}")[0]
                 for number, text in zip(itertools.count(1), texts))
    return score_sentences(model.scorer(), sentences)
