"""From a grey image to what the network reads, the same way for training and for reading.

`prepare_line` takes a line as it was loaded or cut out of a page: which of ink and paper is the
lighter, cleaning, upright letters (`clean_line`), then height and black and white (`scale_line`).
`line_to_input` standardises. What it does is all in a `PreprocessConfig`, which goes into every
checkpoint and every exported model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from lm.base.errors import ConfigError, DataError

from .cleaning import clean_paper, compensate_illumination, deslant, histogram, light_on_dark
from .cleaning import quantiles

__all__ = ["PreprocessConfig", "prepare_line", "clean_line", "scale_line", "resized_width",
           "input_width", "standardise", "line_to_input", "fit_box", "image_columns",
           "ORIGINAL_MEAN", "ORIGINAL_STD"]

#: Mean and standard deviation of the original notebook's 60x800 boxes, on a 0..1 scale.
ORIGINAL_MEAN = 0.942532484060557
ORIGINAL_STD = 0.15926149044640417

POLARITIES = ("auto", "dark", "light")
CLEANINGS = ("none", "auto", "even")
SCALINGS = ("ink", "original")
BINARISATIONS = ("", "otsu", "mean")


@dataclass(frozen=True)
class PreprocessConfig:
    """How the image of a line becomes what the network reads; its fields in their order of work.

    Attributes
    ----------
    polarity : {"auto", "dark", "light"}
        Whether the ink is darker or lighter than the paper; "auto" looks at each line.
    cleaning : {"none", "auto", "even"}
        "auto": dark or uneven paper and grain are cleaned away where there are such, and lines on
        white paper stay as they are; "even": the lighting is made even in any case. Of
        `ocr.image.cleaning`.
    deslant : bool
        Stand slanted letters upright.
    height : int
        Height in pixels after scaling.
    width : int or None
        None keeps the aspect: the width follows from the height. A number makes a box of
        height x width, into which the line is fitted, centred in height, left in width.
    scaling : {"ink", "original"}
        "ink": paper 0, darkest ink about 1, by each line's own percentiles, so that pencil
        and pen look alike and padding is paper. "original": the original notebook's mean
        and standard deviation.
    margin : int
        Columns of paper added on the left and the right.
    min_width, max_width : int
        In pixels after scaling, without margins. Narrower lines are padded, wider ones are
        squeezed to `max_width`.
    binarise : {"", "otsu", "mean"}
        Makes each scaled grey image black and white, before augmentation and
        standardisation: pixels with more ink than the threshold become ink, all others
        paper. "otsu": the threshold that best parts the grey values into two groups;
        "mean": their mean. With scaling "ink" paper is then exactly 0 and ink 1.
    """

    polarity: str = "auto"
    cleaning: str = "auto"
    deslant: bool = False
    height: int = 64
    width: Optional[int] = None
    max_width: int = 4096
    binarise: str = ""
    scaling: str = "ink"
    margin: int = 8
    min_width: int = 16

    def __post_init__(self):
        if self.height < 8 or self.min_width < 1 or self.max_width < self.min_width:
            raise ConfigError("preprocess: height must be >= 8 and 1 <= min_width <= max_width")
        if self.margin < 0:
            raise ConfigError("preprocess: margin must not be negative")
        if self.polarity not in POLARITIES:
            raise ConfigError(f"preprocess: unknown polarity {self.polarity!r}; "
                              f"known: {', '.join(POLARITIES)}")
        if self.scaling not in SCALINGS:
            raise ConfigError(f"preprocess: unknown scaling {self.scaling!r}; "
                              f"known: {', '.join(SCALINGS)}")
        if self.binarise not in BINARISATIONS:
            raise ConfigError(f"preprocess: unknown binarise {self.binarise!r}; known: "
                              + ", ".join(name or '""' for name in BINARISATIONS))


def _threshold(ink, method):
    """Return the brightness above which a pixel of the ink-bright image counts as ink."""
    if method == "mean":
        return ink.mean()
    counts = histogram(ink).astype(np.float64)
    below = counts.cumsum()
    above = below[-1] - below
    sums = (counts * np.arange(256)).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = sums / below - (sums[-1] - sums) / above
    # The variance between the groups; of an image of one grey there is none.
    between = np.where((below > 0) & (above > 0), below * above * gap ** 2, -1.0)
    return int(between.argmax()) if between.max() > 0 else 255


def _binarise(ink, config):
    if not config.binarise:
        return ink
    return np.where(ink > _threshold(ink, config.binarise), 255, 0).astype(np.uint8)


def resized_width(height, width, config):
    """Return the width that `resize_line` gives an image of `height` x `width` pixels."""
    if config.width is not None:
        return config.width
    return min(max(round(width * config.height / height), 1), config.max_width)


def input_width(width, config):
    """Return the width that `line_to_input` gives a scaled line `width` pixels wide."""
    if config.width is not None:
        return width
    return max(width, config.min_width) + 2 * config.margin


def resize_line(grey, config):
    """Scale a line to `config.height`, make its ink bright on dark paper, binarise if asked.

    Parameters
    ----------
    grey : numpy.ndarray
        uint8, (height, width).
    config : PreprocessConfig

    Returns
    -------
    numpy.ndarray
        uint8, (config.height, width), ink bright (inverted for dark ink), without margins.

    Raises
    ------
    DataError
        Not a two-dimensional uint8 image with pixels.
    """
    from PIL import Image

    if grey.ndim != 2 or grey.dtype != np.uint8 or grey.size == 0:
        raise DataError(f"expected a grey uint8 image, not {grey.dtype} of shape {grey.shape}")
    dark = config.polarity == "dark" or (config.polarity == "auto" and _median(grey) > 127)
    ink = 255 - grey if dark else grey
    height, width = ink.shape
    if config.width is not None:
        scale = min(config.height / height, config.width / width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        size = (min(size[0], config.width), min(size[1], config.height))
        small = _binarise(np.asarray(Image.fromarray(ink).resize(size, Image.BILINEAR)), config)
        paper = 0 if config.binarise else paper_of(ink)
        box = np.full((config.height, config.width), paper, np.uint8)
        top = (config.height - size[1]) // 2
        box[top:top + size[1], :size[0]] = small
        return box
    size = (resized_width(height, width, config), config.height)
    return _binarise(np.asarray(Image.fromarray(ink).resize(size, Image.BILINEAR)), config)


def paper_of(ink):
    """Brightness of the paper of an ink-bright image: its median."""
    return np.uint8(quantiles(ink, 0.5)[0])


def standardise(ink, config):
    """Turn the ink-bright uint8 image of `resize_line` into float32, same shape.

    With ``scaling="ink"`` the paper is 0 and dark strokes lie near 1 (of a binarised line
    exactly); with "original" the values are those of the original notebook (dark ink negative,
    white 0.36).
    """
    if config.scaling == "original":
        return ((255 - ink.astype(np.float32)) / 255 - ORIGINAL_MEAN) / np.float32(ORIGINAL_STD)
    if config.binarise:
        return ink.astype(np.float32) / np.float32(255)
    # Strokes cover 5 to 20% of a line; far fewer pixels are pure ink.
    paper, strong = quantiles(ink, 0.5, 0.98)
    span = max(strong - paper, 24.0)
    return np.clip((ink.astype(np.float32) - paper) / np.float32(span), 0.0, 1.5)


def line_to_input(ink, config):
    """Standardise an ink-bright line and add margins and minimum width.

    Returns
    -------
    numpy.ndarray
        float32, (height, width + 2 * margin); exactly (height, config.width) for a box.
    """
    values = standardise(ink, config)
    if config.width is not None:
        return values
    height, width = values.shape
    total = input_width(width, config)
    paper = 0.0 if config.scaling == "ink" else (1 - ORIGINAL_MEAN) / ORIGINAL_STD
    line = np.full((height, total), paper, np.float32)
    line[:, config.margin:config.margin + width] = values
    return line


def image_columns(columns, height, width, config):
    """Map columns of the network's input back to columns of the image it was made of.

    Parameters
    ----------
    columns : sequence of float
        Edges in pixels of the input, margins included.
    height, width : int
        Size of the image, in pixels.
    config : PreprocessConfig

    Returns
    -------
    tuple of float
        Edges in pixels of the image, inside 0..width.
    """
    if config.width is not None:
        scale = min(config.height / height, config.width / width)
        margin, drawn = 0, min(max(1, round(width * scale)), config.width)
    else:
        margin, drawn = config.margin, resized_width(height, width, config)
    return tuple(float(min(max((column - margin) * width / drawn, 0), width))
                 for column in columns)
