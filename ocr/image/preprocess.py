"""From a grey image to what the network reads, the same way for training and for reading.

`prepare_line` takes a line as it was loaded or cut out of a page: which of ink and paper is the
lighter, cleaning, upright letters (`clean_line`), then height and black and white (`scale_line`).
`line_to_input` standardises. What it does is all in a `PreprocessConfig`, which goes into every
checkpoint and every exported model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Optional

import numpy as np

from lm.base.errors import ConfigError, DataError
from lm.base.settings import Range, Settings

from .cleaning import (
    clean_paper,
    compensate_illumination,
    deslant,
    histogram,
    light_on_dark,
    quantiles,
)

__all__ = ["PreprocessConfig", "stored_preprocess", "RAW", "CLEANED", "SCALED", "prepare_line",
           "clean_line", "scale_line", "resized_width", "input_width", "standardise",
           "line_to_input", "fit_box", "image_columns", "ORIGINAL_MEAN", "ORIGINAL_STD"]

#: Mean and standard deviation of the original notebook's 60x800 boxes, on a 0..1 scale.
ORIGINAL_MEAN = 0.942532484060557
ORIGINAL_STD = 0.15926149044640417

#: Ink this much fainter than a line's strongest may pass for paper where paper is cut off.
_FAINT = 0.1
#: Steps of `prepare_line` that a stored line may have behind it.
RAW: Final = ""
CLEANED: Final = "cleaned"
SCALED: Final = "scaled"


@dataclass(frozen=True)
class PreprocessConfig(Settings):
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

    polarity: Literal["auto", "dark", "light"] = "auto"
    cleaning: Literal["none", "auto", "even"] = "auto"
    deslant: bool = False
    height: Annotated[int, Range(8, 10_000)] = 64
    width: Optional[Annotated[int, Range(1, 1_000_000)]] = None
    max_width: Annotated[int, Range(1, 1_000_000)] = 4096
    binarise: Literal["", "otsu", "mean"] = ""
    scaling: Literal["ink", "original"] = "ink"
    margin: Annotated[int, Range(0, 10_000)] = 8
    min_width: Annotated[int, Range(1)] = 16

    #: Settings of each step; those of an earlier step shape what a later one is given.
    _STEPS = {CLEANED: ("polarity", "cleaning", "deslant"),
              SCALED: ("height", "width", "max_width", "binarise")}

    def __post_init__(self):
        super().__post_init__()
        if self.max_width < self.min_width:
            raise ConfigError("preprocess: max_width must be at least min_width")

    def shaping(self, step: str) -> dict:
        """Return the settings that shape a line as it is after `step`: `CLEANED` or `SCALED`."""
        names = [name for which, names in self._STEPS.items() for name in names
                 if step == SCALED or which == CLEANED]
        return {name: getattr(self, name) for name in names}


def stored_preprocess(mapping: Any) -> Any:
    """Return the settings in a model file with what its age leaves out: lines were not cleaned."""
    if not isinstance(mapping, dict):
        return mapping
    return {"cleaning": "none", **mapping}


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


def resized_width(height: int, width: int, config: PreprocessConfig) -> Optional[int]:
    """Return the width that `prepare_line` gives an image of `height` x `width` pixels.

    None where only the pixels tell: upright letters are narrower or wider.
    """
    if config.width is not None:
        return config.width
    return None if config.deslant else _width_of(height, width, config)


def _width_of(height, width, config):
    return min(max(round(width * config.height / height), 1), config.max_width)


def input_width(width: int, config: PreprocessConfig) -> int:
    """Return the width that `line_to_input` gives a scaled line `width` pixels wide."""
    if config.width is not None:
        return width
    return max(width, config.min_width) + 2 * config.margin


def clean_line(grey: np.ndarray, config: PreprocessConfig) -> np.ndarray:
    """Make a line's ink dark on light paper, clean the paper, stand the letters upright.

    Parameters
    ----------
    grey : numpy.ndarray
        uint8, (height, width), as `ocr.image.load_grey` or `ocr.image.crop` gives it.
    config : PreprocessConfig

    Returns
    -------
    numpy.ndarray
        uint8, (height, width or more).

    Raises
    ------
    DataError
        Not a two-dimensional uint8 image with pixels.
    """
    if grey.ndim != 2 or grey.dtype != np.uint8 or grey.size == 0:
        raise DataError(f"expected a grey uint8 image, not {grey.dtype} of shape {grey.shape}")
    if config.polarity == "light" or config.polarity == "auto" and light_on_dark(grey):
        grey = 255 - grey
    if config.cleaning == "auto":
        grey = clean_paper(grey)
    elif config.cleaning == "even":
        grey = compensate_illumination(grey, light=False)
    return deslant(grey) if config.deslant else grey


def scale_line(grey: np.ndarray, config: PreprocessConfig) -> np.ndarray:
    """Scale what `clean_line` gives to `config.height` and make its ink bright; binarise if asked.

    Returns
    -------
    numpy.ndarray
        uint8, (config.height, width), ink bright on dark paper, without margins.
    """
    ink = 255 - grey
    height, width = ink.shape
    if config.width is not None:
        scale = min(config.height / height, config.width / width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        size = (min(size[0], config.width), min(size[1], config.height))
        small = _resized(ink, size, config)
        paper = 0 if config.binarise else paper_of(ink)
        box = np.full((config.height, config.width), paper, np.uint8)
        top = (config.height - size[1]) // 2
        box[top:top + size[1], :size[0]] = small
        return box
    return _resized(ink, (_width_of(height, width, config), config.height), config)


def _resized(ink, size, config):
    """Return the image in (width, height) pixels, binarised if asked."""
    from PIL import Image

    image = Image.fromarray(ink).resize(size, Image.Resampling.BILINEAR)
    return _binarise(np.asarray(image), config)


def prepare_line(grey: np.ndarray, config: PreprocessConfig, done: str = RAW) -> np.ndarray:
    """Bring the image of a line to the network's height: `clean_line`, then `scale_line`.

    Parameters
    ----------
    grey : numpy.ndarray
        uint8, (height, width).
    config : PreprocessConfig
    done : {"", "cleaned", "scaled"}
        What the image has behind it already. A scaled one is stored with its ink dark.

    Returns
    -------
    numpy.ndarray
        uint8, (config.height, width), ink bright on dark paper, without margins.

    Raises
    ------
    DataError
        As `clean_line`.
    """
    if done == SCALED:
        return 255 - grey
    return scale_line(grey if done == CLEANED else clean_line(grey, config), config)


def paper_of(ink: np.ndarray) -> np.uint8:
    """Return the brightness of the paper of an ink-bright image: its median."""
    return np.uint8(quantiles(ink, 0.5)[0])


def standardise(ink: np.ndarray, config: PreprocessConfig) -> np.ndarray:
    """Turn the ink-bright uint8 image of `prepare_line` into float32, same shape.

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


