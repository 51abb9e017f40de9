"""PAGE 2019: TextLine, Word and Glyph with outlines, texts and confidences."""

from datetime import datetime, timezone
from xml.etree.ElementTree import Element

from lm.base.version import __version__

from .output import OutputFormat
from .xml import add, bounds, to_string, whole_points

__all__ = ["PageFormat", "page_xml"]

NAMESPACE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"


def page_xml(reading, name, time=None):
    """Return a page as PAGE XML of 2019-07-15.

    Parameters
    ----------
    reading : PageReading
    name : str
        Of the image, as it is to be found from the XML's folder.
    time : datetime.datetime, optional
        When it was read; now by default.

    Returns
    -------
    str
        Other readings of a line are further TextEquiv, in order; lines of low confidence carry
        ``custom="low_confidence {value:true;}"``.
    """
    size = (reading.width, reading.height)
    root = Element("PcGts")
    metadata = add(root, "Metadata")
    time = (time or datetime.now(timezone.utc)).isoformat(timespec="seconds")
    add(metadata, "Creator", f"ocr {__version__}")
    add(metadata, "Created", time)
    add(metadata, "LastChange", time)
    page = add(root, "Page", imageFilename=name, imageWidth=size[0], imageHeight=size[1])
    if reading.lines:
        region = add(page, "TextRegion", id="region")
        left, top, width, height = bounds(
            [point for line in reading.lines for point in line.line.polygon], size)
        _coords(region, [(left, top), (left + width, top), (left + width, top + height),
                         (left, top + height)], size)
        for number, line in enumerate(reading.lines, 1):
            _line(region, line, f"line{number}", size)
    return to_string(root, NAMESPACE, f"{NAMESPACE}/pagecontent.xsd")


class PageFormat(OutputFormat):
    """A file for each page, as the schema wants it."""

    ending, several, from_file = ".xml", False, True

    def add(self, page):
        self.put(page_xml(page, page.name))


def _line(region, reading, id, size):
    custom = "low_confidence {value:true;}" if reading.low_confidence else None
    element = add(region, "TextLine", id=id, custom=custom)
    _coords(element, reading.line.polygon, size)
    add(element, "Baseline", points=_points(reading.line.baseline, size))
    for number, word in enumerate(reading.words, 1):
        word_id = f"{id}_word{number}"
        inner = add(element, "Word", id=word_id)
        _coords(inner, word.polygon, size)
        for place, character in enumerate(word.characters, 1):
            glyph = add(inner, "Glyph", id=f"{word_id}_glyph{place}")
            _coords(glyph, character.polygon, size)
            _text(glyph, character)
        _text(inner, word)
    several = bool(reading.alternatives)
    for index, one in enumerate((reading, *reading.alternatives)):
        _text(element, one, index if several else None)


def _coords(element, polygon, size):
    add(element, "Coords", points=_points(polygon, size))


def _text(element, reading, index=None):
    equivalent = add(element, "TextEquiv", index=index, conf=f"{reading.confidence:.4f}")
    add(equivalent, "Unicode", reading.text)


def _points(points, size):
    return " ".join(f"{x},{y}" for x, y in whole_points(points, size))
