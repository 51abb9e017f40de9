"""Finding the lines of a page: even lighting, ink, skew, pieces of ink, rows.

Rows are the ridges of the ink smeared along the writing; pieces of ink go to the ridge that runs
through them, or to the nearest; a piece with several ridges is cut where it is thinnest between
them.
"""

import math
from dataclasses import dataclass

import numpy as np

from lm.base.errors import ConfigError

from ..image.cutting import make_line, turn_matrix
from ..image.load import as_grey
from .base import LayoutConfig

__all__ = ["find_lines", "can_find_lines"]

# Slopes a line may have besides the page's: perspective, a hand that rises.
_MOST_SLOPE = 0.09
# Pieces of rows on one page; a texture has any number.
_MOST_PIECES = 600


def can_find_lines():
    """Return whether scikit-image, which `find_lines` needs, is installed."""
    from importlib.util import find_spec

    return find_spec("skimage") is not None


def find_lines(image, config=None):
    """Find the lines of text of a page, scan or photo.

    Parameters
    ----------
    image : numpy.ndarray or PIL.Image.Image
        As for `ocr.layout.as_grey`: colour, alpha, 16 bits, dark or light ink.
    config : LayoutConfig, optional

    Returns
    -------
    list of TextLine
        From top to bottom, pieces of one row from left to right; empty for a blank page.

    Raises
    ------
    ConfigError
        scikit-image is not installed.
    DataError
        Not an image.
    """
    if not can_find_lines():
        raise ConfigError("finding lines needs scikit-image: pip install 'ocr[layout]'")
    config = config or LayoutConfig()
    grey = as_grey(image)
    size = grey.shape[::-1]
    small = _scaled(grey, config.max_side)
    scale = size[0] / small.shape[1], size[1] / small.shape[0]
    light = _light_ink(small)
    ink = _binarise(255 - small if light else small, config)
    ink = _without_edges(ink)
    if not ink.any():
        return []
    angle = _skew(ink, config.max_skew)
    ink, offset = _upright(ink, angle)
    rules = np.zeros((2, 0), np.int64)
    if config.rules:
        text = _without_rules(ink)
        rules = np.array(np.nonzero(ink & ~text))
        ink = text
    lines = _rows(ink, config)
    one = _only_line(lines, small.shape[0], ink.shape[0])
    if one is None:
        lines = _plausible(lines, ink.shape, config)
    else:
        # Its width is that of all ink: nothing else is there.
        one.rows, one.columns = np.nonzero(ink)
        lines = [one]
    # Both scales are equal but for rounding.
    factor = math.sqrt(scale[0] * scale[1])
    # An image of one line keeps its height, unless there is much paper around.
    keep = None if one is None else small.shape[0]
    place = _Place(angle, offset, factor, size, light)
    return [_to_text_line(line, lines, rules, place, keep, order, config)
            for order, line in enumerate(_reading_order(lines))]


# -- ink --------------------------------------------------------------------------------------

def _scaled(grey, max_side):
    from PIL import Image

    longest = max(grey.shape)
    if longest <= max_side:
        return grey
    size = tuple(max(1, round(side * max_side / longest)) for side in grey.shape[::-1])
    return np.asarray(Image.fromarray(grey).resize(size, Image.BOX))


def _light_ink(grey):
    """Tell whether the strokes are lighter than what is around them.

    A median keeps the edges of shadows and tables and loses the strokes; what it loses tells.
    """
    from scipy.ndimage import median_filter

    small = _scaled(grey, 1000).astype(np.float32)
    around = small
    for window in ((1, 25), (25, 1)):
        around = median_filter(around, size=window, mode="nearest")
    lost = small - around
    noise = 1.4826 * float(np.median(np.abs(lost)))
    lost = np.sign(lost) * np.maximum(np.abs(lost) - max(8, 3 * noise), 0)
    return bool(lost.sum() > 0)


def _paper(grey):
    """Brightness of the paper under and between dark strokes; float32, same shape."""
    from PIL import Image
    from scipy.ndimage import gaussian_filter, grey_closing, median_filter

    small = gaussian_filter(_scaled(grey, 800).astype(np.float32), 1, mode="nearest")
    window = max(9, int(max(small.shape) / 50) | 1)
    paper = grey_closing(small, size=(window, window), mode="nearest")
    # A median keeps the paper's edges where they are.
    for size in ((1, window), (window, 1)):
        paper = median_filter(paper, size=size, mode="nearest")
    return np.asarray(Image.fromarray(paper).resize(grey.shape[::-1], Image.BILINEAR))


