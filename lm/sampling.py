"""Pseudo text from a list of word frequencies, for character models without running text."""

import math
import os
from dataclasses import dataclass

from .base.errors import ConfigError, DataError
from .base.files import atomic_path, check_apart
from .corpus import read_lines

__all__ = ["LARGEST_SHARE", "SamplingConfig", "read_frequencies", "word_counts", "sample_text"]

#: No word is more than this share of the tokens: articles would fill half of the text otherwise.
LARGEST_SHARE = 0.002


def read_frequencies(path):
    """Yield (word, frequency) of a list ``word<TAB>frequency``, UTF-8, one word a line.

    Parameters
    ----------
    path : str
        Blank lines are passed over.

    Raises
    ------
    MissingDataError, DataError
        No such file; a row that is not a word, a tab and a positive number; no row at all.
        The message names file and line.
    """
    empty = True
    for number, text in read_lines(path):
        if not text.strip():
            continue
        word, *rest = text.rstrip("\r").split("\t")
        try:
            (figure,) = rest
            frequency = float(figure)
            good = word.strip() and 0 < frequency < math.inf
        except ValueError:
            good = False
        if not good:
            raise DataError(f"{path}, line {number}: {text[:60]!r} is not a word, a tab and a "
                            "positive number")
        empty = False
        yield word.strip(), frequency
    if empty:
        raise DataError(f"{path}: holds no word")


@dataclass(frozen=True)
class SamplingConfig:
    """Settings of `sample_text`.

    Parameters
    ----------
    words : str
        List of words and frequencies; see `read_frequencies`.
    output : str
        Text file to write.
    tokens : int
        Words to write.
    seed : int
    capitals : float
        Share of the words written with a capital, 0..1.
    line_words : int
        Words a line.
    """

    words: str
    output: str
    tokens: int = 2_000_000
    seed: int = 1
    capitals: float = 0.15
    line_words: int = 12

    def __post_init__(self):
        for name in ("words", "output"):
            object.__setattr__(self, name, os.fspath(getattr(self, name)))
        for name, least in (("tokens", 1), ("line_words", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"{name} must be a whole number from {least}, not {value!r}")
        if not 0 <= self.capitals <= 1:
            raise ConfigError(f"capitals must lie in 0..1, not {self.capitals!r}")
        check_apart([self.output], [self.words])


def word_counts(frequencies, tokens):
    """Share `tokens` among words by frequency: each at least once, none too often.

    Parameters
    ----------
    frequencies : array_like of float, shape (n,)
        Positive.
    tokens : int
        With fewer tokens than words, the most frequent words come once each.

    Returns
    -------
    np.ndarray of int, shape (n,)
        They add up to `tokens`. None is above `LARGEST_SHARE` of `tokens`, or above an equal
        share where there are too few words for that.
    """
    import numpy as np

    frequencies = np.asarray(frequencies, dtype=float)
    size = len(frequencies)
    counts = np.zeros(size, dtype=int)
    if tokens <= size:
        counts[np.argsort(-frequencies, kind="stable")[:tokens]] = 1
        return counts
    largest = max(int(LARGEST_SHARE * tokens), -(-tokens // size))
    # The factor that makes the shares, held within 1 and `largest`, add up to `tokens`.
    low, high = 0.0, largest / frequencies.min()
    for _ in range(200):
        factor = (low + high) / 2
        if np.clip(factor * frequencies, 1, largest).sum() < tokens:
            low = factor
        else:
            high = factor
    shares = np.clip(high * frequencies, 1, largest)
    whole = np.floor(shares)
    # Rounding the running total of what is over keeps the sum, and each count beside its share.
    over = np.floor(np.cumsum(shares - whole) + 0.5)
    return (whole + np.diff(over, prepend=0)).astype(int)


def sample_text(config):
    """Write words in random order, drawn by frequency (see `word_counts`).

    The text teaches a character model which words there are, not how they follow each other.

    Parameters
    ----------
    config : SamplingConfig

    Returns
    -------
    dict
        ``words`` in the list, ``used`` of them, ``tokens`` and ``lines`` written.

    Raises
    ------
    MissingDataError, DataError, ConfigError
        As `read_frequencies`; a setting out of range.
    """
    import numpy as np
    from tqdm import tqdm

    totals = {}
    for word, frequency in read_frequencies(config.words):
        totals[word] = totals.get(word, 0.0) + frequency
    words = list(totals)
    random = np.random.default_rng(config.seed)
    counts = word_counts(list(totals.values()), config.tokens)
    order = random.permutation(np.repeat(np.arange(len(words)), counts))
    capital = random.random(len(order)) < config.capitals
    starts = range(0, len(order), config.line_words)
    with atomic_path(config.output) as path, \
            open(path, "w", encoding="utf-8", newline="\n") as out:
        for start in tqdm(starts, desc="writing text", unit="line", disable=None, leave=False):
            part = slice(start, start + config.line_words)
            line = (words[i][:1].upper() + words[i][1:] if big else words[i]
                    for i, big in zip(order[part].tolist(), capital[part].tolist()))
            out.write(" ".join(line) + "\n")
    return {"words": len(words), "used": int((counts > 0).sum()), "tokens": len(order),
            "lines": len(starts)}
