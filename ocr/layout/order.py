"""The order in which the rows of a page are read: columns, and rows from top to bottom."""

import numpy as np

__all__ = ["reading_order"]

# Fewest rows of a column, and how wide half of them are at least, in x-heights: figures behind
# the entries of a list and notes of a word or two are read with the rows they stand beside.
_FEWEST, _NARROWEST = 3, 10
# Share of the lower of two columns' heights that they have in common at least.
_LEAST_SHARED = 0.5


def reading_order(rows):
    """Sort rows: columns from left to right, within them from top to bottom.

    A row that reaches across columns, such as a heading, ends those above it and begins those
    below. Where there are no columns, what stands side by side goes from left to right.

    Parameters
    ----------
    rows : list of Row

    Returns
    -------
    list of Row
    """
    parts = _columns(rows)
    if parts is None:
        return _by_rows(rows)
    return [row for part in parts for row in reading_order(part)]


def _height(row):
    return float(np.mean(row.ridge))


def _columns(rows):
    """Return the rows in parts, to be read one after the other; None where all are one part."""
    if len(rows) < 2 * _FEWEST:
        return None
    x_height = float(np.median([row.x_height for row in rows]))
    rows = sorted(rows, key=_height)
    best = None
    for edge in sorted({row.last for row in rows}):
        side = [_side(row, edge, x_height) for row in rows]
        crossing, fewer = side.count(0), min(side.count(-1), side.count(1))
        if fewer < _FEWEST or best and best[0] <= (crossing, -fewer):
            continue
        parts = _bands(rows, side, x_height)
        if parts:
            best = (crossing, -fewer), parts
    return best and best[1]


def _side(row, edge, x_height):
    """Return -1 for a row left of a column's right edge, 1 for one right of it, 0 for across."""
    if row.last <= edge + x_height:
        return -1
    return 1 if row.first >= edge else 0


def _bands(rows, side, x_height):
    """Return the parts into which rows fall at an edge, or None where it parts no columns."""
    parts, band, found = [], [], False

    def close():
        nonlocal found
        left, right = ([row for row, s in band if s == which] for which in (-1, 1))
        if _are_columns(left, right, x_height):
            found = True
            parts.extend((left, right))
        elif band:
            parts.append([row for row, _ in band])
        band.clear()

    for row, which in zip(rows, side):
        if which:
            band.append((row, which))
        else:
            close()
            parts.append([row])
    close()
    return parts if found else None


def _are_columns(left, right, x_height):
    if min(len(left), len(right)) < _FEWEST:
        return False
    spans = []
    for column in (left, right):
        if np.median([row.last - row.first for row in column]) < _NARROWEST * x_height:
            return False
        heights = [_height(row) for row in column]
        spans.append((min(heights), max(heights)))
    (a, b), (c, d) = spans
    return min(b, d) - max(a, c) >= _LEAST_SHARED * min(b - a, d - c)


def _by_rows(rows):
    """Sort rows from top to bottom; what stands side by side from left to right."""
    def beside(row, other):
        a, b = sorted((row, other), key=lambda one: one.first)
        shared = min(a.last, b.last) - b.first
        return shared < 0.2 * min(len(a.ridge), len(b.ridge)) and \
            abs(a.ends(int(5 * a.x_height))[1] - b.ends(int(5 * b.x_height))[0]) < \
            1.4 * max(a.x_height, b.x_height)

    groups = []
    for row in sorted(rows, key=_height):
        for group in groups[-3:]:
            if all(beside(row, other) for other in group):
                group.append(row)
                break
        else:
            groups.append([row])
    return [row for group in groups for row in sorted(group, key=lambda one: one.first)]
