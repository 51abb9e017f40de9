"""hOCR 1.2: XHTML with a page, its lines, words and characters."""

from xml.etree import ElementTree
from xml.sax.saxutils import escape

from lm.base.version import __version__

from .output import OutputFormat
from .xml import add, bounds, legal

__all__ = ["HocrFormat"]

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml">
<head>
<title>{title}</title>
<meta charset="utf-8"/>
<meta name="ocr-system" content="ocr {version}"/>
<meta name="ocr-capabilities" content="ocr_page ocr_carea ocr_line ocrx_word ocrx_cinfo"/>
</head>
<body>
"""


class HocrFormat(OutputFormat):
    """Confidences are percent: of a line and word ``x_wconf``, of a character ``x_conf``.

    Lines of low confidence have the class ``low_confidence`` besides.
    """

    ending, from_file = ".hocr", True

    def add(self, page):
        if not self.pages:
            self.put(_HEAD.format(title=escape(legal(page.name)), version=__version__))
        number = self.pages + 1
        size = (page.width, page.height)
        # A quotation mark would end the name.
        image = page.name.replace('"', "%22")
        root = ElementTree.Element("div", {
            "class": "ocr_page", "id": f"page_{number}", "title": legal(
                f'image "{image}"; bbox 0 0 {page.width} {page.height}; '
                f"ppageno {(page.page or number) - 1}")})
        if page.lines:
            points = [point for line in page.lines for point in line.line.polygon]
            area = add(root, "div", **{"class": "ocr_carea", "id": f"area_{number}",
                                       "title": _bbox(points, size)})
            for place, line in enumerate(page.lines, 1):
                _line(area, line, f"{number}_{place}", size)
        self.put(ElementTree.tostring(root, encoding="unicode") + "\n")

    def finish(self):
        self.put("</body>\n</html>\n")


def _line(area, reading, id, size):
    left, top, width, height = bounds(reading.line.polygon, size)
    (x0, y0), (x1, y1) = reading.line.baseline[0], reading.line.baseline[-1]
    slope = (y1 - y0) / (x1 - x0) if x1 > x0 else 0.0
    # Counted from the lower left corner of the box.
    offset = y0 + slope * (left - x0) - (top + height)
    element = add(area, "span", **{
        "class": "ocr_line low_confidence" if reading.low_confidence else "ocr_line",
        "id": f"line_{id}",
        "title": f"{_bbox(reading.line.polygon, size)}; baseline {slope:.4f} {offset:.1f}; "
                 f"x_wconf {100 * reading.confidence:.0f}"})
    element.tail = "\n"
    for number, word in enumerate(reading.words, 1):
        inner = add(element, "span", **{
            "class": "ocrx_word", "id": f"word_{id}_{number}",
            "title": f"{_bbox(word.polygon, size)}; x_wconf {100 * word.confidence:.0f}"})
        inner.tail = " " if number < len(reading.words) else None
        for character in word.characters:
            box = _bbox(character.polygon, size).replace("bbox", "x_bboxes")
            add(inner, "span", character.text, **{
                "class": "ocrx_cinfo",
                "title": f"{box}; x_conf {100 * character.confidence:.1f}"})


def _bbox(points, size):
    left, top, width, height = bounds(points, size)
    return f"bbox {left} {top} {left + width} {top + height}"
