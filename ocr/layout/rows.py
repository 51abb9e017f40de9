"""Rows of writing: the ridges of the ink smeared along it, and the ink of each.

Pieces of ink go to the ridge that runs through them, or to the nearest; a piece with several
ridges is cut where it is thinnest between them.
"""

from dataclasses import dataclass
from typing import Optional

import numpy as np

from .ink import gutters, keep_pieces, pieces_of

__all__ = ["Row", "find_rows", "only_line", "plausible"]

# Slopes a line may have besides the page's: perspective, a hand that rises.
_MOST_SLOPE = 0.09
# Pieces of rows on one page; a texture has any number.
_MOST_PIECES = 600


@dataclass
class Row:
    """A row being put together, in pixels of the upright mask."""

    #: Ridge: row of the middle of the small letters, for columns first .. first + len.
    first: int
    ridge: np.ndarray
    #: How much ink there is about the ridge.
    strength: np.ndarray
    #: Pixels of ink.
    rows: Optional[np.ndarray] = None
    columns: Optional[np.ndarray] = None
    slope: float = 0.0
    #: Heights at column 0: baseline, and top of the small letters.
    base: float = 0.0
    x_height: float = 0.0
    _ends: Optional[tuple] = None

    @property
    def last(self):
        return self.first + len(self.ridge)

    def ends(self, reach):
        """Return the heights of the ridge's beginning and end, each over `reach` columns."""
        if self._ends is None:
            reach = max(1, reach)
            self._ends = (float(np.median(self.ridge[:reach])),
                          float(np.median(self.ridge[-reach:])))
        return self._ends

    def at(self, columns):
        """Return the ridge's row at columns, continued evenly to both sides."""
        inside = np.clip(columns - self.first, 0, len(self.ridge) - 1).astype(int)
        return self.ridge[inside] + self.slope * (columns - self.first - inside)


def find_rows(ink, config):
    """Return the `Row` of each line."""
    labels, boxes, areas = pieces_of(ink)
    if not len(boxes):
        return []
    heights = boxes[:, 2] - boxes[:, 0]
    widths = boxes[:, 3] - boxes[:, 1]
    real = (heights >= config.min_x_height) & (areas >= config.min_x_height ** 2 / 2) \
        & (np.maximum(widths, heights) < 40 * np.minimum(widths, heights))
    if not real.any():
        return []
    # Most ink is in pieces of about one letter's or word's height.
    order = np.argsort(heights[real])
    weight = np.cumsum(widths[real][order])
    scale = float(heights[real][order][np.searchsorted(weight, weight[-1] / 2)])
    x_height = min(max(0.6 * scale, config.min_x_height), config.max_x_height)
    # Grain of the paper is not smeared, nor are pictures.
    speck = (areas < (0.15 * x_height) ** 2) | (heights > 25 * x_height)
    labels = labels * ~keep_pieces(labels, speck)
    lines = []
    for _ in range(2):
        lines = _assigned(labels, boxes, x_height, config)
        if not lines:
            return []
        weights = [len(line.rows) for line in lines]
        order = np.argsort([line.x_height for line in lines])
        total = np.cumsum(np.array(weights)[order])
        measured = lines[order[np.searchsorted(total, total[-1] / 2)]].x_height
        if 0.75 < measured / x_height < 1.33:
            break
        x_height = min(max(measured, config.min_x_height), config.max_x_height)
    return lines