def _binarise(grey, config):
    """Return the mask of dark ink: Sauvola's threshold on evened paper, above the noise."""
    from scipy.ndimage import gaussian_filter, label
    from skimage.filters import threshold_sauvola

    soft = gaussian_filter(grey.astype(np.float32), 0.6)
    paper = np.maximum(_paper(grey), 1)
    dark = 255 - 255 * np.minimum(soft / paper, 1)
    noise = 255 * _noise(soft) / paper
    strongest = float(np.percentile(dark[dark > 5 * noise], 99)) if (dark > 5 * noise).any() else 0
    if strongest < config.min_contrast:
        return np.zeros(grey.shape, bool)
    stretched = np.clip(255 - dark * (255 / strongest), 0, 255)
    window = max(15, min(min(grey.shape) // 4, max(grey.shape) // 40) | 1)
    threshold = threshold_sauvola(stretched, window_size=window, k=0.25, r=128)
    ink = (stretched < threshold) & (dark > np.maximum(
        4 * noise, max(0.2 * strongest, 0.6 * config.min_contrast)))
    # Grain comes in blobs, too; a stroke is darker somewhere.
    labels, count = label(ink, np.ones((3, 3), bool))
    sure = ink & (dark > np.maximum(6 * noise, max(0.3 * strongest, config.min_contrast)))
    kept = np.zeros(count + 1, bool)
    kept[labels[sure]] = True
    return kept[labels]


def _noise(grey):
    """Standard deviation of the paper's grain, place by place: of the calmest blocks around."""
    from PIL import Image
    from scipy.ndimage import percentile_filter

    block = 16
    height, width = (max(1, side // block) for side in grey.shape)
    if min(height, width) < 3:
        return np.full(grey.shape, np.float32(grey[:block, :block].std()))
    blocks = grey[:height * block, :width * block].reshape(height, block, width, block)
    calm = percentile_filter(blocks.std(axis=(1, 3)), 20, size=11, mode="nearest")
    return np.asarray(Image.fromarray(calm.astype(np.float32)).resize(grey.shape[::-1],
                                                                     Image.BILINEAR))


def _pieces(ink):
    """Return (labels, boxes, areas) of the connected pieces of ink; boxes: top, left, ..."""
    from scipy.ndimage import find_objects, label

    labels, count = label(ink, np.ones((3, 3), bool))
    boxes = np.array([(r.start, c.start, r.stop, c.stop) for r, c in find_objects(labels)],
                     np.int64).reshape(-1, 4)
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    return labels, boxes, areas


def _keep(labels, kept):
    """Return the mask of the pieces for which `kept` is true."""
    return np.concatenate([[False], kept])[labels]


def _without_edges(ink):
    """Drop the dark rims of scans and what lies around the paper: large, at the image's edge."""
    labels, boxes, areas = _pieces(ink)
    if not len(boxes):
        return ink
    height, width = ink.shape
    top, left, bottom, right = boxes.T
    vertical, horizontal = bottom - top, right - left
    at_side = (left <= 1) | (right >= width - 1)
    at_end = (top <= 1) | (bottom >= height - 1)
    # A line that fills the image's height has its letters at the edge: those are not long.
    rim = ((at_side & (vertical > 0.5 * height) & (vertical > 4 * horizontal))
           | (at_end & (horizontal > 0.5 * width) & (horizontal > 40 * vertical))
           | ((at_side | at_end) & (vertical > 0.3 * height) & (horizontal > 0.3 * width)
              & (areas > 0.25 * vertical * horizontal))
           | (at_side & at_end & (vertical > 0.7 * height) & (horizontal > 0.7 * width)
              & (height > 0.3 * width)))
    return _keep(labels, ~rim)


def _without_rules(ink):
    """Drop ruled lines and frames: long, straight and thin; strokes across them stay."""
    from scipy.ndimage import uniform_filter1d

    left = ink.copy()
    for axis in (1, 0):
        length = max(100, ink.shape[axis] // 10) | 1
        if length > 0.9 * ink.shape[axis]:
            continue
        # A little thickness lets a rule lean by a pixel. Rows of print have wider gaps.
        thick = _grown(ink, 3, 1 - axis)
        full = uniform_filter1d(thick.astype(np.float32), length, axis, mode="constant") > 0.85
        rule = _grown(full, length, axis) & ink
        # Thick where a stroke crosses or stands on it.
        lengths = _run_lengths(ink, 1 - axis)
        if rule.any():
            left &= ~(rule & (lengths <= 2 * np.median(lengths[rule]) + 1))
    return left


def _grown(mask, size, axis):
    from scipy.ndimage import maximum_filter1d

    # An even window lies off centre; the next odd one does not.
    return maximum_filter1d(mask.view(np.uint8), size | 1, axis, mode="constant").view(bool)


def _run_lengths(mask, axis):
    """Return, for every pixel of a mask, the length of the run along `axis` it is in."""
    rows = np.moveaxis(mask, axis, 1)
    padded = np.zeros((rows.shape[0], rows.shape[1] + 2), np.int8)
    padded[:, 1:-1] = rows
    steps = np.diff(padded, axis=1)
    starts, ends = np.nonzero(steps == 1), np.nonzero(steps == -1)
    lengths = np.zeros(rows.shape, np.int32)
    lengths[rows] = np.repeat(ends[1] - starts[1], ends[1] - starts[1])
    return np.moveaxis(lengths, 1, axis)


# -- skew -------------------------------------------------------------------------------------

def _skew(ink, limit):
    """Return the angle of the writing in degrees: the one whose rows stand out most."""
    rows, columns = np.nonzero(ink)
    if not limit or len(rows) < 50 or np.ptp(columns) < 40:
        return 0.0
    if len(rows) > 60000:
        chosen = np.random.default_rng(0).choice(len(rows), 60000, replace=False)
        rows, columns = rows[chosen], columns[chosen]
    rows, columns = rows - rows.mean(), columns - columns.mean()
    # Bins that an x-height of a small hand fills several times.
    step = max(1.0, min(ink.shape) / 600)
    reach = int(np.hypot(np.abs(rows).max(), np.abs(columns).max()) / step) + 3

    def distinctness(angle):
        turn = math.radians(angle)
        place = (rows * math.cos(turn) - columns * math.sin(turn)) / step + reach
        low = np.floor(place).astype(np.int64)
        share = place - low
        profile = (np.bincount(low, 1 - share, 2 * reach + 2)
                   + np.bincount(low + 1, share, 2 * reach + 2))
        profile = np.convolve(profile, [0.25, 0.5, 0.25])
        return float((np.diff(profile) ** 2).sum())

    angles = np.arange(-math.floor(limit), math.floor(limit) + 0.5, 1.0)
    best = 0.0
    for spacing in (1.0, 0.25, 0.05):
        scores = {a: distinctness(a) for a in angles if abs(a) <= limit}
        best = max(scores, key=scores.get)
        angles = best + spacing * np.arange(-1, 1.01, 0.25 if spacing == 1 else 0.2)
    # A few letters look straight at many angles: straight they are.
    if distinctness(best) < 1.05 * distinctness(0.0) or abs(best) < 0.15:
        return 0.0
    return float(best)


def _upright(ink, angle):
    """Return the mask turned upright, and where its corner lies in the one it was.

    A point p of the upright mask is ``turn(angle) @ p + offset`` in the other.
    """
    from PIL import Image

    if not angle:
        return ink, np.zeros(2)
    height, width = ink.shape
    turn = turn_matrix(angle)
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float) @ turn
    low, high = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
    offset = low @ turn.T
    (a, b), (c, d) = turn
    turned = Image.fromarray(ink.astype(np.uint8) * 255).transform(
        tuple((high - low).astype(int)), Image.AFFINE, (a, b, offset[0], c, d, offset[1]),
        Image.BILINEAR)
    return np.asarray(turned) > 127, offset


# -- rows -------------------------------------------------------------------------------------

@dataclass
class _Row:
    """A row being put together, in pixels of the upright mask."""

    #: Ridge: row of the middle of the small letters, for columns first .. first + len.
    first: int
    ridge: np.ndarray
    #: How much ink there is about the ridge.
    strength: np.ndarray
    #: Pixels of ink.
    rows: np.ndarray = None
    columns: np.ndarray = None
    slope: float = 0.0
    #: Heights at column 0: baseline, and top of the small letters.
    base: float = 0.0
    x_height: float = 0.0
    _ends: tuple = None

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


def _rows(ink, config):
    """Return the `_Row` of each line."""
    labels, boxes, areas = _pieces(ink)
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
    labels = labels * ~_keep(labels, speck)
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
    """Return the `_Row` (ridges alone) of the smeared ink."""
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
        pieces.append(_Row(first, np.interp(np.arange(span), there, middle[there]),
                           np.interp(np.arange(span), there, crested[there])))
    return _linked(pieces, x_height, config.gap)


def _linked(pieces, x_height, gap):
    """Join ridges that continue each other; of two that lie in one row keep the stronger."""
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
        a, b = _next_pair(lines, x_height, gap)
        if a is None:
            break
        joined = _joined(lines[a], lines[b])
        lines = [line for i, line in enumerate(lines) if i not in (a, b)] + [joined]
    return lines


def _next_pair(lines, x_height, gap):
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
    return _Row(int(columns[0]), ridge, strength)


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


def _only_line(lines, height, bottom):
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


def _plausible(lines, shape, config):
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


def _reading_order(lines):
    """Sort rows from top to bottom; what stands side by side from left to right."""
    def beside(line, other):
        a, b = sorted((line, other), key=lambda one: one.first)
        shared = min(a.last, b.last) - b.first
        return shared < 0.2 * min(len(a.ridge), len(b.ridge)) and \
            abs(a.ends(int(5 * a.x_height))[1] - b.ends(int(5 * b.x_height))[0]) < \
            1.4 * max(a.x_height, b.x_height)

    groups = []
    for line in sorted(lines, key=lambda line: float(np.mean(line.ridge))):
        for group in groups[-3:]:
            if all(beside(line, other) for other in group):
                group.append(line)
                break
        else:
            groups.append([line])
    return [line for group in groups for line in sorted(group, key=lambda one: one.first)]


# -- from rows to lines of the image ------------------------------------------------------------

@dataclass(frozen=True)
class _Place:
    """Where the upright mask lies in the image: angle, corner, scale; the image's size and ink."""

    angle: float
    offset: np.ndarray
    factor: float
    size: tuple
    light: bool

    def to_image(self, point):
        """Map a point of the upright mask to the image as it was searched."""
        return np.asarray(point) @ turn_matrix(self.angle).T + self.offset


def _to_text_line(line, lines, rules, place, keep, order, config):
    """Return the `TextLine` of a row: its frame, and an outline without its neighbours' ink."""
    x = line.x_height
    heights = line.rows - line.slope * line.columns - line.base
    left, right = _extent(line, x)
    left, right = left - config.margin * x, right + config.margin * x
    # A stray stroke may reach far; it must not make the letters small.
    top = min(-config.ascent * x, max(float(heights.min()) - 0.15 * x, -1.6 * config.ascent * x))
    bottom = max(config.descent * x, min(float(heights.max()) + 1 + 0.15 * x,
                                         2 * config.descent * x))
    middle = (left + right) / 2
    if keep is not None and bottom - top > 0.6 * keep:
        top = -place.to_image((middle, line.base + line.slope * middle))[1]
        bottom = keep + top
    lean = math.degrees(math.atan(line.slope))
    angle = place.angle + lean
    outline = _outline(line, lines, rules if keep is None else rules[:, :0],
                       (left, top, right, bottom))
    factor = place.factor
    if abs(angle) < 0.3 and not place.angle:
        # Not worth resampling: the crop is made of whole pixels, within the image.
        level = line.base + line.slope * middle
        limits = np.array(place.size)
        low = np.clip(np.floor(np.array([left, level + top]) * factor), 0, limits - 1)
        high = np.clip(np.ceil(np.array([right, level + bottom]) * factor), low + 1, limits)
        local = (outline + (0, level)) * factor - low
        base = np.array([[left, level], [right, level]]) * factor - low
        return make_line((*low, *(high - low)), 0.0, np.clip(local, 0, high - low),
                         np.clip(base, 0, high - low), order, place.size, place.light)
    corner = np.array([left, line.base + line.slope * left + top])
    # The slope is small: a turn about the frame's corner stands for the shear of the rows.
    length = (right - left) / math.cos(math.atan(line.slope))
    local = (outline + np.column_stack([np.zeros(len(outline)), line.base
                                        + line.slope * outline[:, 0]]) - corner) @ turn_matrix(lean)
    base = np.array([[0, -top], [length, -top]])
    frame = (*place.to_image(corner) * factor, length * factor, (bottom - top) * factor)
    return make_line(frame, angle, local * factor, base * factor, order, place.size, place.light)


def _extent(line, x_height):
    """Return the first and last column of a row's ink without stray specks at its ends."""
    first = int(line.columns.min())
    ink = np.bincount(line.columns - first)
    gaps = np.flatnonzero(np.diff(np.flatnonzero(ink)) > 3 * x_height)
    columns = np.flatnonzero(ink)
    starts = np.concatenate([[0], gaps + 1])
    ends = np.concatenate([gaps, [len(columns) - 1]])
    masses = np.add.reduceat(ink[columns], starts)
    big = np.flatnonzero(masses >= 0.12 * x_height ** 2)
    if not len(big):
        return first, first + len(ink)
    return first + int(columns[starts[big[0]]]), first + int(columns[ends[big[-1]]]) + 1


def _outline(line, lines, rules, sides):
    """Return a polygon within `sides` (about the baseline) that leaves neighbours' ink out.

    Rules (rows, columns) far from the baseline are the neighbours', too.

    Heights are relative to the row's baseline; x to the mask's column 0.
    """
    left, top, right, bottom = sides
    step = max(2.0, line.x_height / 3)
    count = max(1, math.ceil((right - left) / step))
    step = (right - left) / count
    uppers, lowers = np.full(count, float(top)), np.full(count, float(bottom))

    def bins(columns):
        return np.floor((columns + 0.5 - left) / step).astype(int)

    own_top, own_bottom = np.full(count, np.inf), np.full(count, -np.inf)
    place, height = bins(line.columns), line.rows - line.slope * line.columns - line.base
    inside = (place >= 0) & (place < count)
    np.minimum.at(own_top, place[inside], height[inside])
    np.maximum.at(own_bottom, place[inside], height[inside] + 1)
    pad = 0.1 * line.x_height
    foreign = [(other.rows, other.columns, np.mean(other.ridge) < np.mean(line.ridge))
               for other in lines if other is not line]
    level = rules[0] - line.slope * rules[1] - line.base
    for above, far in ((True, level < -1.4 * line.x_height), (False, level > 0.8 * line.x_height)):
        foreign.append((*rules[:, far], above))
    for rows, columns, above in foreign:
        place, height = bins(columns), rows - line.slope * columns - line.base
        inside = (place >= 0) & (place < count) & (height > top - 1) & (height < bottom + 1)
        if not inside.any():
            continue
        place, height = place[inside], height[inside]
        if above:
            reach = np.full(count, -np.inf)
            np.maximum.at(reach, place, height + 1)
            there = np.isfinite(reach)
            # Own ink goes first: a descender from above may hang between two letters.
            limit = np.minimum(reach[there] + pad, np.where(
                reach[there] < own_top[there], (reach[there] + own_top[there]) / 2,
                own_top[there] - 1))
            uppers[there] = np.maximum(uppers[there], limit)
        else:
            reach = np.full(count, np.inf)
            np.minimum.at(reach, place, height)
            there = np.isfinite(reach)
            limit = np.maximum(reach[there] - pad, np.where(
                reach[there] > own_bottom[there], (reach[there] + own_bottom[there]) / 2,
                own_bottom[there] + 1))
            lowers[there] = np.minimum(lowers[there], limit)
    uppers = np.minimum(uppers, -0.2 * line.x_height)
    lowers = np.maximum(lowers, 0.0)
    edges = left + step * np.arange(count + 1)

    def stairs(values):
        points = [(edges[0], values[0])]
        for i in range(1, count):
            if values[i] != values[i - 1]:
                points += [(edges[i], values[i - 1]), (edges[i], values[i])]
        return [*points, (edges[-1], values[-1])]

    return np.array(stairs(uppers) + stairs(lowers)[::-1], np.float64)
