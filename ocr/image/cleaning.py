"""Cleaning of line images: even lighting, bright paper, no grain, upright letters.

All work on grey images and leave the polarity as it was. They need numpy and Pillow only.
"""

from typing import Optional

import numpy as np

from lm.base.errors import ConfigError, DataError

__all__ = ["clean_paper", "compensate_illumination", "slant_angle", "deslant", "light_on_dark",
           "quantiles", "histogram"]

#: Paper this bright at least has dark ink on it; paper that is darker is made so bright.
LEAST_PAPER = 160
#: Grey levels by which the paper of a line may vary before it is evened out.
EVEN = 3
#: Where so many of the pixels are brighter than the paper, it is grain.
GRAIN_SHARE = 0.2

#: Rows at which slant and lighting are looked at: enough, and quick on any scan.
SLANT_ROWS, LIGHT_ROWS = 64, 32
#: Ink is what differs from the paper by this share of the strongest difference.
INK_SHARE = 0.4
#: Grey levels below which differences are noise, not ink.
LEAST_CONTRAST = 16
# Without it 0 degrees, at which pixels fall on whole columns, would look the sharpest.
_SMOOTHING = np.array([1, 6, 15, 20, 15, 6, 1]) / 64


def _check(grey):
    if not isinstance(grey, np.ndarray) or grey.ndim != 2 or grey.dtype != np.uint8 \
            or grey.size == 0:
        raise DataError("expected a grey uint8 image with pixels, not "
                        f"{getattr(grey, 'dtype', type(grey).__name__)} of shape "
                        f"{getattr(grey, 'shape', None)}")


def _small(grey, rows):
    """Return the image scaled down to at most `rows` rows."""
    from PIL import Image

    height, width = grey.shape
    if height <= rows:
        return grey
    size = (max(1, round(width * rows / height)), rows)
    return np.asarray(Image.fromarray(grey).resize(size, Image.BOX))


def _extremes(values, reach, extreme):
    """Return np.maximum or np.minimum over squares of 2 * reach + 1; `reach` rows less a side."""
    wanted = 2 * reach + 1
    for axis in (0, 1):
        values = np.moveaxis(values, axis, 0)
        length, span = len(values) - wanted + 1, 1
        # Each pass doubles what a value has seen; the last one overlaps.
        while span < wanted:
            step = min(span, wanted - span)
            values = extreme(values[:-step], values[step:])
            span += step
        values = np.moveaxis(values[:length], 0, axis)
    return values


def histogram(grey: np.ndarray) -> np.ndarray:
    """Count the pixels of each of the 256 greys."""
    from PIL import Image

    # Much faster than sorting or NumPy's own counting.
    return np.array(Image.fromarray(grey).histogram())


def quantiles(grey: np.ndarray, *shares: float) -> list[float]:
    """Return what `numpy.quantile` gives for a uint8 image, from its histogram."""
    above = histogram(grey).cumsum()
    found = []
    for share in shares:
        place = share * (grey.size - 1)
        low, high = np.searchsorted(above, [int(place), min(int(place) + 1, grey.size - 1)],
                                    side="right")
        found.append(float(low + (high - low) * (place - int(place))))
    return found


def light_on_dark(grey: np.ndarray) -> bool:
    """Whether ink is lighter than paper: ink is the lesser part, and far from the rest."""
    dark, paper, bright = quantiles(grey, 0.02, 0.5, 0.98)
    return paper < LEAST_PAPER and bright - paper > paper - dark


def _paper_light(bright, window):
    """Return a line on bright paper, scaled down, and its paper's brightness without the ink."""
    from PIL import Image, ImageFilter

    small = _small(bright, LIGHT_ROWS)
    reach = max(1, round(window * small.shape[0] / 2))
    # What is left of the padding is for the blur.
    padded = np.pad(small, 4 * reach, mode="edge")
    closed = _extremes(_extremes(padded, reach, np.maximum), reach, np.minimum)
    paper = Image.fromarray(np.ascontiguousarray(closed)).filter(
        ImageFilter.GaussianBlur(reach / 2)).crop(
        (2 * reach, 2 * reach, 2 * reach + small.shape[1], 2 * reach + small.shape[0]))
    return small, paper


def _evened(bright, paper):
    from PIL import Image

    paper = paper.resize(bright.shape[::-1], Image.BILINEAR)
    paper = np.maximum(np.asarray(paper, np.float32), 1)
    return np.clip(bright * (np.median(paper) / paper), 0, 255).round().astype(np.uint8)


def compensate_illumination(grey: np.ndarray, window: float = 0.4,
                            light: Optional[bool] = None) -> np.ndarray:
    """Make the paper equally bright everywhere: divide by an estimate of its brightness.

    The estimate is the line without its strokes (a closing: brightest, then darkest value of
    a neighbourhood), smoothed. Strokes keep their contrast relative to the paper beside them.

    Parameters
    ----------
    grey : numpy.ndarray
        uint8, (height, width).
    window : float
        Width of the neighbourhood as a share of the height, 0 to 1: wider than a stroke,
        narrower than the shadows.
    light : bool, optional
        Whether the ink is lighter than the paper; by default `light_on_dark` tells.

    Returns
    -------
    numpy.ndarray
        uint8, same shape; the paper has the median brightness it had.

    Raises
    ------
    ConfigError
        `window` is out of range.
    DataError
        Not a grey uint8 image.
    """
    _check(grey)
    if not 0 < window <= 1:
        raise ConfigError(f"window is {window!r}; expected a share of the height, 0 to 1")
    if light is None:
        light = light_on_dark(grey)
    bright = 255 - grey if light else grey
    even = _evened(bright, _paper_light(bright, window)[1])
    return 255 - even if light else even


