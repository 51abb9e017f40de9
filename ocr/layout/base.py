"""A line on a page: where it is, and how it is cut out."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Optional

import numpy as np

from lm.base.errors import ConfigError, DataError

__all__ = ["TextLine", "LayoutConfig", "crop", "whole_image", "line_of_polygon", "make_line",
           "as_grey"]

#: Paper this dark at least is made brighter; a recogniser's "auto" polarity must see paper.
LEAST_PAPER = 160
#: Brightness by which the paper of a line may vary before it is evened out.
EVEN = 3


@dataclass(frozen=True)
class LayoutConfig:
    """How lines are found on a page. Lengths are in x-heights unless another unit is named.

    Attributes
    ----------
    max_side : int
        Pixels; larger images are scaled down to this to find the lines, not to cut them out.
    max_skew : float
        Largest angle of the page that is looked for, in degrees.
    min_x_height, max_x_height : int
        Pixels at the scale of the search; smaller writing is taken for noise.
    ascent, descent : float
        How far a line's crop reaches above and below its baseline. Ink that reaches further
        widens it. The defaults give what lines cut by baselines look like (Copiste, most of
        PAGE XML); a network trained on lines cut to their ink reads better with less.
    margin : float
        Paper left and right of the ink.
    gap : float
        Pieces of one row further apart than this are separate lines.
    min_contrast : float
        Grey levels of 255 by which ink must differ from the paper.
    rules : bool
        Ruled lines and frames are no text.
    """

    max_side: int = 2400
    max_skew: float = 15.0
    min_x_height: int = 4
    max_x_height: int = 200
    ascent: float = 2.7
    descent: float = 1.2
    margin: float = 0.6
    gap: float = 12.0
    min_contrast: float = 20.0
    rules: bool = True

    def __post_init__(self):
        if self.max_side < 100:
            raise ConfigError("layout: max_side must be at least 100 pixels")
        if not 0 <= self.max_skew <= 45:
            raise ConfigError("layout: max_skew must lie in 0..45 degrees")
        if not 1 <= self.min_x_height <= self.max_x_height:
            raise ConfigError("layout: 1 <= min_x_height <= max_x_height is needed")
        for name in ("ascent", "descent", "margin"):
            if not 0 <= getattr(self, name) <= 10:
                raise ConfigError(f"layout: {name} must lie in 0..10 x-heights")
        if self.ascent < 1:
            raise ConfigError("layout: ascent must be at least 1: letters are that high")
        if self.gap <= 0 or not 0 < self.min_contrast < 255:
            raise ConfigError("layout: gap must be positive and min_contrast lie in 0..255")


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
        return np.asarray(points, np.float64) @ _turn(self.angle).T + (x, y)

    def to_crop(self, points):
        """Map points (N, 2) of the page to the crop; float64."""
        x, y = self.frame[:2]
        return (np.asarray(points, np.float64) - (x, y)) @ _turn(self.angle)


def _turn(angle):
    """Matrix that turns points by `angle` degrees, clockwise as one sees them."""
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return np.array([[c, -s], [s, c]])


def as_grey(image):
    """Return an image as grey uint8 (height, width).

    Parameters
    ----------
    image : numpy.ndarray or PIL.Image.Image
        Arrays: (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA; uint8, uint16, bool, or
        floats from 0 to 1. Pillow images are turned as their EXIF orientation says.

    Raises
    ------
    DataError
        Anything else.
    """
    from PIL import Image

    from ..image.load import to_grey

    if isinstance(image, Image.Image):
        return to_grey(image)
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.size == 0 or not (array.ndim == 2 or array.ndim == 3 and array.shape[2] in (3, 4)):
        raise DataError(f"expected an image (height, width[, 3 or 4]), not shape {array.shape}")
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    elif array.dtype == bool:
        array = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype.kind == "f":
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise DataError("an image of floats must lie in 0..1")
        array = (array * 255).round().astype(np.uint8)
    if array.dtype != np.uint8:
        raise DataError(f"expected an image of uint8, uint16, bool or floats, not {array.dtype}")
    return array if array.ndim == 2 else to_grey(Image.fromarray(array))


def crop(image, line):
    """Cut a line out: upright, dark on light, without what belongs to its neighbours.

    Parameters
    ----------
    image : numpy.ndarray or PIL.Image.Image
        The page, as for `as_grey`.
    line : TextLine

    Returns
    -------
    numpy.ndarray
        uint8, (height, width) of `line.size`. Uneven lighting is made even, dark paper bright.
    """
    from ..image.cleaning import compensate_illumination

    patch, foreign = _patch(as_grey(image), line)
    foreign_or_neighbour = foreign | ~_own(line)
    if foreign_or_neighbour.all():
        foreign_or_neighbour = foreign
    seen = patch[~foreign_or_neighbour] if not foreign_or_neighbour.all() else patch
    light = line.light_ink
    if light is None:
        # Ink is the lesser part, and far from the rest.
        dark, paper, bright = np.percentile(seen, (2, 50, 98))
        light = bright - paper > paper - dark
    if light:
        patch, seen = 255 - patch, 255 - seen
    paper = max(float(np.median(seen)), 1.0)
    # What lies beyond the page must not pass for a shadow.
    patch = np.where(foreign, paper, patch)
    if paper < LEAST_PAPER:
        patch = patch * (LEAST_PAPER / paper)
    patch = np.clip(patch, 0, 255).astype(np.uint8)
    even = compensate_illumination(patch)
    if np.abs(even.astype(np.int16) - patch).mean() > EVEN:
        patch = even
    seen = patch[~foreign_or_neighbour] if not foreign_or_neighbour.all() else patch
    paper = float(np.median(seen))
    # Grain makes paper darker and brighter alike, ink darker alone.
    brighter = seen[seen > paper] - paper
    grain = 2 * float(np.sqrt((brighter ** 2).mean())) if len(brighter) > 0.2 * seen.size else 0
    if grain:
        ink = np.maximum(paper - patch - grain, 0)
        patch = np.clip(paper - ink * (paper / max(paper - grain, 1)), 0, 255).astype(np.uint8)
    return np.where(foreign_or_neighbour, np.uint8(paper), patch)


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
    (a, b), (c, d) = _turn(line.angle)
    x, y = line.frame[:2] - first
    there = [np.asarray(Image.fromarray(values).transform(
        (width, height), Image.AFFINE, (a, b, x, c, d, y), Image.BILINEAR))
        for values in (part, np.full_like(part, 255))]
    return there[0], there[1] < 255


def _own(line):
    """Return the mask of the crop's pixels that lie within the line's polygon."""
    from PIL import Image, ImageDraw

    mask = Image.new("1", line.size, 0)
    points = [tuple(point) for point in line.to_crop(line.polygon) - 0.5]
    ImageDraw.Draw(mask).polygon(points, fill=1, outline=1)
    return np.asarray(mask)


def _bounds(points, size):
    """Return the box of whole pixels around points, within an image of `size`."""
    left, top = np.floor(np.round(np.min(points, axis=0), 6)).astype(int)
    right, bottom = np.ceil(np.round(np.max(points, axis=0), 6)).astype(int)
    width, height = size
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    return (int(left), int(top), int(min(max(right, left + 1), width)),
            int(min(max(bottom, top + 1), height)))


def make_line(frame, angle, outline, baseline, order, size, light_ink=None):
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


def whole_image(image):
    """Return the `TextLine` that is all of an image."""
    height, width = as_grey(image).shape
    return make_line((0, 0, width, height), 0.0, [(0, 0), (width, 0), (width, height),
                                                  (0, height)],
                     [(0, 0.72 * height), (width, 0.72 * height)], 0, (width, height))


def line_of_polygon(polygon, baseline, order, size):
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
    points = np.asarray(polygon, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 \
            or not np.isfinite(points).all():
        raise DataError("an outline needs three points (x, y) or more")
    points = np.clip(points, 0, size)
    if (np.ptp(points, axis=0) < 1).any():
        raise DataError("the outline has no area on the page")
    angle = 0.0
    if baseline is not None and len(baseline) > 1:
        (x0, y0), (x1, y1) = np.asarray(baseline, np.float64)[[0, -1]]
        angle = math.degrees(math.atan2(y1 - y0, x1 - x0)) if x1 > x0 else 0.0
        # Less is the wavering of a baseline, and no reason to resample.
        angle = angle if 0.5 <= abs(angle) <= 45 else 0.0
    turned = points @ _turn(angle)
    low, high = turned.min(axis=0), turned.max(axis=0)
    if not angle:
        low, high = np.floor(np.round(low, 6)), np.ceil(np.round(high, 6))
    x, y = low @ _turn(angle).T
    width, height = high - low
    if baseline is None or not len(baseline):
        baseline = np.array([(0, 0.72 * height), (width, 0.72 * height)]) @ _turn(angle).T + (x, y)
    return TextLine(_bounds(points, size), _tuples(points),
                    _tuples(np.clip(baseline, 0, size)), order,
                    (float(x), float(y), float(width), float(height)), angle)
