"""Prefix beam search with a character n-gram in it, and a model of word forms beside."""

import re
from dataclasses import dataclass
from typing import Optional

from lm import SPACE_TOKEN, load_ngram
from lm.base.errors import DecodingError
from lm.normalisation import Normaliser
from lm.wordforms import fold, is_word_character

from .base import LEAST_WORDS, resolve
from .parallel import (
    Bonus,
    LogProbability,
    ParallelDecoder,
    SearchConfig,
    Weight,
    merge_blanks,
)
from .prefixes import Language, Prefixes, search

__all__ = ["FusionConfig", "FusionDecoder"]

#: Words of a model that are tried against the alphabet.
_SAMPLE = 2000

# What stands before and behind the letters and digits of a hotword.
_NO_WORD = re.compile(r"^[\W_]+|[\W_]+$")

#: Share of a model's probability that the alphabet must be able to write.
_LEAST_COVER = 0.5


@dataclass(frozen=True)
class FusionConfig(SearchConfig):
    """Settings of the decoder "beam-char".

    Attributes
    ----------
    lm : str or None
        Model of characters (``lm train --unit character``): NAME, NAME.arpa or NAME.bin.
    words : str or None
        Model of word forms (``lm train --unit wordform``) beside the one of characters.
    alpha : float
        Weight of the model of characters.
    beta : float
        Bonus for each character.
    word_alpha : float
        Weight of the model of word forms.
    unk_score_offset : float
        Penalty for a word that the model of word forms does not list.
    lm_score_boundary : bool
        Whether a line begins and ends a sentence for the models.
    """

    lm: Optional[str] = None
    words: Optional[str] = None
    alpha: Weight = 0.5
    beta: Bonus = 1.0
    word_alpha: Weight = 0.2
    unk_score_offset: LogProbability = -5.0
    lm_score_boundary: bool = True


def _check_characters(stored, tokens):
    """Raise `DecodingError` where most of a model's text cannot be written."""
    mass = {word: 10 ** log_prob for word, log_prob in stored.unigram_probs()}
    written = set(tokens)
    missing = sorted((t for t in mass if t not in written), key=lambda t: -mass[t])
    share = 1 - sum(mass[t] for t in missing) / max(sum(mass.values()), 1e-30)
    if share < _LEAST_COVER:
        raise DecodingError(
            f"{stored.path}: a model of another alphabet: {1 - share:.0%} of its text is "
            f"characters that this recogniser cannot write, such as {' '.join(missing[:8])}")


def _check_words(stored, written):
    """Raise `DecodingError` where few of a model's words, or of a sample, can be written."""
    letters = {c.lower() for c in written}
    words = stored.unigrams[::max(1, len(stored.unigrams) // _SAMPLE)]
    usable = sum(letters.issuperset(word) for word in words)
    if usable <= LEAST_WORDS * len(words):
        raise DecodingError(f"{stored.path}: a model of another alphabet: only {usable} of "
                            f"{len(words)} words can be written by this recogniser")


class FusionDecoder(ParallelDecoder):
    """CTC prefix beam search that asks an n-gram of characters at every character.

    Its vocabulary is open: names and numbers are judged by their letters. A model of word
    forms (punctuation and case apart) may judge each word that ends, besides. Scores: network
    + alpha * characters + word_alpha * words + beta for each character.

    Parameters
    ----------
    config : FusionConfig
        Either model may be missing.
    alphabet, base
        See `Decoder`.

    Raises
    ------
    DecodingError
        No model at all, one of the wrong unit, or one for another alphabet.
    """

    config_class = FusionConfig
    paths = ("lm", "words")
    # Enough to make NumPy's calls cheap.
    side_by_side = 64

    def __init__(self, config, alphabet, base=None):
        super().__init__(config, alphabet, base)
        if not config.lm and not config.words:
            raise DecodingError("the decoder beam-char needs a language model of characters: name "
                                "one made by lm train --unit character")
        models, tokens, form = {}, [], fold
        for path, unit in ((config.lm, "character"), (config.words, "wordform")):
            if not path:
                continue
            stored = load_ngram(resolve(path, base))
            if stored.unit != unit:
                raise DecodingError(f"{stored.path}: a model of {stored.unit}s where one of "
                                    f"{unit}s is needed (lm train --unit {unit})")
            models[unit] = stored.packed
            # As the model's corpus writes them.
            normaliser = Normaliser(stored.normalise)
            written = [normaliser.character(c) for c in alphabet.characters]
            if unit == "character":
                tokens = [SPACE_TOKEN if c.isspace() else c for c in written]
                _check_characters(stored, tokens)
            else:
                _check_words(stored, written)
                if stored.normalise:
                    def form(word, normaliser=normaliser):
                        return fold(normaliser(word))
        self._prefixes = Prefixes(alphabet.characters,
                                  [is_word_character(c) for c in alphabet.characters])
        self._models = models.get("character"), tokens, models.get("wordform"), form
        # Searches that are not running: each remembers scores, so no two threads share one.
        self._idle = []

    @classmethod
    def tunable_of(cls, config):
        """Weights of the language models there are."""
        tunable = {}
        if config.lm:
            tunable["alpha"] = ((0.0, 0.3, 0.5, 0.7, 0.9), 0.15, 0.0, 3.0)
            tunable["beta"] = ((0.0, 0.5, 1.0, 1.5, 2.0), 0.4, -2.0, 6.0)
        if config.words:
            tunable["word_alpha"] = ((0.0, 0.1, 0.2, 0.35), 0.1, 0.0, 3.0)
            tunable["unk_score_offset"] = ((0.0, -4.0, -8.0), 2.0, -30.0, 0.0)
            tunable.setdefault("beta", ((0.0, 0.2, 0.5, 1.0), 0.2, -2.0, 6.0))
        return tunable

    def _all_readings(self, lines, n_best):
        merged = [merge_blanks(line, self.alphabet.blank, self.config.merge_blanks)
                  for line in lines]
        # Only a word's end is looked at: "etc." counts where "etc" ends.
        hotwords = frozenset(filter(None, (_NO_WORD.sub("", w) for w in self.config.hotwords)))
        try:
            language = self._idle.pop()
        except IndexError:
            language = Language(*self._models)
        # Of like length together: the shorter would wait for the longer.
        order = sorted(range(len(lines)), key=lambda i: len(merged[i][0]))
        readings = [None] * len(lines)
        for begin in range(0, len(order), self.side_by_side):
            batch = order[begin:begin + self.side_by_side]
            found = search([merged[i][0] for i in batch], self._prefixes, language, self.config,
                           hotwords, n_best)
            for i, best in zip(batch, found):
                dropped = merged[i][1]
                readings[i] = [(self.alphabet.decode(labels), score + dropped, logit + dropped)
                               for labels, score, logit in best]
            language.trim()
        self._idle.append(language)
        return readings
