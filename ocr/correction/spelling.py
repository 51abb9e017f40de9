"""Spelling correction by a noisy channel: lexicon, character confusions, n-gram of the context."""

import functools
import math
import re
import unicodedata
from dataclasses import dataclass
from typing import Annotated

from lm.base.errors import ConfigError, DecodingError
from lm.base.settings import Range, Settings
from lm.normalisation import Normaliser
from lm.wordforms import fold, word_form_spans

from ..decoding.base import resolve
from ..decoding.parallel import Weight
from .base import Corrector, Share, retext

__all__ = ["SpellingConfig", "SpellingCorrector"]

_NATURAL = math.log(10.0)

# What may stand between the end of a sentence and the first word of the next.
_OPENING = " \t\u00a0\u202f\"'«»“”„‘’()[]-–—"
# A full stop after a single letter is that of an abbreviation: "M. Dupont", "J. Dupont".
_SENTENCE_END = re.compile(r"(?<!\b\w)\.$|[!?…]$")


@dataclass(frozen=True)
class SpellingConfig(Settings):
    """Settings of the corrector "spelling".

    Attributes
    ----------
    lexicon : tuple of str
        What `lm.lexicon.Lexicon.read` reads: ``.tsv`` files of words and frequencies, texts,
        n-gram models. By default the words of `lm`.
    lm : str
        n-gram model of word forms (``lm train --unit wordform``) for the context; by default
        the lexicon's frequencies alone decide.
    confusions : str
        File of ``lm confusions``; by default every misreading is as likely.
    max_confidence : float
        0..1; only words that the network is no surer of are touched. 0 leaves all as it was.
        Plain strings come with 0.5.
    lm_weight : float
        Of the natural log probability of a word in its context.
    margin : float
        How much (in nats) a word must be better than the one that was read.
    max_edits : {1, 2}
        Letters that may differ; 2 holds for words of five letters or more.
    min_length : int
        Shorter words are left alone.
    touch_known : bool
        Whether words of the lexicon may be replaced too.
    """

    lexicon: tuple[str, ...] = ()
    lm: str = ""
    confusions: str = ""
    max_confidence: Share = 0.0
    lm_weight: Weight = 1.0
    margin: float = 0.0
    max_edits: Annotated[int, Range(1, 2)] = 1
    min_length: Annotated[int, Range(1, 1000)] = 3
    touch_known: bool = False

    def __post_init__(self):
        if isinstance(self.lexicon, str):
            object.__setattr__(self, "lexicon", (self.lexicon,))
        super().__post_init__()
        if not all(self.lexicon):
            raise ConfigError("spelling: lexicon holds an empty path")


