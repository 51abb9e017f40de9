"""Prefix beam search with a character n-gram in it, and a model of word forms beside."""

import heapq
import math
from dataclasses import dataclass
from typing import Optional

import numpy as np

from lm.base.errors import DecodingError
from lm.normalisation import Normaliser

from .base import LEAST_WORDS, resolve
from .parallel import (
    Bonus,
    LogProbability,
    ParallelDecoder,
    SearchConfig,
    Weight,
    merge_blanks,
)

__all__ = ["FusionConfig", "FusionDecoder"]

_NEVER = -math.inf
_NOTHING = (_NEVER, _NEVER)
_NATURAL = math.log(10.0)

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


def _add(a, b):
    """log(exp(a) + exp(b))."""
    if a < b:
        a, b = b, a
    return a if b == _NEVER else a + math.log1p(math.exp(b - a))


class _Prefix:
    """A node of the tree of prefixes; language-model scores are found once, when it is made."""

    __slots__ = ("parent", "label", "children", "lm", "state", "word", "word_state")

    def __init__(self, parent, label, lm, state, word, word_state):
        self.parent, self.label, self.children = parent, label, {}
        # Weighted language-model score so far, bonuses included, natural log.
        self.lm = lm
        self.state = state
        # The unfinished word form's text, and the word model's state before it.
        self.word, self.word_state = word, word_state

    def labels(self):
        labels, node = [], self
        while node.parent is not None:
            labels.append(node.label)
            node = node.parent
        return labels[::-1]


class _Model:
    """A KenLM model that is asked step by step."""

    def __init__(self, stored):
        import kenlm

        if stored.order < 2:
            raise DecodingError(f"{stored.path}: KenLM reads no model of order 1; train one of "
                                "order 2 or more")
        self.model, self._new_state = stored.scorer(), kenlm.State

    def state(self, boundary):
        """Return the state at the start of a line: of a sentence, or of no context."""
        state = self._new_state()
        (self.model.BeginSentenceWrite if boundary else self.model.NullContextWrite)(state)
        return state


class _Characters(_Model):
    """A model of characters, asked for classes of an alphabet."""

    def __init__(self, stored, alphabet):
        from lm import SPACE_TOKEN

        super().__init__(stored)
        # As the model's corpus writes them.
        written = map(Normaliser(stored.normalise).character, alphabet.characters)
        self.tokens = [SPACE_TOKEN if c.isspace() else c for c in written]
        self._check_cover(stored, set(self.tokens))

    def _check_cover(self, stored, written):
        start, out = self.state(False), self.state(False)
        mass = {token: 10 ** self.model.BaseScore(start, token, out) for token in stored.unigrams}
        missing = sorted((t for t in mass if t not in written), key=lambda t: -mass[t])
        share = 1 - sum(mass[t] for t in missing) / max(sum(mass.values()), 1e-30)
        if share < _LEAST_COVER:
            raise DecodingError(
                f"{stored.path}: a model of another alphabet: {1 - share:.0%} of its text is "
                f"characters that this recogniser cannot write, such as {' '.join(missing[:8])}")

    def score(self, state, token):
        out = self._new_state()
        return _NATURAL * self.model.BaseScore(state, token, out), out