def clean_paper(grey: np.ndarray) -> np.ndarray:
    """Clean a line of dark ink where it needs it; what is on white paper stays as it is.

    Dark paper is made brighter; where the paper's brightness varies by more than `EVEN` grey
    levels on average, `compensate_illumination` evens it out; what is grain around the paper's
    brightness becomes paper.

    Parameters
    ----------
    grey : numpy.ndarray
        uint8, (height, width), dark ink.

    Returns
    -------
    numpy.ndarray
        uint8, same shape.

    Raises
    ------
    DataError
        Not a grey uint8 image.
    """
    _check(grey)
    greys = np.arange(256)
    [paper] = quantiles(grey, 0.5)
    if paper < LEAST_PAPER:
        table = np.minimum(greys * (LEAST_PAPER / max(paper, 1)), 255)
        grey = table.astype(np.uint8)[grey]
    # The small image tells well enough whether the large one is worth the work.
    small, light = _paper_light(grey, 0.4)
    if np.abs(_evened(small, light).astype(np.int16) - small).mean() > EVEN:
        grey = _evened(grey, light)
    [paper] = quantiles(grey, 0.5)
    # Grain makes paper darker and brighter alike, ink darker alone.
    brighter = np.where(greys > paper, histogram(grey), 0)
    if brighter.sum() > GRAIN_SHARE * grey.size:
        grain = 2 * np.sqrt((brighter * (greys - paper) ** 2).sum() / brighter.sum())
        ink = np.maximum(paper - greys - grain, 0) * (paper / max(paper - grain, 1))
        grey = np.clip(paper - ink, 0, 255).astype(np.uint8)[grey]
    return grey


def _ink(grey):
    """Return the boolean mask of ink; empty when there is none to speak of."""
    small = _small(grey, SLANT_ROWS).astype(np.int16)
    difference = np.abs(small - int(np.median(small)))
    # The extreme pixel may be a speck.
    strongest = np.percentile(difference, 99)
    return difference > max(INK_SHARE * strongest, LEAST_CONTRAST)


def slant_angle(grey: np.ndarray, limit: int = 45) -> int:
    """Return the angle of the letters' strokes from the vertical.

    The angle is the one whose undoing stands the strokes upright: the sum of squares of the
    vertical projection (ink pixels a column) is greatest. Repeated estimates agree far better
    than with the unbroken columns of Vinciarelli and Luettin (2001), which touching lines and
    specks break.

    Parameters
    ----------
    grey : numpy.ndarray
        uint8, (height, width).
    limit : int
        Largest angle looked for on either side, in degrees, 1 to 60.

    Returns
    -------
    int
        Degrees, -limit to limit; positive leans to the right. 0 for an image without ink.

    Raises
    ------
    ConfigError
        `limit` is out of range.
    DataError
        Not a grey uint8 image.
    """
    _check(grey)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= 60:
        raise ConfigError(f"limit is {limit!r}; expected whole degrees, 1 to 60")
    ink = _ink(grey)
    rows, columns = np.nonzero(ink)
    if not len(rows):
        return 0
    height, width = ink.shape
    room = int(np.ceil(np.tan(np.deg2rad(limit)) * height)) + 1
    rise = rows - (height - 1) / 2

    def uprightness(angle):
        place = columns + np.tan(np.deg2rad(angle)) * rise + room
        left = np.floor(place).astype(np.int64)
        share = place - left
        projection = (np.bincount(left, 1 - share, minlength=width + 2 * room + 1)
                      + np.bincount(left + 1, share, minlength=width + 2 * room + 1))
        return (np.convolve(projection, _SMOOTHING) ** 2).sum()

    # Of equal angles the smallest: a stroke one pixel high fits all.
    return max(sorted(range(-limit, limit + 1), key=abs), key=uprightness)


def deslant(grey: np.ndarray, angle: Optional[float] = None, limit: int = 45) -> np.ndarray:
    """Stand slanted letters upright by a horizontal shear.

    Parameters
    ----------
    grey : numpy.ndarray
        uint8, (height, width).
    angle : float, optional
        Slant to undo, in degrees; that of `slant_angle` by default.
    limit : int
        As for `slant_angle`.

    Returns
    -------
    numpy.ndarray
        uint8, (height, width + what the shear needs): nothing is cut off, new corners are
        paper (the median).

    Raises
    ------
    ConfigError, DataError
        As `slant_angle`.
    """
    from PIL import Image

    _check(grey)
    if angle is None:
        angle = slant_angle(grey, limit)
    elif not -80 <= angle <= 80:
        raise ConfigError(f"angle is {angle!r}; expected degrees, -80 to 80")
    slope = np.tan(np.deg2rad(angle))
    if not slope:
        return grey
    height, width = grey.shape
    room = int(np.ceil(abs(slope) * (height - 1) / 2))
    # Output (x, y) is taken from input (x - room - slope * (y - middle), y).
    matrix = (1, -slope, slope * height / 2 - room, 0, 1, 0)
    upright = Image.fromarray(grey).transform(
        (width + 2 * room, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR,
        fillcolor=int(np.median(grey)))
    return np.asarray(upright)
