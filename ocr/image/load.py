"""Image files and Pillow images as grey arrays: the one way in for pixels."""

from contextlib import contextmanager

import numpy as np

from lm.base.errors import DataError

__all__ = ["load_grey", "to_grey", "image_file"]


@contextmanager
def image_file(path):
    """Open the image file `path`; whatever is wrong with it becomes a `DataError`."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError:
        raise DataError(f"{path}: no such image") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: not a readable image ({error})") from None


def load_grey(path, upright=False, max_pixels=None):
    """Read the image file `path` as grey.

    Parameters
    ----------
    path : str or path-like
    upright : bool
        Turn a photo the way its EXIF orientation says.
    max_pixels : int, optional
        Refuse larger images before they are unpacked.

    Returns
    -------
    numpy.ndarray
        uint8, shape (height, width); alpha is laid over white.

    Raises
    ------
    DataError
        The file is missing, no image, too large, cut short or without pixels; the message
        names it.
    """
    with image_file(path) as image:
        if max_pixels and image.width * image.height > max_pixels:
            raise DataError(f"{path}: {image.width} x {image.height} pixels are more than the "
                            f"{max_pixels} allowed")
        image.load()
        grey = to_grey(image, upright)
    if grey.size <= 1:
        raise DataError(f"{path}: the image holds no pixels")
    return grey


def to_grey(image, upright=True):
    """Turn a loaded Pillow image of any mode into grey.

    Parameters
    ----------
    image : PIL.Image.Image
    upright : bool
        Turn a photo the way its EXIF orientation says.

    Returns
    -------
    numpy.ndarray
        uint8, shape (height, width); alpha is laid over white, 16 bits are scaled to 8.
    """
    from PIL import Image, ImageOps

    if upright:
        image = ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow clips 16-bit greys to 255 instead of scaling them.
        values = np.asarray(image, dtype=np.float64)
        grey = np.clip(values / (65535 if values.max() > 255 else 255) * 255, 0, 255)
        return grey.round().astype(np.uint8)
    return np.asarray(image.convert("L"))