class _WordForms(_Model):
    """A model of word forms, with a penalty for unknown ones; scores are kept."""

    def __init__(self, stored, alphabet):
        from lm.wordforms import fold

        super().__init__(stored)
        normaliser = Normaliser(stored.normalise)
        letters = {normaliser.character(c).lower() for c in alphabet.characters}
        usable = sum(letters.issuperset(w) for w in stored.unigrams)
        if usable <= LEAST_WORDS * len(stored.unigrams):
            raise DecodingError(f"{stored.path}: a model of another alphabet: only {usable} of "
                                f"its {len(stored.unigrams)} words can be written by this "
                                "recogniser")
        self._fold, self._seen = lambda word: fold(normaliser(word)), {}

    def forget(self):
        self._seen.clear()

    def score(self, state, word, unknown_offset):
        key = (state, word)
        found = self._seen.get(key)
        if found is None:
            out = self._new_state()
            result = self.model.BaseFullScore(state, self._fold(word), out)
            found = self._seen[key] = (_NATURAL * result.log_prob, result.oov, out)
        log_prob, unknown, out = found
        return log_prob + (unknown_offset if unknown else 0.0), out


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
    packages = ("kenlm",)

    def __init__(self, config, alphabet, base=None):
        super().__init__(config, alphabet, base)
        from lm import load_ngram
        from lm.wordforms import is_word_character

        if not config.lm and not config.words:
            raise DecodingError("the decoder beam-char needs a language model of characters: name "
                                "one made by lm train --unit character")
        self._characters = self._words = None
        for path, unit in ((config.lm, "character"), (config.words, "wordform")):
            if not path:
                continue
            stored = load_ngram(resolve(path, base))
            if stored.unit != unit:
                raise DecodingError(f"{stored.path}: a model of {stored.unit}s where one of "
                                    f"{unit}s is needed (lm train --unit {unit})")
            if unit == "character":
                self._characters = _Characters(stored, alphabet)
            else:
                self._words = _WordForms(stored, alphabet)
        self._is_word = [is_word_character(c) for c in alphabet.characters]
        self._space = alphabet.encode(" ")[0] if " " in alphabet else -1

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

    # -- scores of prefixes --------------------------------------------------------------

    def _root(self):
        boundary = self.config.lm_score_boundary
        return _Prefix(None, None, 0.0,
                       self._characters and self._characters.state(boundary), "",
                       self._words and self._words.state(boundary))

    def _word_end(self, word, word_state):
        """Score a finished word: (weighted score, state behind it)."""
        config, score = self.config, 0.0
        if self._words:
            raw, word_state = self._words.score(word_state, word, config.unk_score_offset)
            score = config.word_alpha * raw
        if word in self._hotwords:
            score += config.hotword_weight
        return score, word_state

    def _extend(self, node, label):
        """Return the child of a prefix by one character."""
        lm, state = node.lm + self.config.beta, node.state
        if self._characters:
            score, state = self._characters.score(state, self._characters.tokens[label])
            lm += self.config.alpha * score
        word, word_state = node.word, node.word_state
        if self._is_word[label]:
            word += self.alphabet.characters[label]
        elif word:
            score, word_state = self._word_end(word, word_state)
            lm, word = lm + score, ""
        child = node.children[label] = _Prefix(node, label, lm, state, word, word_state)
        return child

    def _ended(self, node):
        """Return the language-model score of a prefix as a whole line."""
        # A space at the end is not part of the reading, and costs nothing.
        if node.label == self._space and node.parent is not None:
            node = node.parent
        lm = node.lm
        if node.word:
            lm += self._word_end(node.word, node.word_state)[0]
        if self._characters and self.config.lm_score_boundary:
            lm += self.config.alpha * self._characters.score(node.state, "</s>")[0]
        return lm

    # -- search ---------------------------------------------------------------------------

    def _readings(self, scores, n_best):
        self._hotwords = frozenset(self.config.hotwords)
        if self._words:
            self._words.forget()
        searched, dropped = merge_blanks(scores, self.alphabet.blank, self.config.merge_blanks)
        beams = self._search(searched.astype(np.float64))
        # Prefixes that differ by a space at their end are one reading.
        readings = {}
        for node, (blank, other) in beams.items():
            key = tuple(node.labels())
            if key and key[-1] == self._space:
                key = key[:-1]
            logit = _add(blank, other) + dropped
            if key in readings:
                logit = _add(logit, readings[key][0])
            readings[key] = (logit, self._ended(node))
        best = sorted(readings.items(), key=lambda item: -sum(item[1]))[:n_best]
        return [(self.alphabet.decode(key), logit + lm, logit) for key, (logit, lm) in best]

    def _search(self, scores):
        """Return {prefix: (log probability ending in a blank, in its last character)}."""
        config, blank, space = self.config, self.alphabet.blank, self._space
        width, prune = config.beam_width, config.beam_prune_logp
        # What a further character can add to the score of a prefix, at most.
        bonus = max(config.beta, 0.0) + (max(config.hotword_weight, 0.0) if self._hotwords else 0.0)
        beams = {self._root(): (0.0, _NEVER)}
        for row in scores:
            tried = np.flatnonzero(row > config.token_min_logp)
            if not len(tried):
                tried = row.argmax(keepdims=True)
            likely = {label: float(row[label]) for label in tried[np.argsort(-row[tried])].tolist()}
            skip = likely.pop(blank, _NEVER)
            totals = [_add(*ends) for ends in beams.values()]
            # The best prefix can stay as it is: what falls short of that, less the pruning, is
            # not kept, so it need not be scored.
            floor = prune + float(row[blank]) + max(
                total + node.lm for total, node in zip(totals, beams))
            found, unscored = {}, []
            for total, (node, (in_blank, in_label)) in zip(totals, beams.items()):
                if skip > _NEVER:
                    old = found.get(node)
                    found[node] = (total + skip, _NEVER if old is None else old[1])
                own, children, most = node.label, node.children, total + node.lm + bonus
                if own in likely:
                    old = found.get(node, _NOTHING)
                    found[node] = (old[0], _add(old[1], in_label + likely[own]))
                for label, score in likely.items():
                    if most + score < floor:
                        break
                    reach = total + score
                    if label == own:
                        # The same character again needs a blank between.
                        reach = in_blank + score
                    if label == space and own in (None, space):
                        continue
                    child = children.get(label)
                    if child is None:
                        unscored.append((reach + node.lm + bonus, len(unscored), node, label,
                                         reach))
                    else:
                        old = found.get(child, _NOTHING)
                        found[child] = (old[0], _add(old[1], reach))
            self._score_best(unscored, found, width)
            if not found:
                # Nothing may be written here, such as a space at a line's start: all stay.
                found = {node: (total + float(row[blank]), _NEVER)
                         for total, node in zip(totals, beams)}
            ranked = sorted(((_add(*ends) + node.lm, i) for i, (node, ends) in
                             enumerate(found.items())), reverse=True)[:width]
            items = list(found.items())
            least = ranked[0][0] + prune
            beams = {items[i][0]: items[i][1] for score, i in ranked if score >= least}
        return beams

    def _score_best(self, unscored, found, width):
        """Add to `found` those new prefixes that can be among the best `width`.

        Asking the language model is what costs: prefixes are taken by what they can reach at
        most, and those that even so would fall out are never scored.
        """
        best = heapq.nlargest(width, (_add(*ends) + node.lm for node, ends in found.items()))
        heapq.heapify(best)
        for most, _, node, label, reach in sorted(unscored, reverse=True):
            if len(best) == width and most < best[0]:
                break
            child = self._extend(node, label)
            found[child] = (_NEVER, reach)
            (heapq.heappush if len(best) < width else heapq.heappushpop)(best, reach + child.lm)