def _ridges(ink, x_height, config):
    """Return the `Row` (ridges alone) of the smeared ink."""
    from scipy.ndimage import label, maximum_filter1d, uniform_filter1d

    smeared = ink.astype(np.float32)
    for _ in range(2):
        smeared = uniform_filter1d(smeared, max(3, int(3.5 * x_height) | 1), axis=1,
                                   mode="constant")
        smeared = uniform_filter1d(smeared, max(3, int(0.7 * x_height) | 1), axis=0,
                                   mode="constant")
    window = max(3, int(1.1 * x_height) | 1)
    highest = maximum_filter1d(smeared, window, axis=0, mode="constant")
    crest = (smeared == highest) & (smeared > 0.015)
    if not crest.any():
        return []
    level = float(np.percentile(smeared[crest], 90))
    crest &= smeared > 0.2 * level
    between = gutters(ink, x_height)
    for column, top, bottom in between:
        crest[top:bottom, column - 1:column + 2] = False
    labels, count = label(maximum_filter1d(crest.astype(np.uint8), max(3, int(0.4 * x_height) | 1),
                                           axis=0), np.ones((3, 3), bool))
    rows, columns = np.nonzero(crest)
    names, weights = labels[rows, columns], smeared[rows, columns]
    pieces = []
    for name in range(1, count + 1):
        mine = names == name
        r, c, w = rows[mine], columns[mine], weights[mine]
        first, span = int(c.min()), int(np.ptp(c)) + 1
        mass = np.bincount(c - first, w, span)
        middle = np.bincount(c - first, w * r, span) / np.maximum(mass, 1e-9)
        there = np.flatnonzero(mass)
        crested = mass / np.maximum(np.bincount(c - first, minlength=span), 1)
        pieces.append(Row(first, np.interp(np.arange(span), there, middle[there]),
                           np.interp(np.arange(span), there, crested[there])))
    return _linked(pieces, x_height, config.gap, between)


def _linked(pieces, x_height, gap, between):
    """Join ridges that continue each other; of two that lie in one row keep the stronger.

    Ridges on both sides of one of the gutters `between` columns are not joined.
    """
    lines = []
    for piece in sorted(pieces, key=lambda piece: -piece.strength.sum())[:_MOST_PIECES]:
        for line in lines:
            low, high = max(piece.first, line.first), min(piece.last, line.last)
            if high - low <= 0.3 * len(piece.ridge):
                continue
            mine, other = (slice(low - row.first, high - row.first) for row in (piece, line))
            away = float(np.abs(piece.ridge[mine] - line.ridge[other]).mean())
            # Ascenders and descenders make ridges of their own: weak, and near.
            weak = piece.strength[mine].mean() < 0.7 * line.strength[other].mean()
            if away < (2.5 if weak else 1.3) * x_height:
                break
        else:
            lines.append(piece)
    while len(lines) > 1:
        a, b = _next_pair(lines, x_height, gap, between)
        if a is None:
            break
        joined = _joined(lines[a], lines[b])
        lines = [line for i, line in enumerate(lines) if i not in (a, b)] + [joined]
    return lines


def _next_pair(lines, x_height, gap, between):
    """Return the numbers of the ridges, left and right, that continue each other best."""
    firsts = np.array([line.first for line in lines])
    lasts = np.array([line.last for line in lines])
    begins, ends = (np.array([line.ends(int(5 * x_height))[i] for line in lines])
                    for i in (0, 1))
    apart = firsts[None, :] - lasts[:, None]
    away = np.abs(ends[:, None] - begins[None, :])
    fits = ((apart >= -2 * x_height) & (apart <= gap * x_height)
            & (away < np.where(apart < 4 * x_height, 1.5, 0.9) * x_height)
            & (lasts[None, :] > lasts[:, None]) & (firsts[None, :] > firsts[:, None]))
    for column, top, bottom in between:
        fits &= ~((lasts[:, None] < column + x_height) & (firsts[None, :] > column - x_height)
                  & (ends[:, None] >= top) & (ends[:, None] < bottom))
    if not fits.any():
        return None, None
    cost = np.where(fits, away + np.maximum(apart, 0), np.inf)
    return np.unravel_index(int(cost.argmin()), cost.shape)


def _joined(a, b):
    columns = np.concatenate([np.arange(a.first, a.last), np.arange(b.first, b.last)])
    columns, places = np.unique(columns, return_index=True)
    every = np.arange(columns[0], columns[-1] + 1)
    ridge, strength = (np.interp(every, columns, np.concatenate(values)[places]) for values in (
        (a.ridge, b.ridge), (a.strength, b.strength)))
    return Row(int(columns[0]), ridge, strength)


