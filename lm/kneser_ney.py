"""Interpolated modified Kneser-Ney estimation in numpy, with lmplz's own figures.

The estimator follows Chen and Goodman's modified Kneser-Ney smoothing in the form that
KenLM's ``lmplz`` gives it (Heafield et al. 2013), down to lmplz's conventions:

- n-grams of the highest order, and those that begin with ``<s>``, keep their raw counts;
  every other n-gram counts the distinct words that stand before it;
- discounts are found per order from the adjusted counts and replaced by fixed ones where
  the closed form has no solution;
- unigrams are interpolated with the uniform distribution over the vocabulary with
  ``<unk>`` and ``</s>``, without ``<s>``; ``<s>`` itself has probability 1;
- pruning drops n-grams by their raw count and gives their mass to the backoff.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from .base.errors import ConfigError, LanguageModelError

__all__ = ["FALLBACK_DISCOUNTS", "OrderTable", "KneserNeyModel", "index_sentences", "estimate",
           "check_settings"]

#: lmplz's discounts for adjusted counts 1, 2 and 3+ where the closed form fails.
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)

UNK, BOS, EOS = 0, 1, 2

# The usual figure for "never" in ARPA files; KenLM refuses minus infinity.
_LOG_ZERO = -99.0


@dataclass(frozen=True)
class OrderTable:
    """All n-grams of one order.

    Attributes
    ----------
    context : np.ndarray of int, shape (n,)
        Row, in the table of the order below, of the n-gram without its last word (zeros for
        unigrams).
    word : np.ndarray of int, shape (n,)
        Index of the last word.
    suffix : np.ndarray of int, shape (n,)
        Row, in the table of the order below, of the n-gram without its first word (zeros for
        unigrams).
    log_prob, backoff : np.ndarray of float32, shape (n,)
        Base-10 logarithms. The backoffs of the highest order are 0.
    """

    context: np.ndarray
    word: np.ndarray
    suffix: np.ndarray
    log_prob: np.ndarray
    backoff: np.ndarray

    def __len__(self):
        return len(self.word)


@dataclass(frozen=True)
class KneserNeyModel:
    """An estimated model.

    Attributes
    ----------
    words : tuple of str
        The vocabulary; the first three are ``<unk>``, ``<s>`` and ``</s>``.
    tables : tuple of OrderTable
        One for each order, from 1.
    discounts : tuple of (float, float, float)
        For adjusted counts 1, 2 and 3+, one for each order.
    fallback_orders : tuple of int
        Orders whose discounts are the fallback's.
    """

    words: tuple
    tables: tuple
    discounts: tuple
    fallback_orders: tuple

    @property
    def order(self):
        """Highest order."""
        return len(self.tables)

    def texts(self):
        """Yield, order by order, the list of the n-grams' texts, words joined by a space."""
        texts = []
        words = np.array(self.words, dtype=object)
        for table in self.tables:
            last = words[table.word]
            if texts:
                texts = [f"{texts[context]} {word}" for context, word
                         in zip(table.context.tolist(), last)]
            else:
                texts = list(last)
            yield texts


def index_sentences(sentences):
    """Number the words of a corpus by first appearance.

    Parameters
    ----------
    sentences : iterable of list of str
        Tokens without sentence boundaries.

    Returns
    -------
    words : tuple of str
        The vocabulary, ``<unk>``, ``<s>``, ``</s>`` first.
    tokens : np.ndarray of int32
        All sentences one after the other, each between 1 (``<s>``) and 2 (``</s>``).
    """
    from array import array

    index = defaultdict()
    index.default_factory = index.__len__
    for special in ("<unk>", "<s>", "</s>"):
        index[special]  # noqa: B018 - numbers the word
    tokens = array("i")
    for sentence in sentences:
        tokens.append(BOS)
        tokens.extend(map(index.__getitem__, sentence))
        tokens.append(EOS)
    return tuple(index), np.frombuffer(tokens, dtype=np.int32) if tokens else np.empty(0, np.int32)


class _Counts:
    """n-grams of one order with their raw counts, before estimation."""

    def __init__(self, context, word, suffix, raw, bos):
        self.context = context
        self.word = word
        self.suffix = suffix
        self.raw = raw
        self.bos = bos  # begins with <s>
        self.adjusted = None

    def __len__(self):
        return len(self.word)


