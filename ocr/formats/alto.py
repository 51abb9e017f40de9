"""ALTO 4: a TextLine for each line, a String for each word, a Glyph for each character."""

from xml.etree.ElementTree import Element

from lm.base.version import __version__

from .output import OutputFormat
from .xml import add, bounds, to_string, whole_points

__all__ = ["AltoFormat", "alto_xml"]

NAMESPACE = "http://www.loc.gov/standards/alto/ns-v4#"
LOCATION = "http://www.loc.gov/standards/alto/v4/alto-4-4.xsd"


def alto_xml(reading, name):
    """Return a page as ALTO 4.4.

    Parameters
    ----------
    reading : PageReading
    name : str
        Of the image, as it is to be found from the XML's folder.

    Returns
    -------
    str
        Pixels are the unit. Lines of low confidence carry the tag ``low_confidence``; what
        else was read there stands as ALTERNATIVE of lines of one word only, which is what
        ALTO has.
    """
    size = (reading.width, reading.height)
    root = Element("alto")
    description = add(root, "Description")
    add(description, "MeasurementUnit", "pixel")
    add(add(description, "sourceImageInformation"), "fileName", name)
    processing = add(description, "Processing", ID="processing")
    software = add(processing, "processingSoftware")
    add(software, "softwareName", "ocr")
    add(software, "softwareVersion", __version__)
    if any(line.low_confidence for line in reading.lines):
        add(add(root, "Tags"), "OtherTag", ID="low_confidence", LABEL="low_confidence")
    page = add(add(root, "Layout"), "Page", ID="page", PHYSICAL_IMG_NR=1, WIDTH=size[0],
               HEIGHT=size[1])
    space = add(page, "PrintSpace", **_place((0, 0, *size)))
    if reading.lines:
        points = [point for line in reading.lines for point in line.line.polygon]
        block = add(space, "TextBlock", ID="block", **_place(bounds(points, size)))
        for number, line in enumerate(reading.lines, 1):
            _line(block, line, f"line{number}", size)
    return to_string(root, NAMESPACE, LOCATION)


class AltoFormat(OutputFormat):
    """A file for each page: ALTO names one image."""

    ending, several, from_file = ".xml", False, True

    def add(self, page):
        self.put(alto_xml(page, page.name))


def _place(box):
    return dict(zip(("HPOS", "VPOS", "WIDTH", "HEIGHT"), box))


def _line(block, reading, id, size):
    line = reading.line
    element = add(block, "TextLine", ID=id, **_place(bounds(line.polygon, size)),
                  BASELINE=_points(line.baseline, size),
                  TAGREFS="low_confidence" if reading.low_confidence else None)
    _shape(element, line.polygon, size)
    if not reading.words:
        # A line has one String at least.
        add(element, "String", ID=f"{id}_word1", CONTENT="", WC=f"{reading.confidence:.4f}",
            **_place(bounds(line.polygon, size)))
    for number, word in enumerate(reading.words, 1):
        box = bounds(word.polygon, size)
        if number > 1:
            left = sum(bounds(reading.words[number - 2].polygon, size)[::2])
            add(element, "SP", ID=f"{id}_space{number - 1}", HPOS=left, VPOS=box[1],
                WIDTH=max(box[0] - left, 0))
        string = add(element, "String", ID=f"{id}_word{number}", CONTENT=word.text,
                     WC=f"{word.confidence:.4f}", **_place(box))
        _shape(string, word.polygon, size)
        if len(reading.words) == 1:
            for other in reading.alternatives:
                add(string, "ALTERNATIVE", other.text)
        for place, character in enumerate(word.characters, 1):
            glyph = add(string, "Glyph", ID=f"{id}_word{number}_glyph{place}",
                        CONTENT=character.text, GC=f"{character.confidence:.4f}",
                        **_place(bounds(character.polygon, size)))
            _shape(glyph, character.polygon, size)


def _shape(element, polygon, size):
    add(add(element, "Shape"), "Polygon", POINTS=_points(polygon, size))


def _points(points, size):
    return " ".join(f"{x},{y}" for x, y in whole_points(points, size))
