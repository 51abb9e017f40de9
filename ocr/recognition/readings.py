"""What was read in an image: characters, words, lines, pages."""

import html
import io
import os
from dataclasses import dataclass, field
from typing import Any, Optional

from lm.base.errors import DataError

from ..formats import format_of_file, open_format, reading_to_dict
from ..layout import TextLine

__all__ = ["Alternative", "CharacterReading", "LineReading", "PageReading", "Readings",
           "WordReading", "LOW_CONFIDENCE"]

#: Lines below this confidence are flagged; the models' cards say the same.
LOW_CONFIDENCE = 0.6

_RED, _BLUE = (200, 30, 30), (30, 90, 200)


@dataclass(frozen=True)
class CharacterReading:
    """A character; the sides of its cell lie half way to its neighbours.

    Attributes
    ----------
    text : str
    confidence : float
        0..1: the network's highest posterior of it.
    polygon : tuple of (float, float)
        Four corners in pixels of the image, from the upper left clockwise as written.
    """

    text: str
    confidence: float
    polygon: tuple

    @property
    def box(self) -> tuple:
        """(left, top, right, bottom) around the polygon."""
        xs, ys = zip(*self.polygon)
        return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True)
class WordReading(CharacterReading):
    """A word: as a character, and its ``characters``.

    Its confidence is the probability that it is right where the model's decoder was tuned, else
    the geometric mean of its characters'.
    """

    characters: tuple[CharacterReading, ...] = ()


@dataclass(frozen=True)
class Alternative:
    """Another reading of a line."""

    text: str
    confidence: float


@dataclass(frozen=True)
class LineReading:
    """A line and what was read there.

    Attributes
    ----------
    line : TextLine
    text : str
    confidence : float
        0..1: the mean of its words', longer words counting more; so much of it is expected to
        be right.
    low_confidence : bool
        Whether the confidence is below the reader's threshold, or ink was read as nothing.
    characters : tuple of CharacterReading
        Spaces included.
    words : tuple of WordReading
    alternatives : tuple of Alternative
        Best first, without the reading itself; none is surer than the reading.
    """

    line: TextLine
    text: str
    confidence: float
    low_confidence: bool
    characters: tuple[CharacterReading, ...] = ()
    words: tuple[WordReading, ...] = ()
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True)
class PageReading:
    """What was read in an image of ``width`` x ``height`` pixels.

    Attributes
    ----------
    width, height : int
    lines : tuple of LineReading
        In the order of reading.
    name : str
        Of the image: its path, as it was given.
    page : int or None
        Number of the page, from 1, in a file of several.
    source : ImageSource or None
        Where the image comes from, to be drawn or to be put behind the text.
    """

    width: int
    height: int
    lines: tuple[LineReading, ...]
    name: str = field(default="", compare=False)
    page: Optional[int] = field(default=None, compare=False)
    source: Any = field(default=None, compare=False, repr=False)

    @property
    def text(self) -> str:
        """The lines' texts, one a row."""
        return "\n".join(line.text for line in self.lines)

    @property
    def title(self) -> str:
        """The image's name, and the page where its file has several: ``scan.pdf[3]``."""
        return self.name if self.page is None else f"{self.name}[{self.page}]"

    def to_dict(self) -> dict:
        """Return a JSON-ready dict (see `ocr.formats.reading_to_dict`)."""
        return reading_to_dict(self)

    def save(self, path, format: Optional[str] = None, overwrite: bool = False) -> None:
        """Write the reading to a file.

        Parameters
        ----------
        path : str or path-like
        format : str, optional
            A name of ``ocr list formats``; by the file's ending where it is not given.
        overwrite : bool

        Raises
        ------
        DataError
            The file exists.
        ConfigError, UnknownNameError
            No such format, or a package for it is missing.
        """
        Readings([self]).save(path, format, overwrite)

    def image(self):
        """Return the image that was read, upright (`PIL.Image.Image`).

        Raises
        ------
        DataError
            It is not known, cannot be read any more, or is another one by now.
        """
        if self.source is None:
            raise DataError(f"{self.title or 'this page'}: its image is not known")
        image = self.source.load()
        if image.size != (self.width, self.height):
            raise DataError(f"{self.title}: its image has another size now")
        return image

    def show(self):
        """Return the image with a box about each word, red in lines of low confidence."""
        from PIL import ImageDraw

        image = self.image().convert("RGB")
        draw = ImageDraw.Draw(image)
        for line in self.lines:
            colour = _RED if line.low_confidence else _BLUE
            for word in line.words:
                draw.polygon([tuple(p) for p in word.polygon], outline=colour)
            draw.line([tuple(p) for p in line.line.baseline], fill=colour)
        return image

    def _repr_html_(self) -> str:
        """Return what notebooks show: the image with its boxes, and the text beside it."""
        import base64

        rows = "".join(f"<li{_STYLE[line.low_confidence]}>{html.escape(line.text)}</li>"
                       for line in self.lines)
        text = f"<ol>{rows}</ol>"
        if self.source is None:
            return text
        image = self.show()
        image.thumbnail((1000, 1000))
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=80)
        data = base64.b64encode(stream.getvalue()).decode()
        return f'<img src="data:image/jpeg;base64,{data}" alt="{html.escape(self.name)}"/>{text}'


_STYLE = {False: "", True: ' style="color: #b00" title="low confidence"'}


class Readings(list):
    """Several `PageReading`: a list that is written to one file, or to a folder's."""

    @property
    def text(self) -> str:
        """The pages' texts, an empty row between them."""
        return "\n\n".join(page.text for page in self)

    def to_dict(self) -> list:
        """Return the dicts of all pages."""
        return [page.to_dict() for page in self]

    def save(self, path, format: Optional[str] = None, overwrite: bool = False) -> None:
        """Write all pages to one file; see `PageReading.save`.

        Raises
        ------
        DataError
            The format holds one page a file, and there are several.
        """
        from .outputs import OutputFile

        kind = open_format(format or format_of_file(path))
        if len(self) > 1 and not kind.several:
            raise DataError(f"{path}: a file of this format holds one page, not {len(self)}")
        if os.path.exists(path) and not overwrite:
            raise DataError(f"{path} exists; overwrite=True replaces it")
        with OutputFile(os.fspath(path), kind, len(self)) as file:
            for page in self:
                file.add(page)

    def _repr_html_(self) -> str:
        return "".join(page._repr_html_() for page in self)
