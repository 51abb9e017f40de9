"""Corpus-level CER, WER and SER, with bootstrap intervals, confusions and worst lines."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Optional

import numpy as np
from rapidfuzz.distance import Levenshtein

from lm.base.errors import DataError
from lm.base.plugins import Registry

from .tidy import tidy

__all__ = ["TOKENISATIONS", "TextMetric", "Summary", "paired_bootstrap", "confusions",
           "tokenise_words"]

#: Numbers that a bootstrap draws at once.
_DRAWN = 1_000_000

#: Ways to cut a line into words for the WER.
TOKENISATIONS = Registry("WER tokenisation")


@TOKENISATIONS.register("space")
def _space(text):
    return text.split()


@TOKENISATIONS.register("words-punctuation")
def _words_punctuation(text):
    # A word with inner apostrophes or hyphens stays whole; other marks stand alone.
    return re.findall(r"\w+(?:['’\-]\w+)*|[^\w\s]", text)


def tokenise_words(text, tokenisation="space"):
    """Cut `text` into words as the WER counts them."""
    return TOKENISATIONS.get(tokenisation)(text)


@dataclass(frozen=True)
class Summary:
    """Error rates over all lines: sum of edits / sum of reference lengths.

    Attributes
    ----------
    cer, wer, ser : float
        Character, word and sequence (line) error rates; 0.1 is 10%. NaN when the references
        are empty.
    cer_interval, wer_interval, ser_interval : (float, float) or None
        95% bootstrap intervals over lines.
    lines, characters, words : int
        Lines, and lengths of the references.
    character_edits, word_edits, wrong_lines : int
    tokenisation : str
        How words were cut.
    """

    cer: float
    wer: float
    ser: float
    lines: int
    characters: int
    words: int
    character_edits: int
    word_edits: int
    wrong_lines: int
    tokenisation: str
    cer_interval: Optional[tuple] = None
    wer_interval: Optional[tuple] = None
    ser_interval: Optional[tuple] = None


class TextMetric:
    """Collects (reference, hypothesis) pairs; both are compared as `tidy` has them.

    Parameters
    ----------
    tokenisation : str
        "space" (whitespace) or "words-punctuation"; an unknown name's error lists the known.

    Examples
    --------
    >>> metric = TextMetric()
    >>> metric.update("abcd", "abxd")
    >>> metric.summary(bootstrap=0).cer
    0.25
    """

    def __init__(self, tokenisation="space"):
        self._words = TOKENISATIONS.get(tokenisation)
        self.tokenisation = tokenisation
        self.reset()

    def reset(self):
        """Forget all pairs."""
        self._rows = []

    def update(self, reference, hypothesis):
        """Add one line."""
        reference, hypothesis = tidy(reference), tidy(hypothesis)
        words = self._words(reference)
        self._rows.append((Levenshtein.distance(reference, hypothesis), len(reference),
                           Levenshtein.distance(words, self._words(hypothesis)), len(words),
                           int(reference != hypothesis)))

    def update_many(self, references, hypotheses):
        """Add lines; `DataError` when the two lists are not equally long."""
        references, hypotheses = list(references), list(hypotheses)
        if len(references) != len(hypotheses):
            raise DataError(f"{len(references)} references for {len(hypotheses)} readings")
        for reference, hypothesis in zip(references, hypotheses):
            self.update(reference, hypothesis)

    def line_counts(self):
        """Return int (lines, 5): character edits, characters, word edits, words, wrong."""
        return np.array(self._rows, dtype=np.int64).reshape(-1, 5)

    def summary(self, bootstrap=1000, seed=1):
        """Return a `Summary`.

        Parameters
        ----------
        bootstrap : int
            Resamples of the lines for the 95% intervals; 0 for none.
        seed : int
        """
        rows = self.line_counts()
        totals = rows.sum(axis=0)
        intervals = {}
        if bootstrap and len(rows):
            drawn = _rates(_resample(rows, bootstrap, seed))
            with np.errstate(all="ignore"):
                low, high = np.nanpercentile(drawn, [2.5, 97.5], axis=0) \
                    if np.isfinite(drawn).any(axis=0).all() else np.full((2, 3), np.nan)
            intervals = {f"{name}_interval": (float(a), float(b))
                         for name, a, b in zip(("cer", "wer", "ser"), low, high)}
        cer, wer, ser = (float(v) for v in _rates(
            np.append(totals, len(rows))[None])[0])
        return Summary(cer, wer, ser, len(rows), int(totals[1]), int(totals[3]), int(totals[0]),
                       int(totals[2]), int(totals[4]), self.tokenisation, **intervals)


def _resample(rows, times, seed):
    """Sums over `times` resamples of the lines: (times, 6), the last the number of lines."""
    rng = np.random.default_rng(seed)
    shares = np.full(len(rows), 1 / len(rows))
    sums = np.empty((times, rows.shape[1] + 1), np.int64)
    sums[:, -1] = len(rows)
    # Some resamples at a time: all of them would be 1,000 times the lines.
    step = max(1, _DRAWN // len(rows))
    for begin in range(0, times, step):
        counts = rng.multinomial(len(rows), shares, size=min(step, times - begin))
        sums[begin:begin + step, :-1] = counts @ rows
    return sums


def _rates(sums):
    """(CER, WER, SER) of rows of sums; NaN where a reference length is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = sums[:, [0, 2, 4]] / sums[:, [1, 3, 5]].astype(float)
    rates[~np.isfinite(rates)] = np.nan
    return rates