class SpellingCorrector(Corrector):
    """Replaces doubtful unknown words by the lexicon's most probable one.

    A word is touched where the network is unsure of it and the lexicon does not have it. For
    each resembling word c, and for the word as it was read, log P(read | c) of the confusions
    and `lm_weight` times log P(c | context) are added up; the best is written. Never touched
    are words with digits, words with a capital letter after the first ("BAnQ"), words cut by a
    hyphen at the end of the line, and probable names: words with a capital letter that do not
    begin the line or a sentence. A capital letter at the beginning is kept. Lines are not taken
    for whole sentences: the context of a word is what stands in its line.

    Only the best hypothesis is corrected, in NFC; the others follow, without repetitions.

    Parameters
    ----------
    config : SpellingConfig
    base, alphabet
        See `Corrector`.

    Raises
    ------
    ConfigError
        Neither lexicon nor language model.
    MissingDataError, DataError, LanguageModelError
        A file is missing, empty or malformed, or a model is of another unit.
    DecodingError
        No word of the lexicon can be written with the alphabet.
    """

    config_class = SpellingConfig
    paths = ("lexicon", "lm", "confusions")
    tunable = {"max_confidence": ((0.0, 0.5, 0.8, 0.95, 1.0), 0.1, 0.0, 1.0),
               "lm_weight": ((1.0, 0.5, 2.0), 0.25, 0.0, 4.0),
               "margin": ((0.0, 2.0, 5.0), 1.0, -4.0, 12.0)}

    def __init__(self, config, base=None, alphabet=None):
        super().__init__(config, base, alphabet)
        from lm.confusions import ConfusionModel
        from lm.lexicon import Lexicon

        if not (config.lexicon or config.lm):
            raise ConfigError("spelling needs a lexicon: name files in its setting lexicon, or a "
                              "model in lm")
        model = _load_forms(resolve(config.lm, base)) if config.lm else None
        self._lexicon = (Lexicon.read([resolve(path, base) for path in config.lexicon])
                         if config.lexicon else Lexicon.from_ngram(model))
        if not any(form.isalpha() and (self._writable(form) or self._writable(form.capitalize()))
                   for form in self._lexicon.words):
            raise DecodingError(f"spelling: none of the lexicon's {len(self._lexicon)} words can "
                                "be written with this alphabet")
        self._context = _Context(self._lexicon, model)
        self._channel = (ConfusionModel.load(resolve(config.confusions, base))
                         if config.confusions else ConfusionModel.uniform())

    def reconfigure(self, config):
        """Take other weights; the files must stay the same.

        Raises
        ------
        ConfigError
            Other files.
        """
        if any(getattr(config, name) != getattr(self.config, name) for name in self.paths):
            raise ConfigError("spelling: other files take another corrector, not other weights")
        super().reconfigure(config)

    def correct_line(self, hypotheses):
        """Correct the best of one line's hypotheses."""
        best = hypotheses[0]
        if not self.config.max_confidence or not best.text:
            return hypotheses
        composed = unicodedata.normalize("NFC", best.text)
        # An alphabet may have the parts alone.
        if composed != best.text and self._writable(composed):
            best = retext(best, composed)
        corrected = retext(best, self._correct_text(best))
        distinct = {}
        for hypothesis in (corrected, *hypotheses[1:]):
            distinct.setdefault(hypothesis.text, hypothesis)
        return list(distinct.values())

    def _correct_text(self, hypothesis):
        text = hypothesis.text
        spans = word_form_spans(text)
        forms = [fold(text[start:end]) for start, end in spans]
        pieces, done = [], 0
        for index, (start, end) in enumerate(spans):
            if self._doubtful(hypothesis, start, end):
                # Corrections on the left are context for those on the right.
                word = self._replace(text[start:end], forms, index)
                forms[index] = fold(word)
                pieces += [text[done:start], word]
                done = end
        return "".join([*pieces, text[done:]])

    def _doubtful(self, hypothesis, start, end):
        """Tell whether the word at text[start:end] may be touched."""
        text, config = hypothesis.text, self.config
        word = text[start:end]
        if (len(word) < config.min_length or not word.isalpha() or word[1:] != word[1:].lower()
                or text[end:] == "-"  # the rest of the word is on the next line
                or (word[0].isupper() and (len(word) == 1 or not _begins(text[:start])))
                or (not config.touch_known and fold(word) in self._lexicon)):
            return False
        confidence = hypothesis.confidence
        if len(hypothesis.characters) == len(text):
            confidence = math.exp(math.fsum(
                math.log(max(span.confidence, 1e-30)) for span in hypothesis.characters[start:end]
            ) / len(word))
        # The mean of equal figures may exceed them by a rounding error.
        return confidence <= config.max_confidence + 1e-12

    def _replace(self, word, forms, index):
        """Return what to write for `word`, whose folded form is forms[index]."""
        config, form = self.config, forms[index]

        def score(candidate):
            log_prob = self._channel.log_prob(candidate, form)
            if config.lm_weight:
                log_prob += config.lm_weight * self._context.log_prob(candidate, forms, index)
            return log_prob

        best, threshold = word, score(form) + config.margin
        for candidate in self._lexicon.candidates(form, config.max_edits):
            written = candidate
            if word[0].isupper() and len(candidate[0].upper()) == 1:
                written = candidate[0].upper() + candidate[1:]
            # Digits are folded in the lexicon: which one it was cannot be told.
            if candidate.isalpha() and self._writable(written):
                found = score(candidate)
                if found > threshold:
                    best, threshold = written, found
        return best

    def _writable(self, text):
        return self.alphabet is None or all(c in self.alphabet for c in text)


class _Context:
    """Log probability of a word form where it stands.

    Words that the model does not list share the probability of its ``<unk>`` by their
    frequency in the lexicon: a rare known word is more probable than one never seen.
    """

    def __init__(self, lexicon, model):
        self._lexicon = lexicon
        if model is None:
            self._scorer = None
            return
        self._scorer, self._order = model.scorer(), model.order
        self._written = functools.lru_cache(maxsize=100_000)(Normaliser(model.normalise))
        self._listed = frozenset(model.unigrams)
        self._unlisted = math.log(math.fsum(
            [math.exp(lexicon.unlisted),
             *(math.exp(lexicon.log_prob(form)) for form in lexicon.words
               if self._written(form) not in self._listed)]))

    def log_prob(self, form, forms, index):
        """Return log P(form, following words | preceding words) for `form` at forms[index]."""
        if self._scorer is None:
            return self._lexicon.log_prob(form)
        reach = self._order - 1
        before, after = forms[max(0, index - reach):index], forms[index + 1:index + 1 + reach]
        words = map(self._written, [*before, form, *after])
        scores = self._scorer.full_scores(" ".join(words), bos=False, eos=False)
        total = _NATURAL * sum([log_prob for log_prob, _, _ in scores][len(before):])
        if self._written(form) not in self._listed:
            total += self._lexicon.log_prob(form) - self._unlisted
        return total


def _load_forms(path):
    from lm import load_ngram

    model = load_ngram(path)
    if model.unit != "wordform":
        raise DecodingError(f"{model.path}: a model of {model.unit}s; the speller takes one of "
                            "word forms (lm train --unit wordform)")
    return model


def _begins(before):
    """Tell whether what follows `before` begins the line or a sentence."""
    before = before.rstrip(_OPENING)
    return not before or bool(_SENTENCE_END.search(before))