def _assigned(labels, boxes, x_height, config):
    """Return the rows with the pieces of ink that belong to each."""
    lines = _ridges(labels > 0, x_height, config)
    if not lines:
        return []
    lines.sort(key=lambda line: float(np.mean(line.ridge)))
    # Which ridges run through which piece.
    through = {}
    for number, line in enumerate(lines):
        columns = np.arange(line.first, line.last)
        rows = np.clip(np.round(line.ridge).astype(int), 0, labels.shape[0] - 1)
        reach = max(1, int(0.3 * x_height))
        for shift in (-reach, 0, reach):
            hit = labels[np.clip(rows + shift, 0, labels.shape[0] - 1), columns]
            for piece in np.unique(hit[hit > 0]):
                through.setdefault(int(piece), set()).add(number)
    rows, columns = np.nonzero(labels)
    names = labels[rows, columns]
    owner = np.full(len(boxes) + 1, -1)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    present = np.unique(names)
    for piece in present:
        owners = through.get(int(piece), ())
        owner[piece] = next(iter(owners)) if len(owners) == 1 else \
            -2 if owners else _nearest(lines, *centres[piece - 1], x_height)
    of_pixel = owner[names]
    if (of_pixel == -2).any():
        shared = np.flatnonzero(of_pixel == -2)
        order = shared[np.argsort(names[shared], kind="stable")]
        for part in np.split(order, np.flatnonzero(np.diff(names[order])) + 1):
            of_pixel[part] = _divided(rows[part], columns[part], lines,
                                      sorted(through[int(names[part[0]])]), x_height)
    kept = []
    for number, line in enumerate(lines):
        mine = of_pixel == number
        if mine.sum() < 0.2 * x_height ** 2:
            continue
        line.rows, line.columns = rows[mine], columns[mine]
        kept.append(line)
    kept = _absorbed(kept, x_height)
    for line in kept:
        _measure(line, x_height)
    return kept


def _absorbed(lines, x_height):
    """Give fragments, a row of dots or crossbars, to the row they are part of."""
    kept = []
    for line in sorted(lines, key=lambda line: -len(line.rows)):
        for other in kept:
            shared = min(line.last, other.last) - max(line.first, other.first)
            columns = np.arange(line.first, line.last)
            if len(line.rows) < 0.2 * len(other.rows) and shared > 0.7 * len(columns) \
                    and np.abs(line.ridge - other.at(columns)).mean() < 2.2 * x_height:
                other.rows = np.concatenate([other.rows, line.rows])
                other.columns = np.concatenate([other.columns, line.columns])
                break
        else:
            kept.append(line)
    return kept


def _nearest(lines, row, column, x_height):
    """Return the number of the row that a piece without a ridge belongs to, or -1."""
    best, nearest = -1, 2.6 * x_height
    for number, line in enumerate(lines):
        beside = max(line.first - column, column - line.last, 0)
        if beside > 3 * x_height:
            continue
        away = row - float(line.at(np.array([column]))[0])
        # Accents and dots stand above, commas below: the latter are nearer.
        distance = (-away if away < 0 else 1.4 * away) + 0.3 * beside
        if distance < nearest:
            best, nearest = number, distance
    return best


