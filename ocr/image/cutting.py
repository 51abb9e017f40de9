"""A line on a page: where it is, and how it is cut out, for training and for reading alike."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from lm.base.errors import DataError

from .cleaning import light_on_dark
from .load import as_grey

__all__ = ["TextLine", "crop", "covered", "whole_image", "line_of_polygon", "make_line",
           "turn_matrix", "turned_back"]


@dataclass(frozen=True)
class TextLine:
    """A line of text on a page, in pixels of the page's image (x to the right, y down).

    A pixel covers one unit: the centre of the first is at (0.5, 0.5).

    Attributes
    ----------
    box : tuple of int
        (left, top, right, bottom), within the image, right and bottom exclusive.
    polygon : tuple of (float, float)
        Outline, within the image. What is outside is another line's.
    baseline : tuple of (float, float)
        Two points or more, from the line's beginning to its end.
    order : int
        Place in the order of reading, from 0.
    frame : tuple of float
        (x, y, width, height) of what is cut out: its upper left corner and its sides, before
        it is turned about that corner by `angle`.
    angle : float
        Degrees; positive falls to the right.
    light_ink : bool or None
        Whether the ink is lighter than the paper; None where only the crop will tell.
    """

    box: tuple
    polygon: tuple
    baseline: tuple
    order: int
    frame: tuple
    angle: float = 0.0
    light_ink: Optional[bool] = None

    @property
    def size(self):
        """(width, height) of the crop in pixels."""
        return tuple(max(1, int(round(side))) for side in self.frame[2:])

    def to_page(self, points):
        """Map points (N, 2) of the crop to the page; float64."""
        x, y = self.frame[:2]
        return np.asarray(points, np.float64) @ turn_matrix(self.angle).T + (x, y)

    def to_crop(self, points):
        """Map points (N, 2) of the page to the crop; float64."""
        x, y = self.frame[:2]
        return (np.asarray(points, np.float64) - (x, y)) @ turn_matrix(self.angle)


def turn_matrix(angle: float) -> np.ndarray:
    """Return the matrix that turns points by `angle` degrees, clockwise as one sees them."""
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return np.array([[c, -s], [s, c]])


def crop(image: Any, line: TextLine) -> np.ndarray:
    """Cut a line out, upright, without what belongs to its neighbours.

    Parameters
    ----------
    image : numpy.ndarray or PIL.Image.Image
        The page, as for `as_grey`.
    line : TextLine

    Returns
    -------
    numpy.ndarray
        uint8, (height, width) of `line.size`: the page's own pixels where they are the line's,
        elsewhere paper as bright as that above and below.
    """
    patch, foreign = _patch(as_grey(image), line)
    neighbours = foreign | ~_own(line)
    if not neighbours.all():
        foreign = neighbours
    if foreign.any() and not foreign.all():
        light = line.light_ink
        if light is None:
            light = light_on_dark(patch[~foreign][np.newaxis])
        patch = np.where(foreign, _paper(patch, ~foreign, light), patch)
    return patch


def _paper(patch, own, light):
    """Return the brightness of the paper of each column, from the line's own pixels."""
    height, width = patch.shape
    bright = np.sort(np.where(own, 255 - patch if light else patch, 0), axis=0)
    counts = own.sum(axis=0)
    columns = np.flatnonzero(counts)
    middles = bright[height - 1 - counts[columns] // 2, columns]
    paper = np.interp(np.arange(width), columns, middles)
    # A column may be all ink: look left and right as far as the line is high.
    reach = min(height // 2, width - 1)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(paper, reach, mode="edge"),
                                                      2 * reach + 1)
    paper = np.median(around, axis=1).round().astype(np.uint8)
    return 255 - paper if light else paper


def _patch(grey, line):
    """Return the pixels of a line's frame, and the mask of those beyond the page."""
    from PIL import Image

    width, height = line.size
    left, top = (int(round(v)) for v in line.frame[:2])
    if not line.angle and left >= 0 and top >= 0 and left + width <= grey.shape[1] \
            and top + height <= grey.shape[0]:
        return grey[top:top + height, left:left + width], np.zeros((height, width), bool)
    corners = line.to_page([(0, 0), (width, 0), (width, height), (0, height)])
    limits = np.array(grey.shape[::-1])
    first = np.clip(np.floor(corners.min(axis=0)).astype(int) - 2, 0, limits - 1)
    last = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 2, first + 1, limits)
    part = grey[first[1]:last[1], first[0]:last[0]]
    (a, b), (c, d) = turn_matrix(line.angle)
    x, y = line.frame[:2] - first
    there = [np.asarray(Image.fromarray(values).transform(
        (width, height), Image.AFFINE, (a, b, x, c, d, y), Image.BILINEAR))
        for values in (part, np.full_like(part, 255))]
    return there[0], there[1] < 255


def _own(line):
    """Return the mask of the crop's pixels that lie within the line's polygon."""
    width, height = line.size
    return covered(line.to_crop(line.polygon), width, height)


def covered(polygon: Any, width: int, height: int) -> np.ndarray:
    """Return which pixels have their centres within a polygon.

    Whatever the outline winds around is inside, also where it crosses itself. (scikit-image
    would leave holes there, and is not installed where models alone are run.)

    Parameters
    ----------
    polygon : sequence of (float, float)
        Points (x, y) in pixels; the first pixel's centre is at (0.5, 0.5).
    width, height : int

    Returns
    -------
    numpy.ndarray
        bool, (height, width).
    """
    crossings = np.zeros((height, width + 1), np.int32)
    # Turned back and forth, an edge along pixels' centres must not waver.
    points = np.round(np.asarray(polygon, np.float64), 6)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0)):
        if y0 == y1:
            continue
        turn = 1 if y1 > y0 else -1
        first, last = np.ceil(np.clip(sorted((y0, y1)), 0, height) - 0.5).astype(int)
        rows = np.arange(first, last)
        x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
        np.add.at(crossings, (rows, np.ceil(np.clip(x, 0, width) - 0.5).astype(int)), turn)
    return np.cumsum(crossings, axis=1)[:, :width] != 0


