"""Lexicons: word forms with their frequencies, and those that resemble a given word."""

import functools
import math
import os
from collections import Counter

import numpy as np
from rapidfuzz.distance import Levenshtein

from .base.errors import ConfigError, DataError
from .corpus import read_lines
from .wordforms import word_forms

__all__ = ["Lexicon"]

#: Shorter words are looked up within one edit only: two would make any word of any other.
_LETTERS_FOR_TWO_EDITS = 5

# Log probability of a word outside the lexicon: that there is one, and of each of its letters.
_OUTSIDE = -3.0
_LETTER = -2.0

#: Results of `Lexicon.candidates` that are remembered.
_REMEMBERED = 1 << 16

# An odd base has an inverse modulo 2^64, by which the letters after a deletion are moved.
_BASE = 0x9E3779B97F4A7C15
_SHIFT = pow(_BASE, -1, 1 << 64)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


class Lexicon:
    """Word forms (see `lm.wordforms`) and their log frequencies.

    Parameters
    ----------
    frequencies : mapping of str to float
        Word form -> frequency above 0, on any scale.

    Attributes
    ----------
    words : tuple of str
        Most frequent first, equally frequent ones by code points.
    unlisted : float
        The most that `log_prob` gives a word outside: half of the rarest word's frequency.

    Raises
    ------
    DataError
        No words.
    """

    def __init__(self, frequencies):
        if not frequencies:
            raise DataError("a lexicon needs at least one word")
        self.words = tuple(sorted(frequencies, key=lambda word: (-frequencies[word], word)))
        scale = math.log(math.fsum(frequencies.values()))
        self._log_probs = {word: math.log(frequencies[word]) - scale for word in self.words}
        self.unlisted = self._log_probs[self.words[-1]] - math.log(2)
        self._indices = {}
        self._find = functools.lru_cache(_REMEMBERED)(self._search)

    # -- making one -----------------------------------------------------------------------

    @classmethod
    def from_tsv(cls, path):
        """Read ``word<TAB>frequency`` rows, UTF-8.

        A word of several forms ("aujourd'hui") counts for each; one without letters and digits
        is left out; rows of the same form are added up; blank rows are skipped.

        Raises
        ------
        MissingDataError, DataError
            No such file; a row that is no word and frequency above 0 (file and line are named);
            no word at all.
        """
        counts = Counter()
        for number, text in read_lines(path):
            if not text.strip():
                continue
            word, tab, figure = text.rstrip("\r").partition("\t")
            try:
                frequency = float(figure)
            except ValueError:
                frequency = math.nan
            if not word.strip() or not tab or not 0 < frequency < math.inf:
                raise DataError(f"{path}, line {number}: expected a word, a tab and a frequency "
                                f"above 0, not {text[:60]!r}")
            for form in word_forms(word):
                counts[form] += frequency
        return cls._of(path, counts)

    @classmethod
    def from_text(cls, path):
        """Count the word forms of a UTF-8 text.

        Raises
        ------
        MissingDataError, DataError
            No such file; not UTF-8 (file and line are named); no word at all.
        """
        from tqdm import tqdm

        counts = Counter()
        size = os.path.getsize(path) if os.path.isfile(path) else None
        with tqdm(total=size, unit="B", unit_scale=True, desc="counting words", disable=None,
                  leave=False) as progress:
            for _, text in read_lines(path, progress):
                counts.update(word_forms(text))
        return cls._of(path, counts)

    @classmethod
    def from_ngram(cls, model):
        """Take the words of an n-gram model and their unigram probabilities.

        Parameters
        ----------
        model : lm.NgramModel or str
            A path goes through `lm.load_ngram`. Words are folded to word forms.

        Raises
        ------
        LanguageModelError, MissingDataError
            As `lm.load_ngram`.
        DataError
            A model of characters; no word.
        """
        from .ngram import NgramModel, load_ngram

        if not isinstance(model, NgramModel):
            model = load_ngram(model)
        if model.unit == "character":
            raise DataError(f"{model.path}: a model of characters; a lexicon takes words")
        counts = Counter()
        for word, log_prob in model.unigram_probs():
            for form in word_forms(word):
                counts[form] += 10 ** log_prob
        return cls._of(model.path, counts)

    @classmethod
    def read(cls, paths, weights=None):
        """Read one or more lexicons and merge them.

        Parameters
        ----------
        paths : str or sequence of str
            Each a ``.tsv`` of words and frequencies; an n-gram model (NAME of ``lm train``,
            ``.arpa``, ``.bin``, or their folder); or else a text.
        weights : sequence of float, optional
            See `merge`.
        """
        paths = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
        return cls.merge([cls._read(os.fspath(path)) for path in paths], weights)

    @classmethod
    def merge(cls, lexicons, weights=None):
        """Add up the relative frequencies of several lexicons.

        Parameters
        ----------
        lexicons : sequence of Lexicon
        weights : sequence of float, optional
            One above 0 for each; all the same by default.

        Raises
        ------
        ConfigError
            No lexicon, or weights that do not fit.
        """
        weights = [1.0] * len(lexicons) if weights is None else list(weights)
        if not lexicons:
            raise ConfigError("no lexicon given")
        if len(weights) != len(lexicons) or not all(0 < w < math.inf for w in weights):
            raise ConfigError(f"{len(lexicons)} lexicons need as many weights above 0, "
                              f"not {weights}")
        if len(lexicons) == 1:
            return lexicons[0]
        counts = Counter()
        for lexicon, weight in zip(lexicons, weights):
            for word, log_prob in lexicon._log_probs.items():
                counts[word] += weight * math.exp(log_prob)
        return cls(counts)

    @classmethod
    def _read(cls, path):
        if path.endswith(".tsv"):
            return cls.from_tsv(path)
        if (path.endswith((".arpa", ".bin", ".unigrams.txt", ".json")) or os.path.isdir(path)
                or any(os.path.isfile(path + ending) for ending in (".arpa", ".bin"))):
            return cls.from_ngram(path)
        return cls.from_text(path)

    @classmethod
    def _of(cls, path, counts):
        if not counts:
            raise DataError(f"{path}: holds no words; a lexicon needs at least one")
        return cls(counts)

    # -- using it -------------------------------------------------------------------------

    def __len__(self):
        return len(self.words)

    def __contains__(self, word):
        return word in self._log_probs

    def log_prob(self, word):
        """Return the natural log of a form's relative frequency.

        A word outside has at most `unlisted`, and less the longer it is: there are so many more
        of its length.
        """
        found = self._log_probs.get(word)
        return min(self.unlisted, _OUTSIDE + _LETTER * len(word)) if found is None else found

    def candidates(self, word, max_edits=1):
        """Return the words that differ from `word` by few letters.

        Found are all words within Levenshtein distance 1 (a letter changed, left out or put
        in) and, with ``max_edits=2`` and five letters or more in `word`, within distance 2;
        exchanged neighbours are at distance 2. The first call for each distance builds an
        index of what is left of each word without 1 (or up to 2) of its letters, 8 bytes an
        entry; results are remembered.

        Parameters
        ----------
        word : str
            A word form, of the lexicon or not; itself never among the results.
        max_edits : {1, 2}

        Returns
        -------
        list of str
            Most frequent first.

        Raises
        ------
        ConfigError
            Another number of edits.
        """
        if max_edits not in (1, 2):
            raise ConfigError(f"max_edits must be 1 or 2, not {max_edits!r}")
        return list(self._find(word, max_edits if len(word) >= _LETTERS_FOR_TWO_EDITS else 1))

    def _search(self, word, edits):
        if edits not in self._indices:
            self._indices[edits] = _DeletionIndex(self.words, edits)
        return tuple(other for other in map(self.words.__getitem__, self._indices[edits](word))
                     if 0 < Levenshtein.distance(word, other, score_cutoff=edits) <= edits)


