"""A picture of many small images with truth and reading under each."""

from collections.abc import Sequence
from typing import Optional

import numpy as np

from lm.base.errors import ConfigError, DataError
from lm.base.files import atomic_path

from ..image.fonts import label_font
from ..text import tidy

__all__ = ["label_grid"]

#: Pixels: an image's greatest height and width, a text row, and the space around a cell.
_HEIGHT, _WIDTH, _ROW, _SPACE = 96, 420, 22, 10


def label_grid(images: Sequence[np.ndarray], truths: Sequence[str], readings: Sequence[str],
               path: str, columns: int = 4, font: Optional[str] = None) -> int:
    """Write a PNG grid of images, each with its truth and, below, its reading.

    A wrong reading is red, begins with a cross, and its cell has a red frame. What is wrong is
    what the SER counts: any difference once both are tidy.

    Parameters
    ----------
    images : sequence of numpy.ndarray
        uint8 grey, (height, width); scaled down where they are larger than 96 x 420.
    truths, readings : sequence of str
        As many as images; texts wider than 420 pixels are cut.
    path : str
    columns : int
    font : str, optional
        TrueType or OpenType file; by default DejaVu Sans, which has no Chinese.

    Returns
    -------
    int
        How many readings are wrong; 1 - wrong / len(images) is the exact match.

    Raises
    ------
    DataError
        No images, or the three are not equally many.
    ConfigError
        `columns` is less than 1, or `font` cannot be read.
    """
    from PIL import Image, ImageDraw, ImageFont

    if not len(images) == len(truths) == len(readings):
        raise DataError(f"{len(images)} images, {len(truths)} truths and {len(readings)} "
                        "readings; they must be equally many")
    if not len(images):
        raise DataError("no images to show")
    if columns < 1:
        raise ConfigError(f"columns is {columns}; at least 1 is needed")
    try:
        letters = label_font(15) if font is None else ImageFont.truetype(font, 15)
    except OSError as error:
        raise ConfigError(f"{font}: not a readable font ({error})") from None
    cells, wrong = [], 0
    for image, truth, reading in zip(images, truths, readings):
        picture = Image.fromarray(image)
        scale = min(_HEIGHT / picture.height, _WIDTH / picture.width, 1)
        picture = picture.resize((max(1, round(picture.width * scale)),
                                  max(1, round(picture.height * scale))))
        right = tidy(truth) == tidy(reading)
        wrong += not right
        below = reading if right else f"✗ {reading}"
        cells.append((picture, _cut(truth, letters), _cut(below, letters), right))
    wide = max(max(picture.width, letters.getlength(truth), letters.getlength(reading))
               for picture, truth, reading, _ in cells)
    wide, tall = int(wide) + 1 + 2 * _SPACE, max(c[0].height for c in cells) + 2 * (_ROW + _SPACE)
    columns = min(columns, len(cells))
    canvas = Image.new("RGB", (wide * columns, tall * -(-len(cells) // columns)), "white")
    draw = ImageDraw.Draw(canvas)
    for place, (picture, truth, reading, right) in enumerate(cells):
        left, top = place % columns * wide, place // columns * tall
        x, y = left + _SPACE, top + _SPACE
        canvas.paste(picture, (x, y))
        y = top + tall - _SPACE - 2 * _ROW + 2
        draw.text((x, y), truth, fill="black", font=letters)
        draw.text((x, y + _ROW), reading, fill="gray" if right else "firebrick", font=letters)
        if not right:
            draw.rectangle([left + 2, top + 2, left + wide - 3, top + tall - 3],
                           outline="firebrick", width=2)
    with atomic_path(path) as temporary:
        canvas.save(temporary, "PNG")
    return wrong


def _cut(text, font):
    """Return `text` on one line, cut to the cell's width."""
    text = " ".join(text.splitlines())
    if font.getlength(text) <= _WIDTH:
        return text
    while text and font.getlength(text + "…") > _WIDTH:
        text = text[:-1]
    return text + "…"
