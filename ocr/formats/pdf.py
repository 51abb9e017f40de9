"""Searchable PDF: the scan, and over it the text, invisible, at the words' places."""

import io
import math

from .output import OutputFormat

__all__ = ["PdfFormat"]

#: Our own, of the font that reportlab brings along.
_FONT = "ocr-invisible"
#: Pixels an inch, where the image does not say.
_DPI = 300
#: The PDF format knows no page longer than this, in inches.
_LONGEST = 200
#: How far a font's letters reach below the baseline, and how high all of it is, in its size.
_DESCENT, _HEIGHT = 0.236, 1.164


class PdfFormat(OutputFormat):
    """A page an image, with reportlab; the image's own resolution, 300 dpi where it has none.

    Photos and grey scans are stored as JPEG, images of two levels without loss.
    """

    ending = ".pdf"
    packages = ("reportlab",)

    def __init__(self, out):
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfbase.ttfonts import TTFont
        from reportlab.pdfgen.canvas import Canvas

        super().__init__(out)
        if _FONT not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(_FONT, "Vera.ttf"))
        self.glyphs = pdfmetrics.getFont(_FONT).face.charToGlyph
        self.canvas = Canvas(out, pageCompression=1, invariant=1)

    def add(self, page):
        from reportlab.lib.utils import ImageReader

        image = page.image()
        scale = 72 / _dpi(image)
        width, height = page.width * scale, page.height * scale
        self.canvas.setPageSize((width, height))
        if not self.pages:
            self.canvas.setTitle(page.name)
        self.canvas.drawImage(ImageReader(_compressed(image)), 0, 0, width, height)
        for line in page.lines:
            for word in line.words:
                self._word(word, scale, height)
        self.canvas.showPage()

    def finish(self):
        self.canvas.save()

    def _word(self, word, scale, page_height):
        from reportlab.pdfbase.pdfmetrics import stringWidth

        (x0, y0), (x1, y1), _, (x3, y3) = word.polygon
        length, height = math.hypot(x1 - x0, y1 - y0), math.hypot(x3 - x0, y3 - y0)
        # A font's table of Unicode has room for these alone.
        letters = "".join(c if c < "\U00010000" else "\ufffd" for c in word.text)
        for letter in letters:
            # Nothing is seen: a letter that the font lacks may look like a space.
            self.glyphs.setdefault(ord(letter), self.glyphs[32])
        size = height * scale / _HEIGHT
        wide = stringWidth(letters, _FONT, size)
        if not (length and size and wide):
            return
        # Along the line's own direction; y points upwards in a PDF.
        c, s = (x1 - x0) / length, -(y1 - y0) / length
        up = _DESCENT / _HEIGHT
        x, y = x3 + (x0 - x3) * up, y3 + (y0 - y3) * up
        text = self.canvas.beginText()
        text.setTextRenderMode(3)
        text.setFont(_FONT, size)
        text.setHorizScale(100 * length * scale / wide)
        text.setTextTransform(c, s, -s, c, x * scale, page_height - y * scale)
        # Readers that put words together want the space between them.
        text.textOut(letters + " ")
        self.canvas.drawText(text)


def _dpi(image):
    x, y = image.info.get("dpi") or (0, 0)
    dpi = float(x) if 50 <= x <= 2400 and abs(x - y) < 1 else _DPI
    return max(dpi, max(image.size) / _LONGEST)


def _compressed(image):
    """Return an image file that a PDF can hold as it is."""
    if image.mode == "1":
        return image
    stream = io.BytesIO()
    image.convert("L" if image.mode in ("L", "LA", "I;16", "I", "F") else "RGB").save(
        stream, "JPEG", quality=85)
    stream.seek(0)
    return stream
