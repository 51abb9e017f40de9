"""A recogniser's errors, learned from its readings and made again on clean text."""

import json
import unicodedata
from bisect import bisect_right
from collections import Counter, defaultdict

import numpy as np
from rapidfuzz.distance import Levenshtein

from ocr.exceptions import DataError
from ocr.files import write_json

__all__ = ["NoiseModel", "tidy", "FORMAT"]

FORMAT = "noise-model-1"

#: Levels of noise that the lines' own error rates are condensed to.
_LEVELS = 100
#: No more than this share of a line's characters is made wrong.
_WORST = 0.95


def tidy(text):
    """Return `text` in NFC without outer and repeated spaces: the form of every reading."""
    return " ".join(unicodedata.normalize("NFC", text).split())


class NoiseModel:
    """Errors by character, in proportions learned from pairs.

    A character is read as another, left out, or followed by one that is not there, each as
    often as in the pairs. Lines differ: each draws its own error rate from those of the
    pairs, and all its characters' odds of error are scaled to it.

    Parameters
    ----------
    counts : dict of str to dict
        For each true character: how often it was read as what; "" where it was left out.
        Readings as itself count too.
    inserted : dict of str to int
        Characters read where nothing was written.
    lines : int
        Lines the counts come from.
    rates : sequence of float
        Error rates a line may have, equally likely.

    Raises
    ------
    DataError
        No character, or a count or rate that cannot be one.
    """

    def __init__(self, counts, inserted, lines, rates):
        self.counts = {truth: dict(read) for truth, read in counts.items()}
        self.inserted, self.lines, self.rates = dict(inserted), int(lines), list(map(float, rates))
        numbers = [n for read in self.counts.values() for n in read.values()]
        if not self.counts or not self.rates or self.lines < 1:
            raise DataError("a noise model needs at least one line that is not empty")
        if (min(numbers, default=0) < 1 or min(self.inserted.values(), default=1) < 1
                or min(self.rates) < 0):
            raise DataError("a noise model's counts must be positive, its rates not negative")
        totals = np.array([sum(read.values()) for read in self.counts.values()], float)
        right = np.array([read.get(truth, 0) for truth, read in self.counts.items()], float)
        wrong = np.minimum((totals - right) / totals, _WORST)
        extra = sum(self.inserted.values()) / (totals.sum() + self.lines)
        self._insert = extra / (1 + extra)
        self._wrong = dict(zip(self.counts, wrong))
        self._reads = {truth: _table({r: n for r, n in read.items() if r != truth})
                       for truth, read in self.counts.items()}
        self._inserts = _table(self.inserted)
        self._scales = _scales(np.minimum(self.rates, _WORST), wrong, totals / totals.sum(), extra)

    @classmethod
    def learn(cls, pairs):
        """Count the errors of `pairs`.

        Parameters
        ----------
        pairs : iterable of (str, str) or DenoisingPair
            Truth and reading; aligned by Levenshtein. Pairs with an empty truth are left out.

        Returns
        -------
        NoiseModel
        """
        counts, inserted, lines = defaultdict(Counter), Counter(), []
        for pair in pairs:
            truth, reading = map(tidy, pair if isinstance(pair, tuple)
                                 else (pair.truth, pair.reading))
            if not truth:
                continue
            edits = Levenshtein.editops(truth, reading)
            lines.append((len(edits) / len(truth), len(truth)))
            seen = {}
            for edit in edits:
                if edit.tag == "insert":
                    inserted[reading[edit.dest_pos]] += 1
                else:
                    seen[edit.src_pos] = (reading[edit.dest_pos] if edit.tag == "replace" else "")
            for position, character in enumerate(truth):
                counts[character][seen.get(position, character)] += 1
        return cls(counts, inserted, len(lines), _levels(lines)) if lines \
            else cls({}, {}, 0, ())

    def apply(self, text, rng):
        """Return `text` with errors.

        Parameters
        ----------
        text : str
            Characters that the pairs did not hold stay as they are.
        rng : numpy.random.Generator

        Returns
        -------
        str
            Tidy, as readings are.
        """
        text = tidy(text)
        scale = self._scales[rng.integers(len(self._scales))]
        if scale == 0:
            return text
        insert = _odds(self._insert, scale)
        chance = rng.random((2, len(text) + 1)).tolist()
        result = []
        for position, character in enumerate((*text, None)):
            while self._inserts and rng.random() < insert:
                result.append(_draw(self._inserts, rng.random()))
            if character is None:
                break
            wrong = _odds(self._wrong.get(character, 0.0), scale)
            if chance[0][position] < wrong:
                character = _draw(self._reads[character], chance[1][position])
            result.append(character)
        return tidy("".join(result))

    def to_dict(self):
        """Return a JSON-ready dict."""
        return {"format": FORMAT, "lines": self.lines, "rates": self.rates,
                "inserted": self.inserted, "counts": self.counts}

    @classmethod
    def from_dict(cls, value):
        """Rebuild from `to_dict`'s result; `DataError` where it is none."""
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise DataError(f"not a noise model of the format {FORMAT}")
        try:
            return cls(value["counts"], value["inserted"], value["lines"], value["rates"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DataError(f"not a noise model ({' '.join(str(error).split())})") from None

    def save(self, path):
        """Write it as JSON, atomically."""
        write_json(path, self.to_dict())

    @classmethod
    def load(cls, path):
        """Read what `save` wrote; `DataError` names the file."""
        try:
            with open(path, encoding="utf-8") as source:
                return cls.from_dict(json.load(source))
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from None
        except ValueError as error:  # not JSON, not UTF-8, or our own DataError
            raise DataError(f"{path}: {error}") from None


def _table(counts):
    """(characters, cumulative shares) for `_draw`; () of nothing."""
    if not counts:
        return ()
    characters = sorted(counts)
    shares = np.cumsum([counts[c] for c in characters], dtype=float)
    return characters, (shares / shares[-1]).tolist()


def _draw(table, chance):
    characters, shares = table
    return characters[min(bisect_right(shares, chance), len(characters) - 1)]


def _odds(probability, scale):
    """`probability` with its odds multiplied by `scale`."""
    return scale * probability / (1 - probability + scale * probability)


def _levels(lines):
    """Condense (rate, length) of lines to at most `_LEVELS` rates that are equally likely.

    Lines count by their length, and each level is a mean, so that the mean of the levels is
    the rate of all lines together.
    """
    rates, lengths = np.array(sorted(lines), float).T
    ends = np.cumsum(lengths)
    edits = np.concatenate([[0], np.cumsum(rates * lengths)])
    cuts = np.linspace(0, ends[-1], min(_LEVELS, int(ends[-1])) + 1)
    steps = np.diff(np.interp(cuts, np.concatenate([[0], ends]), edits))
    return np.maximum(steps / np.diff(cuts), 0).round(9).tolist()


def _scales(rates, wrong, shares, extra):
    """The factor on all odds at which the expected error rate is each of `rates`."""
    low, high = np.full(len(rates), -20.0), np.full(len(rates), 20.0)
    for _ in range(50):
        middle = (low + high) / 2
        scale = np.exp(middle)[:, None]
        expected = (shares * _odds(wrong, scale)).sum(axis=1) + extra * scale[:, 0]
        low, high = (np.where(expected < rates, middle, low),
                     np.where(expected < rates, high, middle))
    return np.where(rates > 0, np.exp((low + high) / 2), 0.0).tolist()
