"""From what a user names to images: files, folders, patterns, lists, PDF, arrays, bytes."""

import glob
import io
import os
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np

from lm.base.errors import ConfigError, DataError, MissingDataError

from ..image.load import as_grey, frame_count, image_file

__all__ = ["Document", "ImageSource", "TooManyPixels", "find_documents", "image_of", "is_pdf",
           "parse_pages", "read_list"]

#: Pixels an inch at which a PDF's pages are drawn, unless that is more than is allowed.
PDF_DPI = 300
#: Endings of files in folders that are taken for images, besides those that Pillow knows.
_HEIF = (".heic", ".heif")
_MORE = {".pdf", *_HEIF}
#: Files of these endings hold one image, however they are looked at.
_SINGLE = {".jpg", ".jpeg", ".bmp"}
# PDFium must not be called by two threads at a time.
_PDFIUM = threading.Lock()
_RANGE = re.compile(r"(.+)\[([0-9,\- ]+)\]")


class TooManyPixels(DataError):
    """An image is larger than is allowed."""


@dataclass(frozen=True)
class ImageSource:
    """One image, not read yet.

    Attributes
    ----------
    name : str
        What messages and outputs call it.
    origin : str, bytes, numpy.ndarray or PIL.Image.Image
        A file's path or content, or the image itself.
    page : int or None
        From 1, in a file of several.
    max_pixels : int or None
        Larger images are refused before they are unpacked.
    """

    name: str
    origin: Any
    page: Optional[int] = None
    max_pixels: Optional[int] = None

    @property
    def title(self) -> str:
        return self.name if self.page is None else f"{self.name}[{self.page}]"

    def load(self):
        """Return the image (`PIL.Image.Image`), a photo turned as its EXIF orientation says.

        Raises
        ------
        DataError
            It cannot be read; the message names it.
        """
        from PIL import ImageOps

        if not isinstance(self.origin, (str, bytes)):
            try:
                return _given(self.origin)
            except DataError as error:
                raise DataError(f"{self.name}: {error}" if self.name else str(error)) from None
        if is_pdf(self.origin):
            return self._pdf_page()
        with _opened(self.origin, self.name) as image:
            if self.page is not None:
                image.seek(self.page - 1)
            self._check(*image.size)
            image.load()
            turned = ImageOps.exif_transpose(image)
            # The file is closed behind us.
            return image.copy() if turned is image else turned

    def _pdf_page(self):
        with _pdf(self.origin, self.name) as document:
            page = document[(self.page or 1) - 1]
            width, height = page.get_size()
            most = (self.max_pixels or float("inf")) / max(width * height, 1)
            scale = min(PDF_DPI / 72, (0.99 * most) ** 0.5)
            image = page.render(scale=scale).to_pil()
            image.info["dpi"] = (72 * scale, 72 * scale)
            return image

    def _check(self, width, height):
        if self.max_pixels and width * height > self.max_pixels:
            raise TooManyPixels(f"{self.title}: {width} x {height} pixels are more than the "
                                f"{self.max_pixels} allowed")


@dataclass(frozen=True)
class Document:
    """A file, or what stands for one: an image, or several.

    Attributes
    ----------
    name : str
        Its path as it was given, or found below a folder that was; "-" for standard input.
    origin : str, bytes, numpy.ndarray or PIL.Image.Image
    place : str
        Where its output goes within an output folder, without an ending.
    numbers : tuple of (int, int or None) or None
        Ranges of its pages, ends inclusive; all by default.
    """

    name: str
    origin: Any
    place: str
    numbers: Optional[tuple] = None

    def sources(self, max_pixels: Optional[int] = None) -> list[ImageSource]:
        """Return its images.

        Raises
        ------
        DataError
            It is no image, or has none of the pages asked for.
        """
        count = self._count()
        if count is None:
            if self.numbers is not None and not _chosen(self.numbers, 1):
                raise DataError(f"{self.name}: has one page alone")
            return [ImageSource(self.name, self.origin, None, max_pixels)]
        wanted = range(1, count + 1) if self.numbers is None else _chosen(self.numbers, count)
        if not wanted:
            raise DataError(f"{self.name}: has none of the pages asked for, but {count}")
        return [ImageSource(self.name, self.origin, page, max_pixels) for page in wanted]

    def _count(self):
        """Return how many pages the file holds; None for a plain image."""
        if not isinstance(self.origin, (str, bytes)):
            return None
        if is_pdf(self.origin):
            with _pdf(self.origin, self.name) as document:
                return len(document)
        if isinstance(self.origin, str) \
                and os.path.splitext(self.origin)[1].lower() in _SINGLE \
                and os.path.isfile(self.origin):
            return None
        with _opened(self.origin, self.name) as image:
            frames = frame_count(image)
            return frames if frames > 1 else None


def image_of(image: Any, name: str = "image") -> ImageSource:
    """Return the `ImageSource` of bytes, an array or a Pillow image.

    Raises
    ------
    DataError
        Neither of them.
    """
    from PIL import Image

    if isinstance(image, (bytes, bytearray, memoryview)):
        return ImageSource(name, bytes(image))
    if isinstance(image, (np.ndarray, Image.Image)):
        return ImageSource(name, image)
    raise DataError(f"{name}: expected a path, bytes, an array or a Pillow image, not "
                    f"{type(image).__name__}")


