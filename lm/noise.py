"""A recogniser's errors, learned from its readings and made again on clean text."""

import math
import unicodedata
from bisect import bisect_right
from collections import Counter, defaultdict

import numpy as np
from rapidfuzz.distance import Levenshtein

from .base.errors import DataError
from .base.files import read_json, write_json

__all__ = ["NoiseModel", "tidy", "FORMAT"]

FORMAT = "noise-model-1"

#: Levels of noise that the lines' own error rates are condensed to.
_LEVELS = 100
#: No more than this share of a line's characters is made wrong.
_WORST = 0.95
#: Rounds of fitting odds to the errors' shares.
_ROUNDS = 10
#: Characters that one may be read as.
_LONGEST = 4


def tidy(text):
    """Return `text` in NFC without outer and repeated spaces: the form of every reading."""
    return " ".join(unicodedata.normalize("NFC", text).split())


class NoiseModel:
    """Errors by character, in proportions learned from pairs.

    A character is read as another, as several, or left out, each as often as in the pairs.
    What is read where nothing was written counts with a misread neighbour ("m" read as "rn"),
    or else with the character before. Lines differ: each draws its own error rate from those
    of the pairs, and all its characters' odds of error are scaled to it.

    Parameters
    ----------
    counts : dict of str to dict
        For each true character: how often it was read as which string; mostly as itself. The
        character "" is the beginning of a line.
    rates : sequence of float
        Error rates a line may have, equally likely.

    Raises
    ------
    DataError
        No character, or a count or rate that cannot be one.
    """

    def __init__(self, counts, rates):
        self.counts = {truth: dict(read) for truth, read in counts.items()}
        self.rates = [float(rate) for rate in rates]
        numbers = [n for read in self.counts.values() for n in read.values()]
        if not self.counts.keys() - {""} or not self.rates:
            raise DataError("a noise model needs at least one line that is not empty")
        if (not all(self.counts.values()) or min(numbers) < 1
                or not 0 <= min(self.rates) <= max(self.rates) < math.inf):
            raise DataError("a noise model's counts must be positive, its rates not negative")
        wrong, edits, weights = [], [], []
        self._reads = {}
        for truth, read in self.counts.items():
            misread = {r: n for r, n in read.items() if r != truth}
            errors, total = sum(misread.values()), sum(read.values())
            self._reads[truth] = _table(misread)
            wrong.append(min(errors / total, _WORST))
            edits.append(sum(n * Levenshtein.distance(truth, r) for r, n in misread.items())
                         / max(errors, 1))
            weights.append(total)
        weights = np.array(weights, float)
        written = weights.sum() - sum(self.counts.get("", {}).values())
        wrong, self._scales = _fit(np.minimum(self.rates, _WORST), np.array(wrong),
                                   weights / written * edits)
        self._wrong = dict(zip(self.counts, wrong))

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
        counts, lines = defaultdict(Counter), []
        for pair in pairs:
            truth, reading = map(tidy, pair if isinstance(pair, tuple)
                                 else (pair.truth, pair.reading))
            if truth:
                edits = Levenshtein.editops(truth, reading)
                lines.append((len(edits) / len(truth), len(truth)))
                for character, read in zip(("", *truth), _readings(truth, reading, edits)):
                    counts[character][read[:_LONGEST]] += 1
        return cls(counts, _levels(lines) if lines else ())

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
        if not text or not scale:
            return text
        chances, choices = rng.random((2, len(text) + 1)).tolist()
        return tidy("".join(
            _draw(self._reads[character], choice)
            if chance < _odds(self._wrong.get(character, 0.0), scale) else character
            for character, chance, choice in zip(("", *text), chances, choices)))

    def to_dict(self):
        """Return a JSON-ready dict."""
        return {"format": FORMAT, "rates": self.rates, "counts": self.counts}

    @classmethod
    def from_dict(cls, value):
        """Rebuild from `to_dict`'s result; `DataError` where it is none."""
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise DataError(f"not a noise model of the format {FORMAT}")
        try:
            return cls(value["counts"], value["rates"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DataError(f"not a noise model ({' '.join(str(error).split())})") from None

    def save(self, path):
        """Write it as JSON, atomically."""
        write_json(path, self.to_dict())

    @classmethod
    def load(cls, path):
        """Read what `save` wrote; `DataError` names the file."""
        value = read_json(path)
        try:
            return cls.from_dict(value)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None


def _readings(truth, reading, edits):
    """Return what the beginning of a line and each of its characters were read as."""
    read, inserted = ["", *truth], defaultdict(str)
    for edit in edits:
        if edit.tag == "insert":
            inserted[edit.src_pos] += reading[edit.dest_pos]
        else:
            read[edit.src_pos + 1] = reading[edit.dest_pos] if edit.tag == "replace" else ""
    misread = {edit.src_pos + 1 for edit in edits if edit.tag != "insert"}
    for position, characters in inserted.items():
        if position not in misread and position + 1 in misread:
            read[position + 1] = characters + read[position + 1]
        else:
            read[position] += characters
    return read


def _table(counts):
    """(strings, cumulative shares) for `_draw`; empty of nothing."""
    strings = sorted(counts)
    shares = np.cumsum([counts[c] for c in strings], dtype=float)
    return strings, (shares / shares[-1:]).tolist()


def _draw(table, chance):
    strings, shares = table
    return strings[min(bisect_right(shares, chance), len(strings) - 1)]


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


def _fit(rates, wrong, edits):
    """Find odds that give the lines their rates and, on the whole, each character its own.

    Parameters
    ----------
    rates : numpy.ndarray
        Expected error rates of lines, equally likely.
    wrong : numpy.ndarray
        For each character the probability that it is misread.
    edits : numpy.ndarray
        What it then adds to the error rate.

    Returns
    -------
    wrong : list of float
        For a line of the scale 1. A character cannot be wrong more than always, so that the
        likely errors of a bad line grow less than the rare ones; this makes up for it.
    scales : list of float
        A factor on the odds for each of `rates`.
    """
    base = wrong
    for _ in range(_ROUNDS):
        mean = _odds(base, _scales(rates, base, edits)[:, None]).mean(axis=0)
        base = np.clip(base * wrong / np.maximum(mean, 1e-12), 0, _WORST)
    return base.tolist(), _scales(rates, base, edits).tolist()


def _scales(rates, wrong, edits):
    """The factor on all odds at which the expected error rate is each of `rates`."""
    low, high = np.full(len(rates), -20.0), np.full(len(rates), 20.0)
    for _ in range(40):
        middle = (low + high) / 2
        short = (edits * _odds(wrong, np.exp(middle)[:, None])).sum(axis=1) < rates
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return np.where(rates > 0, np.exp((low + high) / 2), 0.0)
