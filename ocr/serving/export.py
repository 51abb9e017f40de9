"""What a person made of a reading, written out: documents, and lines to train on."""

import io
import os
import re
import zipfile
from importlib.util import find_spec
from typing import Annotated, Optional

import numpy as np
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from rapidfuzz.distance import Levenshtein

from lm.base.errors import DataError

from ..formats import FORMATS, open_format
from ..image import to_grey
from ..layout import crop, line_of_polygon
from ..recognition.readings import (
    Alternative,
    CharacterReading,
    LineReading,
    PageReading,
    WordReading,
)
from .errors import BadRequest

__all__ = ["EditedPage", "TABLE", "TYPES", "edited_reading", "format_names", "parse_pages",
           "training_table", "write"]

#: Beside the output formats: line images and their texts, to train on.
TABLE = "table"
#: Of files by their endings.
TYPES = {".txt": "text/plain; charset=utf-8", ".tsv": "text/tab-separated-values; charset=utf-8",
         ".json": "application/json", ".xml": "application/xml", ".pdf": "application/pdf",
         ".hocr": "text/html; charset=utf-8", ".zip": "application/zip"}

Number = Annotated[float, Field(ge=-1e6, le=1e6)]
Point = tuple[Number, Number]
Share = Annotated[float, Field(ge=0, le=1)]
#: One line of text, and no control characters: it goes into XML and tables.
Text = Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00-\x1f\x7f\x{fffe}\x{ffff}]*$")]


def format_names():
    """Return the names of the output formats whose packages are installed."""
    return [name for name in FORMATS.names()
            if all(find_spec(package) for package in FORMATS.get(name).packages)]


class EditedPiece(BaseModel):
    text: Text
    confidence: Share = 1.0


class EditedCharacter(EditedPiece):
    polygon: list[Point] = Field(min_length=4, max_length=4)


class EditedLine(EditedPiece):
    """A line as ``/recognition`` answers it, its `text` as it is to be.

    What `characters` stand for another text is moved to the new one.
    """

    low_confidence: bool = False
    polygon: list[Point] = Field(min_length=3, max_length=10_000)
    baseline: Optional[list[Point]] = None
    characters: list[EditedCharacter] = Field(default=[], max_length=10_000)
    alternatives: list[EditedPiece] = Field(default=[], max_length=100)


class EditedPage(BaseModel):
    """A page as ``/recognition`` answers it, maybe with corrected texts."""

    image: Text = "page"
    page: Optional[int] = Field(None, ge=1, le=10**6, description="In a file of several")
    width: int = Field(ge=1, le=10**6)
    height: int = Field(ge=1, le=10**6)
    file: Optional[int] = Field(None, ge=0, description="Which of the files sent along holds the "
                                "page; by default that in its own place")
    lines: list[EditedLine] = Field(max_length=10_000)


def parse_pages(text):
    """Parse the field ``pages``: a page, or a list of them, as JSON.

    Returns
    -------
    list of EditedPage

    Raises
    ------
    BadRequest
        The message says where it is wrong.
    """
    adapter = TypeAdapter(list[EditedPage])
    try:
        if text.lstrip()[:1] == "{":
            text = f"[{text}]"
        pages = adapter.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, ("pages", *first["loc"])))
        raise BadRequest(f"{where}: {first['msg']}") from None
    if not pages:
        raise BadRequest("pages: none")
    return pages


def edited_reading(page, source=None):
    """Return the `PageReading` of an `EditedPage`, whose image `source` holds."""
    return PageReading(page.width, page.height, tuple(
        _line(line, number, (page.width, page.height))
        for number, line in enumerate(page.lines)), page.image, page.page, source)


def _line(edited, order, size):
    try:
        line = line_of_polygon(edited.polygon, edited.baseline, order, size)
    except DataError as error:
        raise BadRequest(f"line {order + 1}: {error}") from None
    characters = _characters(line, edited)
    return LineReading(line, edited.text, edited.confidence, edited.low_confidence, characters,
                       _words(characters),
                       tuple(Alternative(a.text, a.confidence) for a in edited.alternatives))