def find_documents(names: Iterable[Union[str, os.PathLike]],
                   numbers: Optional[tuple] = None) -> Iterator[Union[Document, DataError]]:
    """Find what names stand for.

    Parameters
    ----------
    names : iterable of str or path-like
        A file; a folder, searched with those below it; a pattern (``scans/*.png``, ``**`` for
        any folders); ``file.pdf[1-3,7]``; ``@list.txt``, a file with a name a row; ``-``, an
        image or PDF on standard input. What exists under a name goes before what the name
        would mean.
    numbers : tuple, optional
        Pages of files that have several (see `parse_pages`), where the name gives none.

    Yields
    ------
    Document or DataError
        In place of a document that cannot be found, why.
    """
    for name in names:
        name = os.fspath(name)
        try:
            yield from _documents(name, numbers)
        except DataError as error:
            yield error


def _documents(name, numbers):
    import sys

    if name == "-":
        yield Document("-", sys.stdin.buffer.read(), "stdin", numbers)
    elif os.path.isdir(name):
        yield from _of_folder(name, numbers)
    elif os.path.exists(name):
        yield Document(name, name, _stem(os.path.basename(name)), numbers)
    elif name.startswith("@"):
        yield from find_documents(read_list(name[1:]), numbers)
    elif (match := _RANGE.fullmatch(name)) and os.path.isfile(match[1]):
        yield Document(match[1], match[1], _stem(os.path.basename(match[1])),
                       parse_pages(match[2]))
    elif glob.has_magic(name):
        found = sorted(path for path in glob.glob(name, recursive=True) if os.path.isfile(path))
        if not found:
            raise MissingDataError(f"{name}: no file matches")
        fixed = os.path.dirname(name[:re.search(r"[*?\[]", name).start()])
        for path in found:
            yield Document(path, path, _stem(os.path.relpath(path, fixed or ".")), numbers)
    else:
        raise MissingDataError(f"{name}: no such image")


def _of_folder(folder, numbers):
    from PIL import Image

    endings = {*Image.registered_extensions(), *_MORE}
    none = True
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for file in sorted(files):
            if not file.startswith(".") and os.path.splitext(file)[1].lower() in endings:
                path = os.path.join(where, file)
                yield Document(path, path, _stem(os.path.relpath(path, folder)), numbers)
                none = False
    if none:
        raise MissingDataError(f"{folder}: no image in this folder")


def _stem(path):
    return os.path.splitext(path)[0]


def read_list(path: str) -> list[str]:
    """Return the names in a file, one a row; empty rows are passed over."""
    from lm.base.files import read_text

    rows = read_text(path, MissingDataError(f"{path}: no such list of images")).splitlines()
    if not any(row.strip() for row in rows):
        raise DataError(f"{path}: names no image")
    return [row for row in rows if row.strip()]


def parse_pages(text: str) -> tuple:
    """Read page numbers such as ``1-3,7,10-``.

    Returns
    -------
    tuple of (int, int or None)
        First and last page of each range; None: up to the end.

    Raises
    ------
    ConfigError
        Not of this form, or a range that runs backwards.
    """
    ranges = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,9})\s*(-\s*([0-9]{1,9})?)?\s*", part)
        if not match:
            raise ConfigError(f"pages {text!r}: expected numbers and ranges such as 1-3,7,10-")
        first = int(match[1])
        last = first if match[2] is None else int(match[3]) if match[3] else None
        if first < 1 or last is not None and last < first:
            raise ConfigError(f"pages {text!r}: pages count from 1, ranges upwards")
        ranges.append((first, last))
    return tuple(ranges)


def _chosen(ranges, count):
    return [page for first, last in ranges
            for page in range(first, min(count if last is None else last, count) + 1)]


# -- opening ----------------------------------------------------------------------------------

def _given(image):
    """Return an array or a Pillow image as an upright Pillow image."""
    from PIL import Image, ImageOps

    if isinstance(image, Image.Image):
        return ImageOps.exif_transpose(image)
    if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] in (3, 4) and image.size:
        return Image.fromarray(image)
    return Image.fromarray(as_grey(image))


def is_pdf(origin: Union[str, bytes]) -> bool:
    """Tell whether a file's path or content is a PDF."""
    if isinstance(origin, bytes):
        return b"%PDF-" in origin[:1024]
    if not os.path.isfile(origin):
        return False
    try:
        with open(origin, "rb") as file:
            return b"%PDF-" in file.read(1024)
    except OSError:
        # Opening it as an image tells why.
        return False


@contextmanager
def _opened(origin, name):
    """Open an image's path or content with Pillow; what is wrong becomes a `DataError`."""
    _know_heif(name)
    with image_file(origin if isinstance(origin, str) else _Named(origin, name)) as image:
        yield image


class _Named(io.BytesIO):
    """Bytes that messages call by a name."""

    def __init__(self, content, name):
        super().__init__(content)
        self._called = name

    def __str__(self):
        return self._called


def _know_heif(name):
    """Let Pillow read HEIC, where pillow-heif is installed."""
    from importlib.util import find_spec

    from PIL import Image

    if "HEIF" in Image.OPEN:
        return
    if find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    elif name.lower().endswith(_HEIF):
        raise ConfigError(f"{name}: reading HEIC needs pillow-heif: pip install 'ocr[heif]'")


@contextmanager
def _pdf(origin, name):
    """Open a PDF with pypdfium2; what is wrong becomes a `DataError`."""
    try:
        import pypdfium2
    except ImportError:
        raise ConfigError(f"{name}: reading PDF needs pypdfium2: pip install 'ocr[pdf]'") from None
    try:
        with _PDFIUM, pypdfium2.PdfDocument(origin) as document:
            yield document
    except pypdfium2.PdfiumError as error:
        raise DataError(f"{name}: not a readable PDF ({error})") from None
    except OSError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name}: cannot be read ({error.strerror})") from None
