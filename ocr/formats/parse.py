"""PAGE and ALTO XML parsed: one page's lines with outline, baseline and text.

Any version (namespace) of either format is read; elements are known by their local names.
"""

import re
from dataclasses import dataclass, field
from typing import Optional
from xml.parsers import expat

import numpy as np

from lm.base.errors import DataError
from lm.base.files import check_regular
from lm.normalisation import normalise

__all__ = ["parse_xml", "read_outlines", "PageXml", "AltoXml", "Unusable", "UNITS", "TOLERANCE",
           "bounds_of", "line_distance", "outline_of", "tidy"]

#: Units of ALTO's coordinates; all but pixels need the page's size in the same unit.
UNITS = ("pixel", "mm10", "inch1200")
# How far the scales of width and height may differ: more is another picture, or a turned one.
TOLERANCE = 0.02
# Elements within elements: more is no page, and would exhaust what walks through it.
_DEEPEST = 100
# Largest coordinate, in either direction.
_FARTHEST = 1e9
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


class _Node:
    """An XML element: local name, attributes by local name, children, own text, line number."""

    __slots__ = ("name", "attributes", "children", "text", "line")

    def __init__(self, name, attributes, line):
        self.name, self.attributes, self.line = name, attributes, line
        self.children, self.text = [], ""

    def get(self, name, default=None):
        return self.attributes.get(name, default)

    def all(self, name):
        """Return the children of this name."""
        return [child for child in self.children if child.name == name]

    def first(self, *path):
        """Return the first element along a path of names, or None."""
        node = self
        for name in path:
            node = next((child for child in node.children if child.name == name), None)
            if node is None:
                return None
        return node

    def within(self, name):
        """Yield all elements of this name below, in document order, each with its parent."""
        waiting = [(child, self) for child in reversed(self.children)]
        while waiting:
            node, parent = waiting.pop()
            if node.name == name:
                yield node, parent
            waiting.extend((child, node) for child in reversed(node.children))


class _Enough(Exception):
    """All that was asked for has been read."""


def _local(name):
    return name.rpartition(":")[2]