def _bounds(points, size):
    """Return the box of whole pixels around points, within an image of `size`."""
    # Without NumPy, as what follows: of few points, and there may be thousands of lines.
    xs, ys = zip(*points)
    left, top = (math.floor(round(float(min(side)), 6)) for side in (xs, ys))
    right, bottom = (math.ceil(round(float(max(side)), 6)) for side in (xs, ys))
    width, height = size
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    return left, top, min(max(right, left + 1), width), min(max(bottom, top + 1), height)


def make_line(frame: Any, angle: float, outline: Any, baseline: Any, order: int,
              size: tuple[int, int], light_ink: Optional[bool] = None) -> TextLine:
    """Return a `TextLine` whose outline and baseline are given in its crop's coordinates.

    Parameters
    ----------
    frame, angle
        As `TextLine` has them.
    outline, baseline : sequence of (float, float)
    order : int
    size : tuple of int
        (width, height) of the page; what reaches beyond is brought to its edge.
    light_ink : bool, optional
    """
    bare = TextLine((), (), (), order, tuple(float(v) for v in frame), float(angle),
                    light_ink)
    polygon, base = (np.clip(bare.to_page(points), 0, size) for points in (outline, baseline))
    return dataclasses.replace(bare, box=_bounds(polygon, size), polygon=_tuples(polygon),
                               baseline=_tuples(base))


def _tuples(points):
    return tuple((round(float(x), 2), round(float(y), 2)) for x, y in points)


def whole_image(image: Any) -> TextLine:
    """Return the `TextLine` that is all of an image."""
    height, width = as_grey(image).shape
    return make_line((0, 0, width, height), 0.0, [(0, 0), (width, 0), (width, height),
                                                  (0, height)],
                     [(0, 0.72 * height), (width, 0.72 * height)], 0, (width, height))


def line_of_polygon(polygon: Any, baseline: Any, order: int,
                    size: tuple[int, int]) -> TextLine:
    """Return the `TextLine` of an outline that was found elsewhere.

    Parameters
    ----------
    polygon : sequence of (float, float)
        At least three points, in pixels of the page.
    baseline : sequence of (float, float) or None
        A baseline that rises or falls turns the crop upright.
    order : int
    size : tuple of int
        (width, height) of the page.

    Raises
    ------
    DataError
        The polygon has no area on the page.
    """
    try:
        points = _within(polygon, size)
    except (TypeError, ValueError):
        points = ()
    if len(points) < 3:
        raise DataError("an outline needs three points (x, y) or more")
    xs, ys = zip(*points)
    if max(xs) - min(xs) < 1 or max(ys) - min(ys) < 1:
        raise DataError("the outline has no area on the page")
    angle = 0.0
    if baseline is not None and len(baseline) > 1:
        (x0, y0), (x1, y1) = baseline[0], baseline[-1]
        angle = math.degrees(math.atan2(y1 - y0, x1 - x0)) if x1 > x0 else 0.0
        # Less is the wavering of a baseline, and no reason to resample.
        angle = angle if 0.5 <= abs(angle) <= 45 else 0.0
    if angle:
        turned = np.array(points) @ turn_matrix(angle)
        low, high = turned.min(axis=0), turned.max(axis=0)
        x, y = (float(v) for v in low @ turn_matrix(angle).T)
        width, height = (float(v) for v in high - low)
    else:
        x, y = (float(math.floor(round(min(side), 6))) for side in (xs, ys))
        width, height = (math.ceil(round(max(side), 6)) - v for side, v in ((xs, x), (ys, y)))
    if baseline is None or not len(baseline):
        baseline = np.array([(0, 0.72 * height), (width, 0.72 * height)])
        baseline = baseline @ turn_matrix(angle).T + (x, y)
    return TextLine(_bounds(points, size), _tuples(points), _tuples(_within(baseline, size)), order,
                    (x, y, width, height), angle)


def _within(points, size):
    """Return points as pairs of floats, brought to the edges of a page of `size`."""
    width, height = size
    pairs = [(float(x), float(y)) for x, y in points]
    if not all(math.isfinite(x) and math.isfinite(y) for x, y in pairs):
        raise DataError("a coordinate is no finite number")
    return [(min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height))) for x, y in pairs]


def turned_back(line: TextLine, quarters: int, size: tuple) -> TextLine:
    """Return where a line of a turned page lies on the page as it was.

    Parameters
    ----------
    line : TextLine
        On ``numpy.rot90(page, quarters)``.
    quarters : int
    size : tuple of int
        (width, height) of the page as it was.
    """
    width, height = size
    shift = ((0, 0), (width, 0), (width, height), (0, height))[quarters % 4]
    matrix = np.round(turn_matrix(90 * quarters))

    def back(points):
        return np.clip(np.asarray(points, np.float64) @ matrix.T + shift, 0, size)

    corner = np.asarray(line.frame[:2]) @ matrix.T + shift
    polygon = back(line.polygon)
    angle = (line.angle + 90 * quarters + 180) % 360 - 180
    return dataclasses.replace(
        line, box=_bounds(polygon, size), polygon=_tuples(polygon),
        baseline=_tuples(back(line.baseline)), frame=(*map(float, corner), *line.frame[2:]),
        angle=float(angle))
