"""What a person made of a reading, written out: documents, and lines to train on."""

import io
import json
import re
import zipfile
from typing import Annotated, Optional

import numpy as np
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from rapidfuzz.distance import Levenshtein

from lm.base.errors import DataError

from ..formats import alto_xml, page_xml, reading_to_dict
from ..layout import crop, line_of_polygon
from ..recognition.readings import CharacterReading, LineReading, PageReading, WordReading
from .documents import png
from .errors import BadRequest

__all__ = ["FORMATS", "EditedPage", "parse_pages", "edited_reading", "encoded", "write",
           "training_table"]

Number = Annotated[float, Field(ge=-1e6, le=1e6)]
Point = tuple[Number, Number]
Share = Annotated[float, Field(ge=0, le=1)]
#: One line of text, and no control characters: it goes into XML and tables.
Text = Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00-\x1f\x7f\x{fffe}\x{ffff}]*$")]

FORMATS = {"txt": "text/plain; charset=utf-8", "json": "application/json",
           "alto": "application/xml", "page": "application/xml", "table": "application/zip"}
_WRITERS = {"txt": lambda page, name: page.text + "\n",
            "json": lambda page, name: json.dumps(reading_to_dict(page, name),
                                             ensure_ascii=False) + "\n",
            "alto": alto_xml, "page": page_xml}
_ENDINGS = {"txt": ".txt", "json": ".json", "alto": ".alto.xml", "page": ".page.xml"}


class EditedCharacter(BaseModel):
    text: Text
    confidence: Share = 1.0
    polygon: list[Point] = Field(min_length=4, max_length=4)


class EditedLine(BaseModel):
    """A line as ``/recognition`` answers it, its `text` as it is to be.

    What `characters` stand for another text is moved to the new one.
    """

    text: Text
    confidence: Share = 1.0
    low_confidence: bool = False
    polygon: list[Point] = Field(min_length=3, max_length=10_000)
    baseline: Optional[list[Point]] = None
    characters: list[EditedCharacter] = Field(default=[], max_length=10_000)


class EditedPage(BaseModel):
    """A page as ``/recognition`` answers it, maybe with corrected texts."""

    image: Text = "page"
    number: int = Field(1, ge=1, description="Page within the file")
    width: int = Field(ge=1, le=10**6)
    height: int = Field(ge=1, le=10**6)
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


def edited_reading(page):
    """Return the `PageReading` of an `EditedPage`."""
    return PageReading(page.width, page.height, tuple(
        _line(line, number, (page.width, page.height))
        for number, line in enumerate(page.lines)))


def _line(edited, order, size):
    try:
        line = line_of_polygon(edited.polygon, edited.baseline, order, size)
    except DataError as error:
        raise BadRequest(f"line {order + 1}: {error}") from None
    characters = _characters(line, edited)
    return LineReading(line, edited.text, edited.confidence, edited.low_confidence,
                       characters, _words(characters))


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


def encoded(reading, name, format):
    """Return a `PageReading` of the image `name` as a file's bytes; `format` as for `write`."""
    return _WRITERS[format](reading, name).encode("utf-8", "xmlcharrefreplace")


def write(pages, format):
    """Write pages in a format.

    Parameters
    ----------
    pages : list of EditedPage
    format : str
        Of `FORMATS`, but "table".

    Returns
    -------
    content : bytes
        Of one page its file; of several, texts one behind the other, others as ZIP.
    type : str
    ending : str
    """
    files = [(stem + _ENDINGS[format], encoded(edited_reading(page), page.image, format))
             for stem, page in zip(_stems(pages), pages)]
    if len(files) == 1 or format in ("txt", "json"):
        return b"".join(content for _, content in files), FORMATS[format], _ENDINGS[format]
    return _zip(files), "application/zip", ".zip"


def training_table(pages, greys):
    """Write lines as ``ocr train`` takes them: a table and a picture of each line.

    Parameters
    ----------
    pages : list of EditedPage
    greys : list of numpy.ndarray
        Each page's image: uint8, (height, width).

    Returns
    -------
    bytes
        ZIP with ``lines.tsv`` (columns file and text) and ``lines/``.

    Raises
    ------
    BadRequest
        An image has another size than its page; no line holds text.
    """
    files, rows = [], []
    for stem, page, grey in zip(_stems(pages), pages, greys):
        if grey.shape[::-1] != (page.width, page.height):
            raise BadRequest(f"{page.image}: the image has {grey.shape[1]} x {grey.shape[0]} "
                             f"pixels, its page {page.width} x {page.height}")
        for number, line in enumerate(edited_reading(page).lines, 1):
            if line.text.strip():
                name = f"lines/{stem}-{number:03}.png"
                files.append((name, png(crop(grey, line.line))))
                rows.append(f"{name}\t{line.text.strip()}\n")
    if not rows:
        raise BadRequest("no line holds text")
    return _zip([("lines.tsv", ("file\ttext\n" + "".join(rows)).encode("utf-8")), *files])


def _stems(pages):
    """Return a file name without ending for each page, no two alike."""
    stems = []
    for page in pages:
        stem = re.sub(r"[^\w.-]+", "_", re.sub(r"\.\w{1,5}$", "", page.image)).strip("._")
        stem = (stem or "page") + (f"-p{page.number}" if page.number > 1 else "")
        unique, count = stem, 2
        while unique in stems:
            unique, count = f"{stem}-{count}", count + 1
        stems.append(unique)
    return stems


def _zip(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return out.getvalue()