def line_to_input(ink: np.ndarray, config: PreprocessConfig) -> np.ndarray:
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


def fit_box(ink: np.ndarray, width: int) -> np.ndarray:
    """Bring a distorted line to the width of its box; no column with ink is lost.

    Paper is cut off on both sides, or added on the right; what is wider all the same is squeezed.

    Parameters
    ----------
    ink : numpy.ndarray
        uint8, (height, any width), ink bright.
    width : int

    Returns
    -------
    numpy.ndarray
        uint8, (height, width).
    """
    from PIL import Image

    paper, surplus = paper_of(ink), ink.shape[1] - width
    if surplus > 0:
        level = paper + max((float(ink.max()) - float(paper)) * _FAINT, 1.0)
        columns = np.flatnonzero((ink > level).any(axis=0))
        first, last = (columns[0], columns[-1] + 1) if len(columns) else (0, 1)
        left = max(min(surplus // 2, first), last - width)
        if left > first:
            part = Image.fromarray(np.ascontiguousarray(ink[:, first:last]))
            return np.asarray(part.resize((width, ink.shape[0]), Image.Resampling.BILINEAR))
        return ink[:, left:left + width]
    return np.pad(ink, ((0, 0), (0, -surplus)), constant_values=paper)


def image_columns(columns: Sequence[float], height: int, width: int, config: PreprocessConfig,
                  total: Optional[float] = None) -> tuple[float, ...]:
    """Map columns of the network's input back to columns of the image it was made of.

    Parameters
    ----------
    columns : sequence of float
        Edges in pixels of the input, margins included.
    height, width : int
        Size of the image, in pixels.
    config : PreprocessConfig
    total : float, optional
        Width of the input, roughly. Where letters were stood upright it tells by how much the
        line became wider, half of it on each side; else it is not looked at.

    Returns
    -------
    tuple of float
        Edges in pixels of the image, inside 0..width.
    """
    drawn: float
    wide: float = width
    if config.width is not None:
        scale = min(config.height / height, config.width / width)
        margin, drawn = 0, min(max(1, round(width * scale)), config.width)
    else:
        margin, drawn = config.margin, _width_of(height, width, config)
        if config.deslant and total is not None and drawn < config.max_width:
            drawn = max(drawn, total - 2 * margin)
            wide = max(drawn * height / config.height, width)
    return tuple(float(min(max((column - margin) * wide / drawn - (wide - width) / 2, 0), width))
                 for column in columns)