class _DeletionIndex:
    """Words by the hashes of what is left of them without up to `depth` letters.

    Two words within distance `depth` share such a rest: each loses the letters that differ.
    Entries are sorted uint64: a hash, whose low bits give way to the word's number.
    """

    def __init__(self, words, depth):
        self.depth = depth
        self._bits = np.uint64(max(1, (len(words) - 1).bit_length()))
        by_length = {}
        for number, word in enumerate(words):
            by_length.setdefault(len(word), []).append(number)
        rests = {length: 1 + length + (length * (length - 1) // 2 if depth == 2 else 0)
                 for length in by_length}
        entries = np.empty(sum(rests[n] * len(group) for n, group in by_length.items()),
                           np.uint64)
        filled = 0
        for length, group in by_length.items():
            ids = np.array(group, np.uint64)
            codes = np.array([words[i] for i in group], f"U{max(length, 1)}")
            codes = codes.view(np.uint32).reshape(len(group), -1)[:, :length]
            for hashes in _rests(codes, depth):
                entries[filled:filled + len(ids)] = self._pack(hashes) | ids
                filled += len(ids)
        entries.sort()
        self._entries = entries

    def _pack(self, hashes):
        return hashes >> self._bits << self._bits

    def __call__(self, word):
        """Return the numbers, ascending, of words that may be within `depth` edits."""
        codes = np.frombuffer(word.encode("utf-32-le", "surrogatepass"), np.uint32)[None]
        low = self._pack(np.concatenate(list(_rests(codes, self.depth))))
        mask = (np.uint64(1) << self._bits) - np.uint64(1)
        starts = self._entries.searchsorted(low)
        ends = self._entries.searchsorted(low | mask, "right")
        found = [self._entries[a:b] & mask for a, b in zip(starts, ends) if b > a]
        return np.unique(np.concatenate(found)).astype(np.int64).tolist() if found else []


def _rests(codes, depth):
    """Yield the (N,) hashes of N words of L letters, then of each rest after deletions.

    Parameters
    ----------
    codes : numpy.ndarray
        (N, L) uint32 code points.
    depth : {1, 2}
        Letters left out at most.
    """
    length = codes.shape[1]
    powers = np.array([pow(_BASE, n, 1 << 64) for n in range(length)], np.uint64)
    # sums[i] is the polynomial hash of the first i letters.
    sums = np.zeros((length + 1, len(codes)), np.uint64)
    np.cumsum((codes.astype(np.uint64) * _MIX * powers).T, axis=0, out=sums[1:])
    once, twice = np.uint64(_SHIFT), np.uint64(_SHIFT * _SHIFT % (1 << 64))
    yield _mixed(sums[-1])
    for i in range(length):
        yield _mixed(sums[i] + (sums[-1] - sums[i + 1]) * once)
        for j in range(i + 1, length if depth == 2 else 0):
            yield _mixed(sums[i] + (sums[j] - sums[i + 1]) * once
                         + (sums[-1] - sums[j + 1]) * twice)


def _mixed(hashes):
    # The high bits of a product depend on all bits of its factors; the low ones do not.
    return (hashes ^ (hashes >> np.uint64(31))) * _MIX
