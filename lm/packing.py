"""From an ARPA file to the flat arrays of `lm.packed`, whole or in few bits."""

import os
from collections.abc import Iterable, Sequence
from typing import Any, Optional, Union

import numpy as np

from .arpa import check_arpa, read_entries
from .base.errors import LanguageModelError
from .packed import SPECIAL, PackedNgram, first_children

__all__ = ["pack_arpa"]

#: log10 probability of unknown words in a model without <unk>, as KenLM has it.
_UNKNOWN_MISSING = -100.0


def pack_arpa(path: Union[str, os.PathLike], quantise: int = 0,
              keep: Optional[Iterable[str]] = None,
              metadata: Optional[dict[str, Any]] = None) -> PackedNgram:
    """Read an ARPA file into flat arrays.

    Parameters
    ----------
    path : str
    quantise : int
        Bits for each probability and each back-off weight, up to 8; 0 keeps them whole.
    keep : iterable of str, optional
        Words; n-grams that hold another are left out. A recogniser whose alphabet they are
        loses nothing by it.
    metadata : dict, optional

    Raises
    ------
    MissingDataError, LanguageModelError
        No such file, or a damaged one: the n-gram is named.
    """
    path = os.fspath(path)
    kept = None if keep is None else {*keep, *SPECIAL}
    highest = len(check_arpa(path))
    sections = read_entries(path)
    unigrams: dict[str, list[float]] = {}
    for word, *figures in next(sections):
        word = "<unk>" if word == "<UNK>" else word
        if word in unigrams:
            raise LanguageModelError(f"{path}: its word {word!r} stands there twice")
        if kept is None or word in kept:
            unigrams[word] = figures
    for word in SPECIAL[1:]:
        if word not in unigrams:
            raise LanguageModelError(f"{path}: it has no {word}")
    unigrams.setdefault("<unk>", [_UNKNOWN_MISSING, 0.0])
    words = sorted(unigrams.keys() - set(SPECIAL), key=lambda word: word.encode("utf-8"))
    number = {word: place for place, word in enumerate((*SPECIAL, *words))}
    table = np.array([unigrams[word] for word in number], np.float32)
    probs, backoffs, last = [table[:, 0]], [table[:, 1]], []
    starts, children = [0, 1, 1 + len(number)], [np.zeros(1, np.int64)]
    nodes = {word: 1 + place for word, place in number.items()}
    for order, entries in enumerate(sections, 2):
        size = starts[-1] - starts[-2]
        found = _section(path, order, entries, number, nodes, kept)
        rows = np.lexsort((found["word"], found["context"]))
        context, word = found["context"][rows], found["word"][rows]
        same = (context[1:] == context[:-1]) & (word[1:] == word[:-1])
        if same.any():
            text = found["texts"][rows[int(same.argmax())]]
            raise LanguageModelError(f"{path}: its {order}-gram {text!r} stands there twice")
        children.append(np.bincount(context - starts[-2], minlength=size))
        nodes = {}
        if order < highest:
            nodes = {found["texts"][row]: starts[-1] + place
                     for place, row in enumerate(rows.tolist())}
        starts.append(starts[-1] + len(rows))
        last.append(word)
        probs.append(found["prob"][rows])
        backoffs.append(found["backoff"][rows])
    counts, words_of = np.concatenate(children), np.concatenate([np.empty(0, np.int64), *last])
    arrays = {"starts": np.array(starts, np.int64),
              "children": counts.astype(np.min_scalar_type(counts.max())),
              "block": first_children(counts, starts[2]).astype(np.uint32),
              "word": words_of.astype(np.min_scalar_type(len(number) - 1))}
    for name, parts in (("prob", probs), ("backoff", backoffs[:-1])):
        arrays.update(_coded(name, parts, quantise))
    told = {**(metadata or {}), **({"quantised": quantise} if quantise else {})}
    return PackedNgram(highest, "".join(f"{word}\n" for word in words).encode("utf-8"),
                       arrays, told)


def _section(path: str, order: int, entries: Iterable[tuple[str, float, float]],
             number: dict[str, int], nodes: dict[str, int], kept: Optional[set[str]]
             ) -> dict[str, Any]:
    """Return the n-grams of one order from 2, in the order of the file."""
    texts, contexts, words, probs, backoffs = [], [], [], [], []
    for text, prob, backoff in entries:
        if "<UNK>" in text:
            text = " ".join("<unk>" if word == "<UNK>" else word for word in text.split(" "))
        if kept is not None and not kept.issuperset(text.split(" ")):
            continue
        context, _, word = text.rpartition(" ")
        if context not in nodes or word not in number:
            raise LanguageModelError(f"{path}: its {order}-gram {text!r} has no {order - 1}-gram "
                                     f"{context!r}" if word in number else
                                     f"{path}: its {order}-gram {text!r} holds {word!r}, its "
                                     "unigrams do not")
        texts.append(text)
        contexts.append(nodes[context])
        words.append(number[word])
        probs.append(prob)
        backoffs.append(backoff)
    return {"texts": texts, "context": np.array(contexts, np.int64),
            "word": np.array(words, np.int64), "prob": np.array(probs, np.float32),
            "backoff": np.array(backoffs, np.float32)}


def _coded(name: str, parts: Sequence[np.ndarray], bits: int) -> dict[str, np.ndarray]:
    """Return figures, order by order, as one array, or as codes and what these stand for."""
    if not parts:
        return {name: np.empty(0, np.float32)}
    if not bits:
        return {name: np.concatenate(parts)}
    books = [_book(part, 1 << bits) for part in parts]
    codes = [_nearest(book, part) for part, book in zip(parts, books)]
    table = np.zeros((len(parts), 1 << bits), np.float32)
    for row, book in zip(table, books):
        row[:len(book)] = book
    return {name: np.concatenate(codes).astype(np.uint8), f"{name}_book": table}


def _nearest(book: np.ndarray, values: np.ndarray) -> np.ndarray:
    # In double precision: the middle of two neighbours would be one of them.
    return np.searchsorted((book[1:] + book[:-1].astype(np.float64)) / 2, values)


def _book(values: np.ndarray, size: int) -> np.ndarray:
    """Return at most `size` figures, sorted, that stand for all: exact where these suffice."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= size:
        return distinct
    # Half of them equally filled and half at equal distances, so that the few frequent words are
    # not far from all; then moved to the means of what is nearest (k-means).
    places = np.searchsorted(np.cumsum(counts), np.linspace(1, len(values), size // 2))
    book = np.union1d(distinct[places], np.linspace(distinct[0], distinct[-1], size // 2))
    for _ in range(3):
        nearest = _nearest(book, distinct)
        weight = np.bincount(nearest, counts, len(book))
        total = np.bincount(nearest, counts * distinct.astype(np.float64), len(book))
        book = np.where(weight > 0, total / np.maximum(weight, 1), book)
    return np.unique(book.astype(np.float32))