def _divided(rows, columns, lines, numbers, x_height):
    """Share the pixels of a piece out among the rows that run through it."""
    owner = np.full(len(rows), numbers[0])
    for upper, lower in zip(numbers, numbers[1:]):
        top, bottom = lines[upper].at(columns), lines[lower].at(columns)
        distance = float(np.median(bottom - top))
        if distance <= 0:
            continue
        # Where between the two ridges the piece has least ink: 0 is the upper one.
        place = (rows - top) / np.maximum(bottom - top, 1)
        bins = max(3, int(distance))
        inside = (place >= 0) & (place < 1)
        profile = np.bincount((place[inside] * bins).astype(int), minlength=bins)
        profile = np.convolve(profile, np.ones(3) / 3, mode="same")
        low, high = int(0.25 * bins), max(int(0.8 * bins), int(0.25 * bins) + 1)
        weakest = np.flatnonzero(profile[low:high] <= profile[low:high].min() * 1.1 + 0.5)
        cut = (low + weakest[len(weakest) // 2] + 0.5) / bins
        owner[place > cut] = lower
    return owner


def _measure(line, x_height):
    """Set a row's slope, baseline and x-height from its ink."""
    columns = np.arange(line.first, line.last)
    line.slope = 0.0
    if len(columns) > 12 * x_height:
        slope = float(np.polyfit(columns, line.ridge, 1)[0])
        if abs(slope) <= _MOST_SLOPE:
            line.slope = slope
    level = float(np.mean(line.ridge - line.slope * columns))
    heights = line.rows - line.slope * line.columns - level
    reach = int(3 * x_height)
    inside = np.abs(heights) < reach
    profile = np.bincount(np.floor(heights[inside]).astype(int) + reach, minlength=2 * reach + 1)
    width = max(1, int(0.15 * x_height))
    profile = np.convolve(profile, np.ones(width) / width, mode="same")
    near = slice(int(2.2 * x_height), max(int(3.8 * x_height), int(2.2 * x_height) + 1))
    peak = near.start + int(np.argmax(profile[near]))
    strong = profile > 0.42 * profile[peak]
    top, bottom = peak, peak
    while top > 0 and strong[top - 1]:
        top -= 1
    while bottom + 1 < len(strong) and strong[bottom + 1]:
        bottom += 1
    line.base = level + bottom + 1 - reach
    line.x_height = float(bottom + 1 - top)


def only_line(lines, height, bottom):
    """Return all there is as one row where the image is one line, else None.

    Such images show pieces of the lines above and below, too, which are no lines. `height` is
    the image's, `bottom` the upright mask's.
    """
    if not lines:
        return None
    lines = sorted(lines, key=lambda line: -len(line.rows))
    one = lines[0]
    x_height = one.x_height
    edge = max(1, 0.15 * x_height)
    rows, columns = [one.rows], [one.columns]
    for line in lines[1:]:
        shared = min(line.last, one.last) - max(line.first, one.first)
        middle = np.array([(line.first + line.last) / 2])
        apart = abs(float((line.at(middle) - one.at(middle))[0]))
        if shared < 0.2 * len(line.ridge) and apart < 1.8 * x_height:
            one = _joined(one, line)
            rows.append(line.rows)
            columns.append(line.columns)
        elif line.rows.min() > edge and line.rows.max() < bottom - edge \
                and np.ptp(line.rows) > 0.8 * x_height and len(line.rows) > 0.7 * x_height ** 2 \
                and apart > 2.2 * x_height:
            # Whole, and not little: a line of its own.
            return None
    total = sum(len(line.rows) for line in lines)
    if height > 9 * x_height or sum(map(len, rows)) < 0.6 * total:
        return None
    one.rows, one.columns = np.concatenate(rows), np.concatenate(columns)
    _measure(one, x_height)
    return one


def plausible(lines, shape, config):
    """Drop what is no line: fragments that the image's edge cuts, specks, pictures."""
    if not lines:
        return []
    weights = np.array([len(line.rows) for line in lines])
    typical = float(np.median([line.x_height for line in lines]))
    strongest = weights.max()
    kept = []
    for line, weight in zip(lines, weights):
        high = line.rows.max() + 1 - line.rows.min()
        wide = line.columns.max() + 1 - line.columns.min()
        # One letter has no rows to measure; its line's neighbours have.
        if wide < 6 * typical or not 0.6 * typical < line.x_height < 1.7 * typical:
            line.x_height = min(max(line.x_height, 0.7 * typical), 1.4 * typical)
        cut = line.rows.min() <= 1 or line.rows.max() >= shape[0] - 2
        if len(lines) > 1 and cut and (weight < 0.3 * strongest or high < 1.2 * typical):
            continue
        if high < 0.6 * typical and weight < 0.2 * strongest and wide < 4 * typical:
            continue
        if line.x_height < config.min_x_height or line.x_height > 2.5 * config.max_x_height:
            continue
        kept.append(line)
    return kept