def _unique(keys):
    """Return (distinct sorted keys, position of one occurrence of each, inverse, counts)."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    new = np.empty(len(keys), dtype=bool)
    new[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    inverse = np.empty(len(keys), dtype=np.int32)
    inverse[order] = np.cumsum(new, dtype=np.int32) - 1
    first = np.flatnonzero(new)
    counts = np.diff(np.append(first, len(keys)))
    return ordered[first], order[first], inverse, counts


def _count(tokens, size, order, progress):
    """Return the `_Counts` of every order of `tokens` over `size` words."""
    raw = np.bincount(tokens, minlength=size)
    raw[BOS] = 0
    nothing = np.zeros(size, dtype=np.int32)
    words = np.arange(size, dtype=np.int32)
    levels = [_Counts(nothing, words, nothing, raw, words == BOS)]
    # rows[i]: the n-gram of the current order that starts at token i.
    rows = tokens
    starts = np.arange(len(tokens), dtype=np.int32)
    progress.update()
    for length in range(2, order + 1):
        # No n-gram goes on after </s>, so none spans two sentences.
        starts = starts[tokens[starts + (length - 2)] != EOS]
        if not len(starts):
            raise LanguageModelError(
                f"the corpus has no n-gram of order {length}: its longest sentence, with both "
                f"boundaries, has {length - 1} tokens; use an order of at most {length - 1}")
        keys = rows[starts].astype(np.int64)
        keys *= size
        keys += tokens[starts + (length - 1)]
        keys, samples, inverse, raw = _unique(keys)
        context = (keys // size).astype(np.int32)
        word = (keys % size).astype(np.int32)
        suffix = rows[starts[samples] + 1]
        levels.append(_Counts(context, word, suffix, raw, levels[-1].bos[context]))
        rows = np.zeros(len(tokens), dtype=np.int32)
        rows[starts] = inverse
        progress.update()
    return levels


def _adjust(levels):
    """Fill in the adjusted counts: distinct left neighbours, but raw counts where due."""
    for level, above in zip(levels, levels[1:]):
        level.adjusted = np.bincount(above.suffix, minlength=len(level))
        level.adjusted[level.bos] = level.raw[level.bos]
    levels[0].adjusted = levels[0].raw if len(levels) == 1 else levels[0].adjusted
    levels[-1].adjusted = levels[-1].raw


def _last_ngram(tokens, order):
    """Return the longest run of tokens, below `order`, that ends lmplz's last n-gram.

    lmplz sorts n-grams by their last word, then the one before, and so on, with words
    numbered by first appearance. The run ends at ``<s>`` if it meets one.
    """
    ends = np.flatnonzero(tokens == tokens.max())
    run = [int(tokens[ends[0]])]
    while len(run) < order - 1 and run[0] != BOS:
        ends = ends - 1
        before = tokens[ends]
        run.insert(0, int(before.max()))
        ends = ends[before == run[0]]
    return run


def _count_of_counts(levels, tokens):
    """Return n_1 .. n_4 of every order, as lmplz counts them; shape (orders, 5)."""
    order = len(levels)
    table = np.array([np.bincount(np.minimum(level.adjusted, 5), minlength=6)[:5]
                      for level in levels])
    # When lmplz comes to the end of its sorted n-grams it enters the last n-gram of each
    # lower order with its raw count. This matters in small corpora only, but there it does.
    run = _last_ngram(tokens, order)
    for length in range(1, min(len(run), order - 1) + 1):
        level = levels[length - 1]
        row = _find(levels, run[len(run) - length:])
        for count, change in ((level.adjusted[row], -1), (level.raw[row], 1)):
            if count < 5:
                table[length - 1, count] += change
    return table


def _find(levels, words):
    """Return the row of an n-gram that is in the table."""
    row = words[0]
    for level, word in zip(levels[1:], words[1:]):
        # Rows are sorted by context, then word.
        low, high = np.searchsorted(level.context, [row, row + 1])
        row = low + int(np.searchsorted(level.word[low:high], word))
    return row


def _discount(n, order):
    """Return Chen and Goodman's three discounts (equation 26), or why there are none."""
    for count in (1, 2, 3):
        if n[count] == 0:
            return None, f"no {order}-gram has the adjusted count {count}"
    # In single precision and in this order, so that limits fall as in lmplz.
    single = np.float32
    ratio = single(n[1]) / single(n[1] + 2.0 * n[2])
    discounts = []
    for count in (1, 2, 3):
        value = single(count) - (single(count + 1) * ratio * single(n[count + 1])
                                 / single(n[count]))
        if not 0 <= value <= count:
            return None, (f"the discount of {order}-grams with adjusted count {count} is out of "
                          f"range ({value:.4g})")
        discounts.append(float(value))
    return tuple(discounts), None


def _discounts(levels, tokens, fallback):
    """Return the discounts of every order and the orders that took the fallback."""
    discounts, fallen = [], []
    for order, n in enumerate(_count_of_counts(levels, tokens), 1):
        found, reason = _discount(n, order)
        if found is None:
            if fallback is None:
                raise LanguageModelError(
                    f"no Kneser-Ney discounts for order {order}: {reason}; the corpus is small "
                    "or repeats itself: remove duplicates or allow the discount fallback")
            found = fallback
            fallen.append(order)
        discounts.append(found)
    return tuple(discounts), tuple(fallen)