def parse_xml(path, until=(), outside_dtd=False):
    """Return the root `_Node` of a file; reading stops at an element named in `until`.

    Parameters
    ----------
    path : str
    until : tuple of str
    outside_dtd : bool
        Whether the file may name a DTD that lies elsewhere. It is not read in any case.

    Raises
    ------
    DataError
        Malformed, nested too deep, or with a DTD that declares entities or lies elsewhere: a
        page needs neither, and both can be used to read other files or to fill the memory.
    """
    check_regular(path)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    root, stack, texts = None, [], []

    def where():
        return f"{path}, line {parser.CurrentLineNumber}"

    def start(name, attributes):
        nonlocal root
        node = _Node(_local(name), {_local(k): v for k, v in attributes.items()},
                     parser.CurrentLineNumber)
        if stack:
            stack[-1].children.append(node)
        else:
            root = node
        if node.name in until:
            raise _Enough
        if len(stack) >= _DEEPEST:
            raise DataError(f"{where()}: <{node.name}> lies more than {_DEEPEST} elements deep")
        stack.append(node)
        texts.append([])

    def end(name):
        stack.pop().text = "".join(texts.pop())

    def doctype(name, system, public, internal):
        if (system or public) and not outside_dtd:
            raise DataError(f"{where()}: refers to a DTD elsewhere; refused")

    def entity(*_):
        raise DataError(f"{where()}: declares an entity; refused")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = lambda text: texts[-1].append(text)
    parser.StartDoctypeDeclHandler = doctype
    parser.EntityDeclHandler = entity
    try:
        with open(path, "rb") as source:
            parser.ParseFile(source)
    except _Enough:
        pass
    except OSError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except (expat.ExpatError, LookupError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{where()}: malformed XML ({error})") from None
    return root


@dataclass
class _Line:
    """A line as its XML has it; coordinates in the XML's own unit."""

    id: str
    where: str
    text: str
    region: str
    #: Of (x, y).
    polygon: Optional[list] = None
    baseline: Optional[list] = None
    #: (left, top, right, bottom).
    box: Optional[tuple] = None
    extra: dict = field(default_factory=dict)


class Unusable(Exception):
    """A line or page to be left out: `reason` and `detail`."""

    def __init__(self, reason, detail):
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def _numbers(text, where, what):
    """Return the numbers of an attribute, separated by commas or spaces."""
    parts = re.split(r"[\s,]+", text.strip(" \t\r\n,")) if text and text.strip() else []
    values = [float(part) for part in parts if _NUMBER.fullmatch(part)]
    if len(values) != len(parts) or any(abs(value) > _FARTHEST for value in values):
        raise Unusable("malformed coordinates", f"{where}: {what} is {text[:60]!r}")
    return values


def _points(text, where, what):
    """Return the (x, y) pairs of an attribute; None where there is none."""
    values = _numbers(text, where, what)
    if len(values) % 2:
        raise Unusable("malformed coordinates", f"{where}: {what} has a coordinate over")
    return list(zip(values[::2], values[1::2])) or None


def tidy(text):
    return re.sub(r"[\t\r\n]+", " ", normalise(text)).strip()


class PageXml:
    """PAGE: PcGts, Page, TextRegion, TextLine."""

    name, root, body = "page", "PcGts", ("TextRegion", "ReadingOrder", "Border")

    @staticmethod
    def image_name(root):
        page = root.first("Page")
        return page and page.get("imageFilename")

    @staticmethod
    def size(root, path):
        """Return the page's (width, height) in the lines' unit, or None where it is not said."""
        page = root.first("Page")
        if page is None:
            raise Unusable("no page", f"{path}: holds no <Page>")
        values = [_numbers(page.get(name, ""), f"{path}, line {page.line}", name)
                  for name in ("imageWidth", "imageHeight")]
        return tuple(v[0] for v in values) if all(values) else None

    @staticmethod
    def lines(root):
        """Yield the elements of all lines with those of their regions."""
        yield from root.within("TextLine")

    @classmethod
    def read(cls, node, region, where):
        """Return the `_Line` of an element; its text may be empty."""
        line = _Line(node.get("id"), where, cls._text(node, where), region.get("id"))
        line.polygon = cls._outline(node.first("Coords"), where, "Coords")
        line.baseline = cls._outline(node.first("Baseline"), where, "Baseline")
        if node.get("custom"):
            line.extra["custom"] = node.get("custom")
        return line

    @staticmethod
    def _outline(node, where, what):
        if node is None:
            return None
        if node.get("points") is None:
            # Before 2013 each point was an element.
            pairs = [f"{p.get('x', '')},{p.get('y', '')}" for p in node.all("Point")]
            text = " ".join(pairs)
        else:
            text = node.get("points")
        # A number that is missing must not shift all after it.
        if any(pair.count(",") != 1 for pair in text.split()):
            raise Unusable("malformed coordinates", f"{where}: {what} is {text[:60]!r}")
        return _points(text, where, what)

    @classmethod
    def _text(cls, node, where):
        def index(equivalent):
            try:
                return int(equivalent.get("index", 0))
            except ValueError:
                raise Unusable("malformed index", f"{where}: TextEquiv has the index "
                                                   f"{equivalent.get('index')!r}") from None

        readings = [e for e in node.all("TextEquiv") if e.first("Unicode") is not None]
        if readings:
            return min(readings, key=index).first("Unicode").text
        return " ".join(filter(None, (cls._text(word, where) for word in node.all("Word"))))


class AltoXml:
    """ALTO: alto, Layout, Page, TextBlock, TextLine, String."""

    name, root, body = "alto", "alto", ("Layout",)

    @staticmethod
    def image_name(root):
        name = root.first("Description", "sourceImageInformation", "fileName")
        return name and name.text.strip()

    @staticmethod
    def size(root, path):
        pages = [page for page, _ in root.within("Page")]
        if len(pages) != 1:
            raise Unusable("no page" if not pages else "several pages",
                            f"{path}: holds {len(pages)} <Page>; expected one")
        unit = root.first("Description", "MeasurementUnit")
        unit = unit.text.strip() if unit is not None else "pixel"
        if unit not in UNITS:
            raise Unusable("unknown unit", f"{path}: MeasurementUnit is {unit!r}; known: "
                                            + ", ".join(UNITS))
        values = [_numbers(pages[0].get(name, ""), f"{path}, line {pages[0].line}", name)
                  for name in ("WIDTH", "HEIGHT")]
        if all(values):
            return tuple(v[0] for v in values)
        if unit != "pixel":
            raise Unusable("no page size", f"{path}: coordinates in {unit} need the WIDTH and "
                                            "HEIGHT of <Page>")
        return None

    @staticmethod
    def lines(root):
        yield from root.within("TextLine")

    @classmethod
    def read(cls, node, region, where):
        line = _Line(node.get("ID"), where, cls._text(node), region.get("ID"))
        outline = node.first("Shape", "Polygon")
        if outline is not None:
            line.polygon = _points(outline.get("POINTS", ""), where, "POINTS")
        sides = [_numbers(node.get(name, ""), where, name)
                 for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT")]
        if all(sides):
            left, top, width, height = (side[0] for side in sides)
            line.box = (left, top, left + width, top + height)
        line.baseline = cls._baseline(node.get("BASELINE", ""), line.box, where)
        if node.get("TAGREFS"):
            line.extra["tags"] = node.get("TAGREFS")
        return line

    @staticmethod
    def _baseline(text, box, where):
        values = _numbers(text, where, "BASELINE")
        if len(values) == 1:
            # Before ALTO 4.1 one height, under the whole line.
            return box and [(box[0], values[0]), (box[2], values[0])]
        return _points(text, where, "BASELINE")

    @staticmethod
    def _text(node):
        spaced, words, text = node.first("SP") is not None, 0, ""
        for child in node.children:
            if child.name == "String":
                if words and not spaced:
                    text += " "
                text += child.get("CONTENT", "")
                words += 1
            elif child.name == "SP":
                text += " "
            elif child.name == "HYP":
                # On paper a soft hyphen at a line's end is a hyphen.
                text += child.get("CONTENT", "-").replace("\u00ad", "-")
        return text


def bounds_of(points):
    xs, ys = zip(*points)
    return min(xs), min(ys), max(xs), max(ys)


def line_distance(lines):
    """Return the median distance from a baseline to the next one below, or None."""
    spans = sorted((float(np.mean([y for _, y in line.baseline])), *bounds_of(line.baseline)[::2])
                   for line in lines if line.baseline)
    heights, lefts, rights = np.array(spans, float).reshape(-1, 3).T
    gaps = []
    for (height, left, right), start in zip(spans, np.searchsorted(heights, heights + 1, "right")):
        # The next one is mostly near; more are looked at only where it is not.
        count = 16
        while start < len(spans):
            near = slice(start, start + count)
            below = np.flatnonzero(np.minimum(rights[near], right) > np.maximum(lefts[near], left))
            if len(below):
                gaps.append(heights[start + below[0]] - height)
                break
            start, count = start + count, 4 * count
    return float(np.median(gaps)) if gaps else None


def outline_of(line, crop, ascent, descent, distance):
    """Return the (bounds, polygon or None) to cut a line out by."""
    if crop != "baseline":
        if line.polygon and len(line.polygon) >= 3:
            return bounds_of(line.polygon), line.polygon if crop == "polygon" else None
        if line.box:
            return line.box, None
    if not line.baseline or len(line.baseline) < 2:
        others = "" if crop == "baseline" else "polygon, no box, no "
        raise Unusable("no outline", f"{line.where}: no {others}baseline of two points")
    if distance is None:
        raise Unusable("no line distance", f"{line.where}: the page has no two baselines, one "
                                            "below the other, to tell the height of a line")
    band = ([(x, y - ascent * distance) for x, y in line.baseline]
            + [(x, y + descent * distance) for x, y in reversed(line.baseline)])
    return bounds_of(band), band


def read_outlines(path, size, ascent=0.75, descent=0.3):
    """Read where the lines of one page are, whether or not they have a text.

    Parameters
    ----------
    path : str
        PAGE or ALTO XML.
    size : tuple of int
        (width, height) in pixels of the image; coordinates are scaled to it.
    ascent, descent : float
        As for `open_page`, for lines that have a baseline alone.

    Returns
    -------
    list of (str, list, list or None)
        Where the line stands in the file, its polygon and its baseline in pixels.

    Raises
    ------
    DataError
        Malformed, of another format or shape, or a line without an outline.
    """
    root = parse_xml(path)
    kind = {k.root: k for k in (PageXml, AltoXml)}.get(root.name)
    if kind is None:
        raise DataError(f"{path}: its root is <{root.name}>, neither PAGE's nor ALTO's")
    try:
        stated = kind.size(root, path) or size
        if min(stated) < 1 or abs(size[0] / stated[0] / (size[1] / stated[1]) - 1) > TOLERANCE:
            raise DataError(f"{path}: the page is {stated[0]:g} x {stated[1]:g} in shape, the "
                            f"image {size[0]} x {size[1]}")
        lines = [kind.read(node, region, f"{path}, line {node.line}")
                 for node, region in kind.lines(root)]
        distance, outlines = line_distance(lines), []
        across, down = size[0] / stated[0], size[1] / stated[1]
        for line in lines:
            bounds, polygon = outline_of(line, "polygon", ascent, descent, distance)
            left, top, right, bottom = bounds
            polygon = polygon or [(left, top), (right, top), (right, bottom), (left, bottom)]
            outlines.append((line.where, *(points and [
                (x * across, y * down) for x, y in points]
                for points in (polygon, line.baseline))))
    except Unusable as error:
        raise DataError(str(error)) from None
    return outlines
