"""From the bytes of a request to a grey image, within limits."""

import io
import logging

from lm.base.errors import DataError

from ..image.load import load_grey
from .errors import BadRequest, TooLarge

__all__ = ["FORMATS", "read_image"]

#: Pillow's names of what is opened. Others are rare or run programs of their own (EPS).
FORMATS = ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM")

log = logging.getLogger("ocr.serving")


class _Upload(io.BytesIO):
    """Bytes that `load_grey` names in its errors."""

    def __init__(self, data, name):
        super().__init__(data)
        self._name = name

    def __str__(self):
        return self._name


def read_image(data, name, max_pixels):
    """Unpack an image as ``ocr recognise`` does.

    Parameters
    ----------
    data : bytes
    name : str
        For messages.
    max_pixels : int

    Returns
    -------
    numpy.ndarray
        uint8, (height, width); a photo is turned upright.

    Raises
    ------
    BadRequest
        No image of a known format, cut short or damaged.
    TooLarge
        It has more pixels; it was not unpacked.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
        if width * height > max_pixels:
            raise TooLarge(f"{name}: {width} x {height} pixels are more than the "
                           f"{max_pixels} allowed")
        return load_grey(_Upload(data, name), 0, max_pixels)
    except TooLarge:
        raise
    except Image.DecompressionBombError:
        raise TooLarge(f"{name}: its pixels are more than the {max_pixels} allowed") from None
    except UnidentifiedImageError:
        raise BadRequest(f"{name}: not an image, or of a format that is not read here "
                         f"(read are {', '.join(FORMATS)})") from None
    except DataError as error:
        raise BadRequest(str(error)) from None
    except Exception as error:  # noqa: BLE001 - Pillow's readers fail in many ways on damage
        log.info("%s: %s while it was unpacked: %s", name, type(error).__name__, error)
        raise BadRequest(f"{name}: not a readable image ({type(error).__name__})") from None
