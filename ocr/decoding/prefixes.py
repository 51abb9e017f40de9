"""CTC prefix beam search of many lines at once, in NumPy.

The lines go through their frames side by side, so that a call of NumPy serves the beams of all.
Beams stand in flat arrays, line after line. A prefix is known by a 64-bit hash of its
characters: it may leave the beams, come back by another path and still be told to be the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Optional, Protocol

import numpy as np

from lm.packed import PackedNgram, Rows

__all__ = ["Language", "Prefixes", "SearchSettings", "search"]

_NEVER = -math.inf
_NATURAL = math.log(10.0)
# Odd, so that multiplying loses nothing modulo 2 ** 64.
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_STEP = np.uint64(0xD1B54A32D192ED03)


class SearchSettings(Protocol):
    """What of a decoder's settings the search looks at; see `FusionDecoder`."""

    beam_width: int
    beam_prune_logp: float
    token_min_logp: float
    alpha: float
    beta: float
    word_alpha: float
    unk_score_offset: float
    lm_score_boundary: bool
    hotword_weight: float


class Language:
    """The language models of one search, with what they were asked before; not for two threads.

    Parameters
    ----------
    characters : PackedNgram or None
    tokens : list of str
        What the model of characters has for each class of the alphabet but the blank.
    words : PackedNgram or None
        Of word forms.
    fold : callable
        Makes a word form of a word.
    """

    #: Rows and words remembered; more are forgotten between two batches of lines.
    LIMIT = 40_000, 200_000

    def __init__(self, characters: Optional[PackedNgram], tokens: list[str],
                 words: Optional[PackedNgram], fold):
        self.rows: Optional[Rows] = None
        self.columns = np.empty(0, np.int64)
        if characters:
            self.rows = Rows(characters, [*tokens, "</s>"])
            self.columns, self.end = self.rows.columns[:-1], self.rows.columns[-1]
        self.words, self._fold = words, fold
        self._forget()

    def _forget(self) -> None:
        # States of the model of words, by number.
        self._states: list = []
        self._numbers: dict[Any, int] = {}
        self.seen: dict[tuple[int, int], tuple[float, bool, int]] = {}
        self._forms: dict[str, int] = {}

    def trim(self) -> None:
        """Forget what was found, if it is much."""
        if self.rows is not None and len(self.rows) > self.LIMIT[0]:
            self.rows.clear()
        if len(self.seen) > self.LIMIT[1]:
            self._forget()

    def word_start(self, boundary: bool) -> int:
        """Return the number of the state of the model of words at the start of a line."""
        return self._number(self.words.start(boundary)) if self.words else 0

    def _number(self, state) -> int:
        number = self._numbers.setdefault(state, len(self._states))
        if number == len(self._states):
            self._states.append(state)
        return number

    def word(self, state: int, key: int, word: str) -> tuple[float, bool, int]:
        """Return a word's natural log probability, whether it is unknown, the state behind it.

        They are in `seen` from then on, by the numbers of the state and of the word.
        """
        assert self.words is not None, "no model of words"
        form = self._forms.get(word)
        if form is None:
            form = self._forms[word] = self.words.index(self._fold(word))
        log_prob, behind, _ = self.words.score(self._states[state], form)
        self.seen[state, key] = found = (_NATURAL * log_prob, form == 0, self._number(behind))
        return found


@dataclass
class _Pool:
    """Every prefix that was ever among the beams; a row is its number."""

    parent: np.ndarray
    label: np.ndarray
    key: np.ndarray
    # Weighted score of the language models so far, bonuses included.
    lm: np.ndarray
    state: np.ndarray
    # State of the model of words before the unfinished word.
    word_state: np.ndarray
    # Hash of that word.
    word: np.ndarray
    # Score of that word if it ended here, and the state behind it; NaN where nobody asked.
    end: np.ndarray
    end_state: np.ndarray
    used: int = field(default=0, init=False)

    @classmethod
    def of(cls, size: int) -> _Pool:
        return cls(*(np.empty(size, kind) for kind in (
            np.int32, np.int16, np.uint64, np.float64, np.int32, np.int32, np.uint64, np.float64,
            np.int32)))

    def add(self, **columns: np.ndarray) -> np.ndarray:
        """Append prefixes; return their numbers."""
        begin = self.used
        self.used = begin + len(columns["label"])
        for name in (f.name for f in fields(self) if f.name != "used"):
            values = getattr(self, name)
            if self.used > len(values):
                values = np.concatenate((values, np.empty_like(values, shape=self.used)))
                setattr(self, name, values)
            if name in columns:
                values[begin:self.used] = columns[name]
        self.end[begin:self.used] = math.nan
        return np.arange(begin, self.used)

    def labels(self, number: int) -> list[int]:
        found = []
        while (parent := int(self.parent[number])) >= 0:
            found.append(int(self.label[number]))
            number = parent
        return found[::-1]


