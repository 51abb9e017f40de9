"""From uploads to pages, within the service's limits."""

import io
import logging

from lm.base.errors import DataError, OCRError

from ..image import to_grey
from ..recognition import inputs
from .errors import BadRequest, ServiceError, TooLarge

__all__ = ["Document", "FORMATS", "picture"]

#: Pillow's names of what is opened, besides PDF. Others are rare.
FORMATS = ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM")

log = logging.getLogger("ocr.serving")


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

    Attributes
    ----------
    sources : list of ocr.recognition.inputs.ImageSource
        A page each.

    Raises
    ------
    BadRequest
        No file of a known format, cut short or damaged.
    TooLarge
    """

    def __init__(self, source, name, max_pixels):
        self.name, self._max_pixels = name, max_pixels
        self.sources = self._guarded(self._open, source)

    def __len__(self):
        return len(self.sources)

    def number(self, index):
        """Return what a page is called in its file: from 1, None where it is the only one."""
        return self.sources[index].page

    def image(self, index):
        """Return page `index` as a Pillow image, unpacked and upright."""
        return self._guarded(self.sources[index].load)

    def grey(self, index):
        """Return page `index` as grey uint8 (height, width)."""
        grey = self._guarded(lambda: to_grey(self.image(index)))
        if grey.size <= 1:
            raise BadRequest(f"{self.name}: the image holds no pixels")
        return grey

    def _open(self, source):
        from PIL import Image

        if not inputs.is_pdf(source):
            # Sizes that no memory holds are refused here, as soon as the head is read.
            stream = io.BytesIO(source) if isinstance(source, bytes) else source
            with Image.open(stream, formats=FORMATS) as image:
                self._check(image)
        return inputs.Document(self.name, source, "").sources(self._max_pixels)

    def _check(self, image):
        if image.width * image.height > self._max_pixels:
            raise TooLarge(f"{self.name}: {image.width} x {image.height} pixels are more than "
                           f"the {self._max_pixels} allowed")

    def _guarded(self, function, *arguments):
        """Call `function`; whatever the file makes of it becomes one line."""
        from PIL import Image, UnidentifiedImageError

        try:
            return function(*arguments)
        except ServiceError:
            raise
        except Image.DecompressionBombError:
            raise TooLarge(f"{self.name}: its pixels are more than the {self._max_pixels} "
                           "allowed") from None
        except inputs.TooManyPixels as error:
            raise TooLarge(str(error)) from None
        except MemoryError:
            raise TooLarge(f"{self.name}: too large for this machine's memory") from None
        except UnidentifiedImageError:
            raise BadRequest(f"{self.name}: not an image, or of a format that is not read here "
                             f"(read are {', '.join(FORMATS)}, PDF)") from None
        except (OCRError, DataError) as error:
            told = str(error).replace(str(arguments[0]), self.name) \
                if arguments and isinstance(arguments[0], str) else str(error)
            raise BadRequest(told if told.startswith(self.name) else f"{self.name}: {told}"
                             ) from None
        except Exception as error:  # noqa: BLE001 - Pillow's readers fail in many ways on damage
            log.info("%s: %s while it was unpacked: %s", self.name, type(error).__name__, error)
            raise BadRequest(f"{self.name}: not a readable image "
                             f"({type(error).__name__})") from None


def picture(image, most=2400):
    """Return a page as a JPEG file for the screen, no side longer than `most` pixels."""
    from PIL import Image

    if image.mode in ("RGB", "L", "1", "P") and "transparency" not in image.info:
        image = image.convert("RGB")
    else:
        image = Image.fromarray(to_grey(image))
    image.thumbnail((most, most))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()
