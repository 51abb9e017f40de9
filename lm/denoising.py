"""Denoising datasets: pairs of what was written and what the recogniser read."""

import json
from dataclasses import dataclass
from typing import Optional

import numpy as np

from .base.errors import ConfigError, DataError
from .base.files import atomic_path, parse_json, read_text, write_text
from .base.settings import from_mapping

__all__ = ["DenoisingPair", "write_pairs", "read_pairs", "write_notebook_pairs", "write_corpus",
           "k_fold_indices", "FORMAT"]

FORMAT = "denoising-pairs-1"

#: What a header may say of readings of training lines, by its first word.
_ORIGINS = {
    "none": "no line was used to train the network that read it",
    "held-out": "every line was read by a network trained without it",
    "in-sample": "the network was trained on these very lines: its readings of them are better "
                 "than those of new lines, and a corrector trained on them will do too little",
}


@dataclass(frozen=True)
class DenoisingPair:
    """One line: what was written, and what was read.

    Attributes
    ----------
    id, truth, reading : str
    confidence : float or None
    n_best : list of (str, float) or None
        Alternatives with their scores, best first.
    trained_on : bool or None
        Whether the network was trained on this line.
    fold : int or None
        Which network of a k-fold division read it, from 1.
    split : str or None
    """

    id: str
    truth: str
    reading: str
    confidence: Optional[float] = None
    n_best: Optional[list[tuple[str, float]]] = None
    trained_on: Optional[bool] = None
    fold: Optional[int] = None
    split: Optional[str] = None


def write_pairs(path, pairs, header):
    """Write JSON lines: a header, then a pair a line, atomically.

    Parameters
    ----------
    path : str
    pairs : sequence of DenoisingPair
    header : dict
        What the pairs are: data, split, checkpoint, decoder, and
        ``readings_of_training_lines``: "none", "held-out (...)" or "in-sample". The sentence
        that explains it is added.
    """
    origin = str(header.get("readings_of_training_lines", "")).split(" ")[0]
    if origin not in _ORIGINS:
        raise DataError(f"readings_of_training_lines is {origin!r}; "
                        f"known: {', '.join(_ORIGINS)}")
    first = {"format": FORMAT, **header, "meaning": _ORIGINS[origin], "pairs": len(pairs)}
    with atomic_path(path) as temporary:
        with open(temporary, "w", encoding="utf-8", newline="\n") as out:
            out.write(json.dumps(first, ensure_ascii=False) + "\n")
            for pair in pairs:
                row = {k: v for k, v in vars(pair).items() if v is not None}
                out.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_pairs(path):
    """Read what `write_pairs` wrote.

    Returns
    -------
    header : dict
    pairs : list of DenoisingPair

    Raises
    ------
    DataError
        Missing, cut short, malformed, or an id that stands twice; names file and line.
    """
    pairs, seen = [], set()
    rows = [(number, parse_json(text, f"{path}, line {number}"))
            for number, text in enumerate(read_text(path).split("\n"), 1) if text.strip()]
    if not rows or rows[0][1].get("format") != FORMAT:
        raise DataError(f"{path}, line 1: not the header of {FORMAT}")
    header = rows[0][1]
    for number, row in rows[1:]:
        try:
            pair = from_mapping(DenoisingPair, row)
        except ConfigError as error:
            raise DataError(f"{path}, line {number}: not a pair ({error})") from None
        if pair.id in seen:
            raise DataError(f"{path}, line {number}: the id {pair.id!r} stands twice")
        seen.add(pair.id)
        pairs.append(pair)
    if header.get("pairs") != len(pairs):
        raise DataError(f"{path}: cut short: {len(pairs)} of {header.get('pairs')} pairs")
    return header, pairs


def write_notebook_pairs(path, pairs):
    """Write ``[[truth, reading], ...]``, the original notebook's form, atomically."""
    write_text(path, json.dumps([[p.truth, p.reading] for p in pairs], ensure_ascii=False))


def write_corpus(path, texts):
    """Write texts one a line, atomically; line breaks inside a text become spaces."""
    write_text(path, "".join(" ".join(text.splitlines()) + "\n" for text in texts))


def k_fold_indices(n, k, groups=None, seed=1):
    """Divide `n` lines into `k` folds.

    Parameters
    ----------
    n, k : int
        2 <= k <= n.
    groups : sequence, optional
        A group for each line (its writer); a group is never divided. There must be at least
        `k` of them.
    seed : int

    Returns
    -------
    list of numpy.ndarray
        Sorted positions; disjoint, together 0..n-1, none empty, sizes as even as groups allow.
    """
    if not 2 <= k <= n:
        raise DataError(f"{k} folds of {n} lines")
    rng = np.random.default_rng(seed)
    labels = np.arange(n) if groups is None else np.asarray(
        [str(g) for g in groups])
    if len(labels) != n:
        raise DataError(f"{len(labels)} groups for {n} lines")
    names, members = np.unique(labels, return_inverse=True)
    if len(names) < k:
        raise DataError(f"{k} folds of {len(names)} groups")
    sizes = np.bincount(members)
    # Largest first into the emptiest fold; ties in random order.
    order = sorted(rng.permutation(len(names)), key=lambda g: -sizes[g])
    filled, fold_of = np.zeros(k, int), np.zeros(len(names), int)
    for group in order:
        fold_of[group] = filled.argmin()
        filled[fold_of[group]] += sizes[group]
    return [np.flatnonzero(fold_of[members] == fold) for fold in range(k)]