class _Beams(NamedTuple):
    """Flat arrays, line after line."""

    line: np.ndarray
    number: np.ndarray
    # Log probability of ending in a blank, in the last character.
    blank: np.ndarray
    other: np.ndarray

    def take(self, places) -> _Beams:
        return _Beams(*(column[places] for column in self))


class Prefixes:
    """What the search knows of an alphabet, for all lines alike.

    Parameters
    ----------
    characters : str or sequence of str
        The classes but the blank, which is the last.
    is_word : list of bool
        Which of them belong to words.
    """

    def __init__(self, characters, is_word: list[bool]):
        self.characters = characters
        # The last entry is that of the empty prefix, label -1.
        self.is_word = np.array([*is_word, False])
        self.blank = len(characters)
        self.space = next((i for i, c in enumerate(characters) if c == " "), -2)


class _Search:
    def __init__(self, prefixes: Prefixes, language: Language, config: SearchSettings,
                 hotwords: frozenset[str]):
        self.prefixes, self.language, self.config = prefixes, language, config
        self.hotwords = hotwords
        self.pool = _Pool.of(4096)
        # What the end of a word, and a further character, can add to a prefix's score at most.
        self.hot = max(config.hotword_weight, 0.0) if hotwords else 0.0
        self.bonus = max(config.beta, 0.0) + self.hot

    def begin(self, lines: int) -> _Beams:
        boundary, rows = self.config.lm_score_boundary, self.language.rows
        numbers = self.pool.add(
            parent=np.full(lines, -1), label=np.full(lines, -1), lm=np.zeros(lines),
            word=np.zeros(lines, np.uint64),
            key=np.arange(1, lines + 1).astype(np.uint64) * _STEP,
            state=np.full(lines, rows.start(boundary) if rows is not None else 0),
            word_state=np.full(lines, self.language.word_start(boundary)))
        return _Beams(np.arange(lines), numbers, np.zeros(lines), np.full(lines, _NEVER))

    # -- words ---------------------------------------------------------------------------------

    def _end_words(self, numbers: np.ndarray) -> None:
        """Find the scores of words that end with these prefixes, where they are not known."""
        pool, config = self.pool, self.config
        numbers = np.unique(numbers[np.isnan(pool.end[numbers])])
        ends, states = [], []
        for number, state, key in zip(numbers.tolist(), pool.word_state[numbers].tolist(),
                                      pool.word[numbers].tolist()):
            score = 0.0
            if self.language.words:
                found = self.language.seen.get((state, key))
                if found is None:
                    found = self.language.word(state, key, self._last_token(number)[1])
                raw, unknown, state = found
                score = config.word_alpha * (raw + (config.unk_score_offset if unknown else 0.0))
            if self.hotwords and self._is_hotword(self._last_token(number)[0]):
                score += config.hotword_weight
            ends.append(score)
            states.append(state)
        pool.end[numbers], pool.end_state[numbers] = ends, states

    def _last_token(self, number: int) -> tuple[str, str]:
        """Return what stands behind the last space of a prefix, and the word at its end."""
        pool, prefixes = self.pool, self.prefixes
        token, word, within = [], 0, True
        while (label := int(pool.label[number])) not in (-1, prefixes.space):
            within = within and bool(prefixes.is_word[label])
            if not within and not self.hotwords:
                break
            word += within
            token.append(prefixes.characters[label])
            number = int(pool.parent[number])
        text = "".join(reversed(token))
        return text, "".join(reversed(token[:word]))

    def _is_hotword(self, token: str) -> bool:
        """Tell whether a text ends with a hotword, which no further letters stand before."""
        return any(token.endswith(hot) and not token[:len(token) - len(hot)][-1:].isalnum()
                   for hot in self.hotwords)

    # -- one frame -----------------------------------------------------------------------------

    def step(self, beams: _Beams, scores: np.ndarray) -> _Beams:
        """Return the beams behind a frame of each line, scores (lines, classes)."""
        prefixes, pool, config = self.prefixes, self.pool, self.config
        line, number, blank, other = beams
        lm, label = pool.lm[number], pool.label[number]
        total = np.logaddexp(blank, other)
        begins = line.searchsorted(np.arange(len(scores)))
        tried = scores > config.token_min_logp
        none = (~tried.any(1)).nonzero()[0]
        tried[none, scores[none].argmax(1)] = True
        skip = np.where(tried[:, prefixes.blank], scores[:, prefixes.blank], _NEVER)
        tried[:, prefixes.blank] = False
        # Where a blank is tried, the best prefix can stay as it is: what falls short of that,
        # less the pruning, is not kept, so it need not be scored.
        most = total + lm + self.bonus
        floor = config.beam_prune_logp + skip - self.bonus + np.maximum.reduceat(most, begins)
        most -= floor[line]
        stay = total + skip[line]
        own = scores[line, label]
        repeatable = tried[line, label] & (label >= 0)
        again = np.where(repeatable, other + own, _NEVER)

        # Every beam with every character that is tried in its line.
        at, characters = tried.nonzero()
        count = np.bincount(at, minlength=len(scores))
        each = count[line]
        starts = each.cumsum() - each
        beam = np.arange(len(line)).repeat(each)
        place = np.arange(len(beam)) + ((count.cumsum() - count)[line] - starts)[beam]
        possible = most[beam] + scores[at, characters][place] >= 0

        # Those that are beams already.
        keys, above = pool.key[number], pool.parent[number]
        parents = pool.key[np.maximum(above, 0)]
        order = keys.argsort()
        parent = order[np.minimum(keys.searchsorted(parents, sorter=order), len(keys) - 1)]
        child = ((keys[parent] == parents) & (above >= 0) & repeatable).nonzero()[0]
        parent = parent[child]
        rank = tried.cumsum(1)[line[child], label[child]] - 1
        possible[starts[parent] + rank] = False
        likely = most[parent] + own[child] >= 0
        child, parent = child[likely], parent[likely]
        # The same character again needs a blank between.
        reach = np.where(label[child] == label[parent], blank[parent], total[parent]) + own[child]
        again[child] = np.logaddexp(again[child], reach)

        chosen = possible.nonzero()[0]
        beam, place = beam[chosen], place[chosen]
        new, reach = characters[place], scores[at, characters][place]
        reach += np.where(new == label[beam], blank[beam], total[beam])
        if prefixes.space >= 0:
            possible = (new != prefixes.space) | ((label != prefixes.space) & (label >= 0))[beam]
            beam, new, reach = beam[possible], new[possible], reach[possible]

        # New ones are scored by the models, the quicker first, as long as they may be kept.
        kept = np.logaddexp(stay, again) + lm
        least = self._least(kept, begins)
        hope = (reach + (lm + self.bonus)[beam] >= least[line[beam]]).nonzero()[0]
        beam, new, reach = beam[hope], new[hope], reach[hope]
        grown_lm, state = self._add_characters(number[beam], new)
        hope = (reach + grown_lm + self.hot >= least[line[beam]]).nonzero()[0]
        beam, new, reach, grown_lm, state = (
            column[hope] for column in (beam, new, reach, grown_lm, state))
        word_state = self._add_words(number[beam], new, grown_lm)
        ranks = np.concatenate((kept, reach + grown_lm))
        lines = np.concatenate((line, line[beam]))
        chosen = self._choose(ranks, lines, len(scores))
        lost = np.bincount(lines[chosen], minlength=len(scores)) == 0
        if lost.any():
            # A line where nothing may be written, such as a space at its start: it stays.
            stay = np.where(lost[line], total + scores[line, prefixes.blank], stay)
            ranks[:len(kept)] = np.where(lost[line], stay + lm, kept)
            chosen = self._choose(ranks, lines, len(scores))
        old = chosen[chosen < len(kept)]
        made = chosen[chosen >= len(kept)] - len(kept)
        numbers = np.empty(len(chosen), np.int64)
        numbers[chosen < len(kept)] = number[old]
        beam, character = number[beam[made]], new[made]
        step = (character + 1).astype(np.uint64) * _STEP
        numbers[chosen >= len(kept)] = pool.add(
            parent=beam, label=character, lm=grown_lm[made], key=pool.key[beam] * _FACTOR + step,
            word=(pool.word[beam] * _FACTOR + step) * prefixes.is_word[character],
            state=state[made], word_state=word_state[made])
        return _Beams(lines[chosen], numbers,
                      np.concatenate((stay, np.full(len(reach), _NEVER)))[chosen],
                      np.concatenate((again, reach))[chosen])

    def _least(self, kept, begins) -> np.ndarray:
        """Return, for each line, the score below which a new prefix will not be kept."""
        best = np.maximum.reduceat(kept, begins) + self.config.beam_prune_logp
        count = np.add.reduceat(kept > _NEVER, begins)
        full = np.where(count >= self.config.beam_width, np.minimum.reduceat(kept, begins),
                        _NEVER)
        return np.maximum(best, full)

    def _add_characters(self, number: np.ndarray, new: np.ndarray
                        ) -> tuple[np.ndarray, np.ndarray]:
        """Return the language models' score of prefixes with one character more, and the state."""
        pool, config, language = self.pool, self.config, self.language
        lm, state = pool.lm[number] + config.beta, pool.state[number]
        if language.rows is not None and len(number):
            rows, columns = language.rows.of(state), language.columns[new]
            lm += config.alpha * _NATURAL * language.rows.log_prob[rows, columns]
            state = language.rows.state[rows, columns]
        return lm, state

    def _add_words(self, number: np.ndarray, new: np.ndarray, lm: np.ndarray) -> np.ndarray:
        """Add the scores of the words that a new character ends to `lm`; return the states."""
        pool, is_word = self.pool, self.prefixes.is_word
        word_state = pool.word_state[number]
        if self.language.words or self.hotwords:
            ending = (is_word[pool.label[number]] & ~is_word[new]).nonzero()[0]
            ends = number[ending]
            self._end_words(ends)
            lm[ending] += pool.end[ends]
            word_state[ending] = pool.end_state[ends]
        return word_state

    def _choose(self, ranks, lines, count) -> np.ndarray:
        """Return the places of the best of each line, best first, line after line."""
        order = np.lexsort((-ranks, lines))
        ranks, lines = ranks[order], lines[order]
        begins = lines.searchsorted(np.arange(count))
        kept = np.arange(len(order)) - begins[lines] < self.config.beam_width
        kept &= ranks >= ranks[begins][lines] + self.config.beam_prune_logp
        return order[kept & (ranks > _NEVER)]

    # -- the end of a line ---------------------------------------------------------------------

    def readings(self, beams: _Beams, n_best: int) -> list[tuple[list[int], float, float]]:
        """Return the best readings of one line: (labels, score, the network's part of it)."""
        pool, config, language = self.pool, self.config, self.language
        number = beams.number
        # A space at the end is not part of the reading, and costs nothing.
        spaced = (pool.label[number] == self.prefixes.space) & (pool.parent[number] >= 0)
        number = np.where(spaced, pool.parent[number], number)
        lm = pool.lm[number]
        if language.rows is not None and config.lm_score_boundary:
            rows = language.rows.of(pool.state[number])
            lm += config.alpha * _NATURAL * language.rows.log_prob[rows, language.end]
        # Prefixes that differ by that space are one reading.
        _, places, groups = np.unique(pool.key[number], return_index=True, return_inverse=True)
        logits = np.full(len(places), _NEVER)
        np.logaddexp.at(logits, groups, np.logaddexp(beams.blank, beams.other))
        number, lm = number[places], lm[places]
        asked = self.prefixes.is_word[pool.label[number]] & bool(language.words or self.hotwords)
        best: list[tuple[float, float, int]] = []
        # The last word's score adds no more than `hot`: the rest need not be asked for it.
        for place in np.argsort(-(logits + lm), kind="stable"):
            if len(best) >= n_best and logits[place] + lm[place] + self.hot < best[n_best - 1][0]:
                break
            score = logits[place] + lm[place]
            if asked[place]:
                self._end_words(number[place:place + 1])
                score += pool.end[number[place]]
            best.append((float(score), float(logits[place]), int(number[place])))
            best.sort(key=lambda reading: -reading[0])
        return [(pool.labels(prefix), score, logit) for score, logit, prefix in best[:n_best]]