def paired_bootstrap(references, first, second, tokenisation="space", times=1000, seed=1):
    """Compare two systems' readings of the same lines.

    Returns
    -------
    dict
        For "cer", "wer", "ser": `difference` (second - first; negative when the second is
        better), its 95% `interval`, `p`: the two-sided share of resamples in which the sign
        is the other; `relative`, the difference as a share of the first's rate, and its
        `relative_interval` (None where the first makes no error).
    """
    metrics = [TextMetric(tokenisation), TextMetric(tokenisation)]
    for metric, readings in zip(metrics, (first, second)):
        metric.update_many(references, readings)
    rows = [m.line_counts() for m in metrics]
    if not len(rows[0]):
        raise DataError("no lines to compare")
    # The same seed draws the same lines for both.
    before = _rates(_resample(rows[0], times, seed))
    drawn = _rates(_resample(rows[1], times, seed)) - before
    actual = [_rates(np.append(r.sum(axis=0), len(r))[None])[0] for r in rows]
    result = {}
    for i, name in enumerate(("cer", "wer", "ser")):
        difference = float(actual[1][i] - actual[0][i])
        other = min((drawn[:, i] <= 0).mean(), (drawn[:, i] >= 0).mean())
        low, high = np.percentile(drawn[:, i], [2.5, 97.5])
        result[name] = {"difference": difference, "interval": (float(low), float(high)),
                        "p": float(min(1.0, 2 * other)),
                        "relative": None, "relative_interval": None}
        if actual[0][i] > 0 and (before[:, i] > 0).all():
            low, high = np.percentile(drawn[:, i] / before[:, i], [2.5, 97.5])
            result[name].update(relative=difference / float(actual[0][i]),
                                relative_interval=(float(low), float(high)))
    return result


def confusions(references, hypotheses, top=30):
    """Return the most frequent character errors.

    Returns
    -------
    list of dict
        `truth`, `read` ("" for an insertion or deletion), `count`, and `share` of all edits.
    """
    counts = Counter()
    for reference, hypothesis in zip(map(tidy, references), map(tidy, hypotheses)):
        for edit in Levenshtein.editops(reference, hypothesis):
            truth = "" if edit.tag == "insert" else reference[edit.src_pos]
            read = "" if edit.tag == "delete" else hypothesis[edit.dest_pos]
            counts[truth, read] += 1
    total = sum(counts.values())
    return [{"truth": truth, "read": read, "count": count, "share": count / total}
            for (truth, read), count in counts.most_common(top)]