def _log10(values):
    logs = np.full(len(values), _LOG_ZERO)
    np.log10(values, out=logs, where=values > 0)
    return np.minimum(logs, 0).astype(np.float32)


def check_settings(order, fallback=None, prune=()):
    """Raise `ConfigError` if a setting of `estimate` is out of range."""
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise ConfigError(f"the order must be a whole number from 1, not {order!r}")
    if fallback is not None:
        if len(fallback) != 3 or not all(0 <= d <= i for i, d in enumerate(fallback, 1)):
            raise ConfigError("the fallback discounts must be three numbers within [0, 1], "
                              f"[0, 2] and [0, 3], not {fallback!r}")
    if prune:
        if len(prune) > order or prune[0] != 0 or list(prune) != sorted(prune):
            raise ConfigError("the pruning thresholds must begin with 0, never fall, and be no "
                              f"more than the order ({order}), not {prune!r}")


def estimate(words, tokens, order, fallback=FALLBACK_DISCOUNTS, prune=(),
             interpolate_unigrams=True):
    """Estimate an interpolated modified Kneser-Ney model.

    Parameters
    ----------
    words : sequence of str
    tokens : np.ndarray of int32
        As `index_sentences` returns them.
    order : int
        Highest order, from 1.
    fallback : tuple of 3 floats or None
        Discounts for orders where the closed form fails; None makes that an error.
    prune : sequence of int
        Drop n-grams whose raw count is at most this, one threshold for each order from 1; the
        last holds for the orders that follow. The first must be 0.
    interpolate_unigrams : bool
        As lmplz does by default; False gives all the spare mass of the unigrams to ``<unk>``.

    Returns
    -------
    KneserNeyModel

    Raises
    ------
    LanguageModelError
        Empty corpus; no n-gram of the order, or none left by pruning; discounts cannot be
        found and there is no fallback.
    ConfigError
        A setting is out of range.
    """
    from tqdm import tqdm

    check_settings(order, fallback, prune)
    if not (tokens > EOS).any():
        raise LanguageModelError("the corpus is empty: it holds no token")
    with tqdm(total=2 * order, desc="estimating", unit="order", disable=None,
              leave=False) as progress:
        levels = _count(tokens, len(words), order, progress)
        _adjust(levels)
        discounts, fallen = _discounts(levels, tokens, fallback)
        given = list(prune) or [0]
        thresholds = given + given[-1:] * (order - len(given))
        kept = [level.raw > threshold if threshold else None
                for level, threshold in zip(levels, thresholds)]
        tables = _interpolate(levels, discounts, kept, interpolate_unigrams, progress)
        tables = _drop(tables, kept)
    for number, table in enumerate(tables, 1):
        if not len(table):
            raise LanguageModelError(f"pruning leaves no n-gram of order {number}")
    return KneserNeyModel(tuple(words), tables, discounts, fallen)


def _interpolate(levels, discounts, kept, interpolate_unigrams, progress):
    """Return the `OrderTable` of every order, pruned n-grams still in."""
    tables = []
    below = None
    for level, discount, keep in zip(levels, discounts, kept):
        taken = np.array((0.0, *discount))[np.minimum(level.adjusted, 3)]
        spare = taken if keep is None else np.where(keep, taken, level.adjusted)
        if below is None:
            total = level.adjusted.sum()
            gamma = spare.sum() / total
            prob = (level.adjusted - taken) / total
            if interpolate_unigrams:
                prob += gamma / (len(level) - 1)  # every word but <s>
            else:
                prob[UNK] = gamma
            prob[BOS] = 1.0
        else:
            size = len(below)
            total = np.bincount(level.context, weights=level.adjusted, minlength=size)
            gamma = np.bincount(level.context, weights=spare, minlength=size)
            is_context = total > 0
            np.divide(gamma, total, out=gamma, where=is_context)
            gamma[~is_context] = 1.0
            prob = (level.adjusted - taken) / total[level.context]
            prob += gamma[level.context] * below[level.suffix]
            tables[-1].backoff[:] = _log10(gamma)
        tables.append(OrderTable(level.context, level.word, level.suffix, _log10(prob),
                                 np.zeros(len(level), dtype=np.float32)))
        below = prob
        progress.update()
    return tuple(tables)


def _drop(tables, kept):
    """Leave the pruned n-grams out and renumber the rows."""
    if all(keep is None for keep in kept):
        return tables
    result = []
    renumbered = None
    for table, keep in zip(tables, kept):
        if keep is None:
            keep = np.ones(len(table), dtype=bool)
        context, suffix = table.context[keep], table.suffix[keep]
        if renumbered is not None:
            context, suffix = renumbered[context], renumbered[suffix]
        result.append(OrderTable(context, table.word[keep], suffix, table.log_prob[keep],
                                 table.backoff[keep]))
        renumbered = np.cumsum(keep, dtype=np.int32) - 1
    return tuple(result)
