"""Finding the lines of a page: its ink (`ocr.layout.ink`), rows, their order, their outlines."""

import math
from dataclasses import dataclass

import numpy as np

from lm.base.errors import ConfigError
from lm.base.plugins import missing_packages

from ..image.cutting import make_line, turn_matrix
from ..image.load import as_grey
from .base import LayoutConfig
from .ink import binarise, light_ink, scaled, skew, upright, without_edges, without_rules
from .order import reading_order
from .rows import find_rows, only_line, plausible

__all__ = ["find_lines"]


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
        In the order of reading (`ocr.layout.order`); empty for a blank page.

    Raises
    ------
    ConfigError
        scikit-image is not installed.
    DataError
        Not an image.
    """
    if missing_packages(("skimage",)):
        raise ConfigError("finding lines needs scikit-image: pip install 'ocr[layout]'")
    config = config or LayoutConfig()
    grey = as_grey(image)
    size = grey.shape[::-1]
    small = scaled(grey, config.max_side)
    scale = size[0] / small.shape[1], size[1] / small.shape[0]
    light = light_ink(small)
    ink = binarise(255 - small if light else small, config)
    ink = without_edges(ink)
    if not ink.any():
        return []
    angle = skew(ink, config.max_skew)
    ink, offset = upright(ink, angle)
    rules = np.zeros((2, 0), np.int64)
    if config.rules:
        text = without_rules(ink)
        rules = np.array(np.nonzero(ink & ~text))
        ink = text
    lines = find_rows(ink, config)
    one = only_line(lines, small.shape[0], ink.shape[0])
    if one is None:
        lines = plausible(lines, ink.shape, config)
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
            for order, line in enumerate(reading_order(lines))]


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
