"""Image files, Pillow images and arrays as grey: the one way in for pixels."""

import contextlib
import os
import warnings
from typing import Any, Optional

import numpy as np

from lm.base.errors import DataError, OCRError
from lm.base.files import check_regular

__all__ = ["load_grey", "to_grey", "as_grey", "image_file", "image_shape", "frame_count"]

#: Drawings, which Pillow hands to other programs, and no pictures of pages.
_REFUSED = ("EPS", "WMF", "EMF")
#: EXIF's orientation, and its values that turn a picture by a quarter.
_ORIENTATION, _QUARTERS = 0x0112, (5, 6, 7, 8)


@contextlib.contextmanager
def image_file(path: Any):
    """Open the image file `path`; whatever is wrong with it becomes a `DataError`.

    Parameters
    ----------
    path : str, path-like or binary file
    """
    from PIL import Image, UnidentifiedImageError

    named = isinstance(path, (str, os.PathLike))
    if named:
        check_regular(path)
    try:
        # By its name Pillow maps a TIFF into memory, and mixes up the rows of one on its side.
        source: Any = open(path, "rb") if named else contextlib.nullcontext(path)
        with source as file, Image.open(file) as image:
            if image.format in _REFUSED:
                raise DataError(f"{path}: {image.format} is no format of pictures")
            yield image
    except OCRError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: no such image") from None
    except UnidentifiedImageError:
        raise DataError(f"{path}: not a readable image (of no known format)") from None
    except Exception as error:  # noqa: BLE001 - Pillow's readers fail in many ways on damage
        raise DataError(f"{path}: not a readable image "
                        f"({str(error) or type(error).__name__})") from None


def frame_count(image: Any) -> int:
    """Return how many pictures an open Pillow image holds: pages of a TIFF, frames of a GIF."""
    # What else a phone's photo holds is the same picture: a preview, its depth.
    return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)


def load_grey(path: Any, frame: Optional[int] = None,
              max_pixels: Optional[int] = None) -> np.ndarray:
    """Read the image file `path` as grey, turned the way its EXIF orientation says.

    Parameters
    ----------
    path : str, path-like or binary file
    frame : int, optional
        Which picture of a file of several, from 0. By default the first; a warning then says
        that there are others.
    max_pixels : int, optional
        Refuse larger images before they are unpacked.

    Returns
    -------
    numpy.ndarray
        uint8, shape (height, width); alpha is laid over white.

    Raises
    ------
    DataError
        The file is missing, no image, too large, cut short, without pixels, or of values that
        are no greys; the message names it.
    """
    with image_file(path) as image:
        count = frame_count(image)
        if frame is not None:
            if not 0 <= frame < count:
                raise DataError(f"{path}: holds {count} image(s); there is no frame {frame}, "
                                "counted from 0")
            image.seek(frame)
        elif count > 1:
            warnings.warn(f"{path}: holds {count} images; only the first is read", stacklevel=2)
        if max_pixels and image.width * image.height > max_pixels:
            raise DataError(f"{path}: {image.width} x {image.height} pixels are more than the "
                            f"{max_pixels} allowed")
        image.load()
        try:
            grey = to_grey(image)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
    if grey.size <= 1:
        raise DataError(f"{path}: the image holds no pixels")
    return grey


def image_shape(path: Any) -> tuple[int, int]:
    """Return the (height, width) that `load_grey` gives a file, from its head alone.

    Raises
    ------
    DataError
        As `load_grey`; damaged pixels go unnoticed.
    """
    with image_file(path) as image:
        width, height = image.size
        # A PNG is unpacked where it is asked for an orientation that its head does not hold.
        if image.format != "PNG" or "exif" in image.info:
            if image.format == "TIFF":
                # Some versions of Pillow have turned the size already, others turn it later.
                width, height = (image.tag_v2.get(tag, side) for tag, side
                                 in zip((256, 257), image.size))
            if image.getexif().get(_ORIENTATION) in _QUARTERS:
                width, height = height, width
    return height, width


def to_grey(image: Any) -> np.ndarray:
    """Turn a loaded Pillow image of any mode into grey, upright as its EXIF orientation says.

    Returns
    -------
    numpy.ndarray
        uint8, shape (height, width); alpha is laid over white, 16 bits are scaled to 8.

    Raises
    ------
    DataError
        Values that are no greys; see `as_grey`.
    """
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow itself would clip these to 255.
        return _scaled(np.asarray(image))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return np.asarray(image.convert("L"))


def as_grey(image: Any) -> np.ndarray:
    """Return an image as grey uint8 (height, width).

    Parameters
    ----------
    image : numpy.ndarray or PIL.Image.Image
        Arrays: (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA; uint8, uint16, bool, or
        floats from 0 to 1. Pillow images are turned as their EXIF orientation says.

    Raises
    ------
    DataError
        Anything else.
    """
    from PIL import Image

    if isinstance(image, Image.Image):
        return to_grey(image)
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.size == 0 or not (array.ndim == 2 or array.ndim == 3 and array.shape[2] in (3, 4)):
        raise DataError(f"expected an image (height, width[, 3 or 4]), not shape {array.shape}")
    if array.dtype != np.uint8:
        if array.dtype.kind != "f" and array.dtype not in (np.uint16, bool):
            raise DataError("expected an image of uint8, uint16, bool or floats, not "
                            f"{array.dtype}")
        array = _scaled(array)
    return array if array.ndim == 2 else to_grey(Image.fromarray(array))


def _scaled(values):
    """Return numbers of another type than uint8 as uint8 greys, or say why they are none."""
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    low, high = float(values.min()), float(values.max())
    floats = values.dtype.kind == "f"
    # Of 16 bits; what a program wrote of 8 bits into more is as dark as it was.
    top = 1 if floats else 255 if high <= 255 else 65535
    # NaN compares false.
    if not (0 <= low and high <= top) or floats and not np.isfinite(values).all():
        raise DataError(f"values of {values.dtype.name} from {low:g} to {high:g} are no greys; "
                        f"expected 0 to {'1' if floats else '255 or to 65535'}")
    if not floats and high == 1:
        raise DataError(f"values of {values.dtype.name} from 0 to 1: black and white, or nearly "
                        "black? Save them with 1 bit or 8 bits a pixel")
    return (values * (255.0 / top)).round().astype(np.uint8)
