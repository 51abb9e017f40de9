"""Lines that stand in two splits: what is trained on says nothing about what it was not."""

import warnings
from collections.abc import Mapping
from itertools import combinations, islice

import numpy as np

from lm.base.errors import DataError

from .base import LineDataset

__all__ = ["shared_lines", "warn_of_shared_lines"]

#: Pairs of lines of one text whose pixels are compared at most.
MOST_COMPARED = 500


def shared_lines(first: LineDataset, second: LineDataset) -> list[tuple[str, str]]:
    """Return the lines that two datasets share.

    Lines are the same where they have the same text, and come from the same place or have the
    same pixels. Of pairs of one text from different places `MOST_COMPARED` are looked at, evenly
    spread: short words have many.

    Returns
    -------
    list of (str, str)
        Ids in the first dataset and in the second; each line of the second stands once.
    """
    places: dict[str, list[int]] = {}
    for other, text in enumerate(second.texts()):
        places.setdefault(text, []).append(other)
    common = [(index, text) for index, text in enumerate(first.texts()) if text in places]
    known = {(text, second.image_key(other)): other for text in {text for _, text in common}
             for other in places[text]}
    found: dict[int, int] = {}
    for index, text in common:
        if (same := known.get((text, first.image_key(index)))) is not None:
            found.setdefault(same, index)
    # Never all at once: a word of a hundred lines here and there makes ten thousand pairs.
    pairs = ((index, other) for index, text in common for other in places[text])
    step = sum(len(places[text]) for _, text in common) // MOST_COMPARED + 1
    for index, other in islice(pairs, 0, None, step):
        if other not in found and _same_pixels(first, index, second, other):
            found[other] = index
    return [(first.samples[index].id, second.samples[other].id)
            for other, index in sorted(found.items())]


def _same_pixels(first, index, second, other):
    try:
        return first.image_size(index) == second.image_size(other) and np.array_equal(
            first.image(index), second.image(other))
    except DataError:
        # An image that cannot be read is reported where it is used.
        return False


def warn_of_shared_lines(datasets: Mapping[str, LineDataset]) -> None:
    """Warn where two of several splits share lines; see `shared_lines`."""
    for (one, first), (two, second) in combinations(datasets.items(), 2):
        if shared := shared_lines(first, second):
            of_first, of_second = shared[0]
            warnings.warn(f"{len(shared)} of {len(second)} lines for {two} are lines for {one}, "
                          f"too (such as {of_second}, there {of_first}): figures on them will be "
                          "too good", stacklevel=2)
