"""The ink of a page: even lighting, what is darker than the paper, skew, rules, pieces."""

import math

import numpy as np

from ..image.cutting import turn_matrix

__all__ = ["scaled", "light_ink", "binarise", "pieces_of", "keep_pieces", "without_edges",
           "without_rules", "skew", "upright", "gutters"]

# A gutter between columns, in x-heights: how wide and how high it is at least, and how far to its
# sides writing is looked for; the share of that which writing must fill; by how much it is wider
# than most gaps between words.
_WIDE, _HIGH, _REACH, _FILLED, _WIDER = 2.2, 20, 14, 0.45, 1.7


def scaled(grey, max_side):
    from PIL import Image

    longest = max(grey.shape)
    if longest <= max_side:
        return grey
    size = tuple(max(1, round(side * max_side / longest)) for side in grey.shape[::-1])
    return np.asarray(Image.fromarray(grey).resize(size, Image.BOX))


def light_ink(grey):
    """Tell whether the strokes are lighter than what is around them.

    A median keeps the edges of shadows and tables and loses the strokes; what it loses tells.
    """
    from scipy.ndimage import median_filter

    small = scaled(grey, 1000).astype(np.float32)
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

    small = gaussian_filter(scaled(grey, 800).astype(np.float32), 1, mode="nearest")
    window = max(9, int(max(small.shape) / 50) | 1)
    paper = grey_closing(small, size=(window, window), mode="nearest")
    # A median keeps the paper's edges where they are.
    for size in ((1, window), (window, 1)):
        paper = median_filter(paper, size=size, mode="nearest")
    return np.asarray(Image.fromarray(paper).resize(grey.shape[::-1], Image.BILINEAR))


def binarise(grey, config):
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


def pieces_of(ink):
    """Return (labels, boxes, areas) of the connected pieces of ink; boxes: top, left, ..."""
    from scipy.ndimage import find_objects, label

    labels, count = label(ink, np.ones((3, 3), bool))
    boxes = np.array([(r.start, c.start, r.stop, c.stop) for r, c in find_objects(labels)],
                     np.int64).reshape(-1, 4)
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    return labels, boxes, areas


def keep_pieces(labels, kept):
    """Return the mask of the pieces for which `kept` is true."""
    return np.concatenate([[False], kept])[labels]


def without_edges(ink):
    """Drop the dark rims of scans and what lies around the paper: large, at the image's edge."""
    labels, boxes, areas = pieces_of(ink)
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
    return keep_pieces(labels, ~rim)


def without_rules(ink):
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


def skew(ink, limit):
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


def upright(ink, angle):
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


def gutters(ink, x_height):
    """Find the white strips between columns of writing.

    Parameters
    ----------
    ink : numpy.ndarray
        bool, upright.
    x_height : float
        In pixels.

    Returns
    -------
    list of (int, int, int)
        Column of the middle, first row, and the row after the last.
    """
    from scipy.ndimage import find_objects, label, maximum_filter1d, minimum_filter1d

    # Coarser: a strip is wider than a letter.
    step = max(1, int(x_height / 4))
    rows, columns = (side // step for side in ink.shape)
    unit = x_height / step
    high, reach, line = (int(n * unit) | 1 for n in (_HIGH, _REACH, 2.5))
    if rows < high or columns < 2 * reach:
        return []
    small = ink[:rows * step, :columns * step].reshape(rows, step, columns, step).any(axis=(1, 3))
    wide = int(max(_WIDE * unit, _WIDER * _word_gap(small, unit))) | 1
    white = ~_grown(small, wide, 1)
    tall = minimum_filter1d(white.view(np.uint8), high, axis=0, mode="constant")
    tall = maximum_filter1d(tall, high, axis=0, mode="constant").view(bool)
    # Words and lines run together: what is white then is between columns, or paper around.
    filled = _grown(_grown(small, line, 0), wide, 1)
    found = []
    labels, _ = label(tall)
    for name, where in enumerate(find_objects(labels), 1):
        left, right = where[1].start - wide // 2, where[1].stop + wide // 2
        middle = (left + right) // 2
        # A heading may reach into the gutter from one side.
        inside = np.flatnonzero(labels[:, middle] == name)
        if left < reach or right > small.shape[1] - reach or not len(inside):
            continue
        top, bottom = int(inside[0]), int(inside[-1]) + 1
        if min(filled[top:bottom, left - reach:left].mean(),
               filled[top:bottom, right:right + reach].mean()) >= _FILLED:
            found.append((middle * step, top * step, bottom * step))
    return found


def _word_gap(ink, x_height):
    """Return how wide gaps between words are: the third widest of each row, of most rows.

    The two widest may be gutters.
    """
    rows = _grown(ink, int(1.5 * x_height), 0)[::max(1, int(x_height))]
    padded = np.zeros((rows.shape[0], rows.shape[1] + 2), np.int8)
    padded[:, 1:-1] = rows
    steps = np.diff(padded, axis=1)
    (first, starts), (last, ends) = np.nonzero(steps == 1), np.nonzero(steps == -1)
    same = first[1:] == last[:-1]
    gaps = (starts[1:] - ends[:-1])[same]
    of_rows = np.split(gaps, np.flatnonzero(np.diff(first[1:][same])) + 1)
    found = [np.sort(row)[-3] for row in of_rows if len(row) > 2]
    return float(np.percentile(found, 75)) if found else 0.0
