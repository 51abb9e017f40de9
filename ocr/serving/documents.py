"""From uploads to pages: images, images of several frames, PDF."""

import importlib.util
import io
import logging
import threading

import numpy as np

from lm.base.errors import DataError

from ..image.load import frame_count, to_grey
from .errors import BadRequest, TooLarge

__all__ = ["Document", "FORMATS", "formats", "picture", "png"]

#: Pillow's names of what is opened. Others are rare or run programs of their own (EPS).
FORMATS = ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM")
#: Of pages of a PDF, unless that makes more pixels than are allowed.
_DPI = 300

log = logging.getLogger("ocr.serving")
# PDFium must not be called by two threads at a time.
_pdfium_lock = threading.Lock()


def formats():
    """Return the names of the formats that are read here."""
    return [*FORMATS, *(["PDF"] if importlib.util.find_spec("pypdfium2") else [])]


class Document:
    """The pages of a file that was sent; they are unpacked one at a time.

    Parameters
    ----------
    source : bytes or str
        The file, or its path.
    name : str
        For messages.
    max_pixels : int
        Of one page, looked at before it is unpacked.

    Raises
    ------
    BadRequest
        No file of a known format, cut short or damaged.
    TooLarge
    """

    def __init__(self, source, name, max_pixels):
        self._source, self.name, self._max_pixels = source, name, max_pixels
        with self._open() as stream:
            self._pdf = stream.read(1024).lstrip().startswith(b"%PDF-")
        if self._pdf and "PDF" not in formats():
            raise BadRequest(f"{name}: reading PDF needs pip install pypdfium2")
        self._count = self._guarded(self._pdf_pages if self._pdf else self._frames)

    def __len__(self):
        return self._count

    def image(self, index):
        """Return page `index` as a Pillow image, unpacked and upright."""
        return self._guarded(self._pdf_image if self._pdf else self._frame, index)

    def grey(self, index):
        """Return page `index` as grey uint8 (height, width)."""
        grey = self._guarded(lambda: to_grey(self.image(index)))
        if grey.size <= 1:
            raise BadRequest(f"{self.name}: the image holds no pixels")
        return grey

    def _open(self):
        return io.BytesIO(self._source) if isinstance(self._source, bytes) \
            else open(self._source, "rb")

    def _guarded(self, function, *arguments):
        """Call `function`; whatever the file makes of it becomes one line."""
        from PIL import Image, UnidentifiedImageError

        try:
            return function(*arguments)
        except (BadRequest, TooLarge):
            raise
        except Image.DecompressionBombError:
            raise TooLarge(f"{self.name}: its pixels are more than the {self._max_pixels} "
                           "allowed") from None
        except MemoryError:
            raise TooLarge(f"{self.name}: too large for this machine's memory") from None
        except UnidentifiedImageError:
            raise BadRequest(f"{self.name}: not an image, or of a format that is not read here "
                             f"(read are {', '.join(formats())})") from None
        except DataError as error:
            raise BadRequest(f"{self.name}: {error}") from None
        except Exception as error:  # noqa: BLE001 - Pillow's readers fail in many ways on damage
            log.info("%s: %s while it was unpacked: %s", self.name, type(error).__name__, error)
            raise BadRequest(f"{self.name}: not a readable image "
                             f"({type(error).__name__})") from None

    def _frames(self):
        from PIL import Image

        with self._open() as stream, Image.open(stream, formats=FORMATS) as image:
            return frame_count(image)

    def _frame(self, index):
        from PIL import Image, ImageOps

        with self._open() as stream, Image.open(stream, formats=FORMATS) as image:
            image.seek(index)
            width, height = image.size
            if width * height > self._max_pixels:
                raise TooLarge(f"{self.name}: {width} x {height} pixels are more than the "
                               f"{self._max_pixels} allowed")
            image.load()
            return ImageOps.exif_transpose(image)

    def _pdf_pages(self):
        with _pdfium_lock, self._pdf_document() as pdf:
            return len(pdf)

    def _pdf_image(self, index):
        with _pdfium_lock, self._pdf_document() as pdf:
            page = pdf[index]
            width, height = page.get_size()
            scale = min(_DPI / 72, (0.99 * self._max_pixels / max(width * height, 1)) ** 0.5)
            return page.render(scale=scale).to_pil().convert("RGB")

    def _pdf_document(self):
        import pypdfium2

        try:
            return pypdfium2.PdfDocument(self._source)
        except pypdfium2.PdfiumError as error:
            raise BadRequest(f"{self.name}: not a readable PDF ({error})") from None


def picture(image, most=2400):
    """Return a page as a JPEG file for the screen, no side longer than `most` pixels."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(to_grey(image))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    image.thumbnail((most, most))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


def png(grey):
    """Return a grey array as a PNG file."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(grey)).save(out, "PNG")
    return out.getvalue()