def _characters(line, edited):
    """Give each character of the text a cell: those that stayed keep theirs."""
    text, old = edited.text, edited.characters
    before = "".join(character.text for character in old)
    if not text:
        return ()
    if len(before) != len(old):
        before, old = "", []
    if before == text:
        return tuple(CharacterReading(c.text, c.confidence, tuple(c.polygon)) for c in old)
    # In columns of the crop: characters of one line stand beside each other.
    cells = [(xs.min(), xs.max()) for xs in
             (line.to_crop(c.polygon)[:, 0] for c in old)]
    lefts, rights, sure = (np.full(len(text), np.nan) for _ in range(3))
    for kind, a, b, c, _ in Levenshtein.opcodes(before, text):
        if kind == "equal":
            for step in range(b - a):
                lefts[c + step], rights[c + step] = cells[a + step]
                sure[c + step] = old[a + step].confidence
    width, height = line.size
    start = cells[0][0] if cells else 0.0
    end = cells[-1][1] if cells else float(width)
    at = 0
    while at < len(text):
        if not np.isnan(lefts[at]):
            at += 1
            continue
        last = at
        while last < len(text) and np.isnan(lefts[last]):
            last += 1
        left = rights[at - 1] if at else start
        right = lefts[last] if last < len(text) else end
        first = at
        if right - left < 1 and at:
            # Something was put between two characters: the one before makes room.
            first, left = at - 1, lefts[at - 1]
        elif right - left < 1 and last < len(text):
            last, right = last + 1, rights[last]
        cuts = np.linspace(left, max(right, left), last - first + 1)
        lefts[first:last], rights[first:last] = cuts[:-1], cuts[1:]
        at = last
    # What a person wrote is certain.
    return tuple(CharacterReading(c, float(1 if np.isnan(s) else s), tuple(
        (round(float(x), 1), round(float(y), 1)) for x, y in
        line.to_page([(left, 0), (right, 0), (right, height), (left, height)])))
        for c, left, right, s in zip(text, lefts, rights, sure))


def _words(characters):
    words, current = [], []
    for character in (*characters, None):
        if character is not None and character.text != " ":
            current.append(character)
        elif current:
            words.append(WordReading(
                "".join(c.text for c in current), min(c.confidence for c in current),
                (current[0].polygon[0], current[-1].polygon[1], current[-1].polygon[2],
                 current[0].polygon[3]), tuple(current)))
            current = []
    return tuple(words)


def write(readings, format):
    """Write pages in an output format.

    Parameters
    ----------
    readings : list of PageReading
    format : str

    Returns
    -------
    content : bytes
        One file; a ZIP of several where a file of the format holds one page.
    ending : str
    """
    kind = open_format(format)
    if kind.several or len(readings) == 1:
        return _file(kind, readings), kind.ending
    return _zip([(stem + kind.ending, _file(kind, [reading]))
                 for stem, reading in zip(_stems(readings), readings)]), ".zip"


def _file(kind, readings):
    out = io.BytesIO()
    writer = kind(out)
    for reading in readings:
        writer.add(reading)
        writer.pages += 1
    writer.finish()
    return out.getvalue()


def training_table(readings):
    """Write lines as ``ocr train`` takes them: a table and a picture of each line.

    Parameters
    ----------
    readings : list of PageReading
        With their images.

    Returns
    -------
    content : bytes
        ZIP with ``lines.tsv`` (columns file and text) and ``lines/``.
    ending : str

    Raises
    ------
    BadRequest
        No line holds text.
    DataError
        An image cannot be read, or has another size than its page.
    """
    from PIL import Image

    files, rows = [], []
    for stem, reading in zip(_stems(readings), readings):
        grey = to_grey(reading.image())
        for number, line in enumerate(reading.lines, 1):
            if line.text.strip():
                name, out = f"lines/{stem}-{number:03}.png", io.BytesIO()
                Image.fromarray(np.ascontiguousarray(crop(grey, line.line))).save(out, "PNG")
                files.append((name, out.getvalue()))
                rows.append(f"{name}\t{line.text.strip()}\n")
    if not rows:
        raise BadRequest("no line holds text")
    table = ("file\ttext\n" + "".join(rows)).encode("utf-8")
    return _zip([("lines.tsv", table), *files]), ".zip"


def _stems(readings):
    """Return a file name without ending for each page, no two alike."""
    stems = []
    for reading in readings:
        stem = re.sub(r"[^\w.-]+", "_", os.path.splitext(reading.name)[0]).strip("._") or "page"
        stem += f"-{reading.page}" if reading.page else ""
        unique, count = stem, 2
        while unique in stems:
            unique, count = f"{stem}_{count}", count + 1
        stems.append(unique)
    return stems


def _zip(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return out.getvalue()