def search(lines: list[np.ndarray], prefixes: Prefixes, language: Language,
           config: SearchSettings, hotwords: frozenset[str], n_best: int
           ) -> list[list[tuple[list[int], float, float]]]:
    """Search several lines side by side.

    Parameters
    ----------
    lines : list of numpy.ndarray
        (T, C) each, T from 1: log-softmax.
    prefixes : Prefixes
    language : Language
    config : SearchSettings
    hotwords : frozenset of str
        Beginning and ending with a letter or digit.
    n_best : int

    Returns
    -------
    list of list of (labels, float, float)
        For each line its readings, best first: score, and the network's part of it.
    """
    order = sorted(range(len(lines)), key=lambda index: -len(lines[index]))
    lengths = [len(lines[index]) for index in order]
    scores = np.full((lengths[0], len(lines), lines[0].shape[1]), _NEVER)
    for place, index in enumerate(order):
        scores[:lengths[place], place] = lines[index]
    running = _Search(prefixes, language, config, hotwords)
    beams, active = running.begin(len(lines)), len(lines)
    results: list = [None] * len(lines)
    for frame in range(lengths[0] + 1):
        while active and lengths[active - 1] == frame:
            active -= 1
            begin = np.searchsorted(beams.line, active)
            results[order[active]] = running.readings(beams.take(slice(begin, None)), n_best)
            beams = beams.take(slice(None, begin))
        if active:
            beams = running.step(beams, scores[frame, :active])
    return results
