"""`recognise`: one call from whatever holds images to what is written in them."""

import functools
import os
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, Optional, Union

from lm.base.errors import ConfigError, OCRError

from .inputs import Document, find_documents, image_of, parse_pages
from .pages import PageReader
from .readings import PageReading, Readings

__all__ = ["open_model", "recognise", "recognize"]


def open_model(model=None, decoder: Optional[str] = None, lines: str = "auto", n_best: int = 1,
               device: str = "auto", **settings) -> PageReader:
    """Open a model for reading.

    Parameters
    ----------
    model : str or path-like, optional
        A file of ``ocr train`` or ``ocr export``, or the name of a shipped model; the default
        one where it is not given.
    decoder : str, optional
        Such as "greedy" or "beam-char+spelling"; what reads best by default (see
        `ocr.recognition.tuned.best_name`).
    lines, n_best
        As for `PageReader`.
    device : str
        "auto", "cpu", "gpu" or "gpu:N".
    **settings
        Others of `PageReader`.

    Raises
    ------
    OCRError
        The model or the decoder cannot be used.
    """
    from ..checkpoints.shipped import model_path
    from ..correction import build_pipeline
    from .opening import open_recogniser
    from .tuned import pipeline_of

    path = model_path(model)
    recogniser = open_recogniser(path, device)
    pipeline = build_pipeline(pipeline_of(path, decoder), recogniser.alphabet)
    return PageReader(recogniser, pipeline, lines=lines, n_best=n_best, **settings)


def recognise(images: Any, model=None, decoder: Optional[str] = None, lines: str = "auto",
              n_best: int = 1, pages: Optional[str] = None, on_error: str = "raise"
              ) -> Union[PageReading, Readings, Iterator[PageReading]]:
    """Read images; a model stays open for the next call.

    Parameters
    ----------
    images : path, bytes, numpy.ndarray, PIL.Image.Image, or an iterable of them
        A path may be an image, a PDF, a folder or a pattern (see
        `ocr.recognition.inputs.find_documents`); arrays are as for `ocr.layout.as_grey`.
    model : str, path-like or PageReader, optional
        As for `open_model`, or what that returned: then its own settings hold, and none of
        the following may be given.
    decoder, lines, n_best
        As for `open_model`.
    pages : str, optional
        Of PDF and other files that hold several, such as "1-3,7".
    on_error : {"raise", "skip"}
        Whether an image that cannot be read ends the reading, or is passed over with a
        warning.

    Returns
    -------
    PageReading
        Of one image.
    Readings
        A list, of a list, a folder, a pattern or a file with several pages.
    iterator of PageReading
        Of a generator or another iterator, from which images are taken as they are needed.

    Raises
    ------
    OCRError
        An image, the model or the decoder cannot be used.

    Examples
    --------
    >>> import ocr
    >>> print(ocr.recognise("photo.jpg").text)  # doctest: +SKIP
    """
    if on_error not in ("raise", "skip"):
        raise ConfigError(f"on_error is {on_error!r}; known: raise, skip")
    reader = _reader(model, decoder, lines, n_best)
    numbers = parse_pages(pages) if pages else None
    if isinstance(images, Iterator):
        return _readings(reader, images, numbers, on_error)
    if isinstance(images, (list, tuple)):
        return Readings(_readings(reader, images, numbers, on_error))
    if isinstance(images, (str, os.PathLike, bytes)):
        found = list(_documents(images, numbers))
        sources = [source for one in found for source in _sources(one, on_error)]
        read = Readings(_read(reader, sources, on_error))
        one = len(found) == 1 and len(sources) == 1 and sources[0].page is None \
            and (isinstance(images, bytes) or os.path.isfile(images))
        return read[0] if one and read else read
    return reader.read(image_of(images))


recognize = recognise


def _reader(model, decoder, lines, n_best):
    from ..checkpoints.shipped import model_path
    from .tuned import tuned_mark

    if isinstance(model, PageReader):
        if decoder is not None or lines != "auto" or n_best != 1:
            raise ConfigError("an open model has its settings: decoder, lines and n_best are "
                              "given to open_model")
        return model
    path = os.path.abspath(model_path(model))
    changed = os.stat(path).st_mtime_ns, tuned_mark(path)
    return _open_reader(path, changed, decoder, lines, n_best)


@functools.lru_cache(maxsize=4)
def _open_reader(path, changed, decoder, lines, n_best):
    """Open a model; `changed` makes a rewritten file, or one tuned anew, another one."""
    return open_model(path, decoder, lines, n_best)


def _documents(image, numbers):
    if isinstance(image, bytes):
        return [Document("image", image, "image", numbers)]
    return find_documents([image], numbers)


def _sources(document, on_error):
    """Return a document's images; none, with a warning, of one that cannot be opened."""
    try:
        if isinstance(document, OCRError):
            raise document
        return document.sources()
    except OCRError as error:
        if on_error == "raise":
            raise
        warnings.warn(str(error), stacklevel=4)
        return []


def _readings(reader, images: Iterable, numbers, on_error):
    def sources():
        for number, image in enumerate(images, 1):
            if isinstance(image, (str, os.PathLike, bytes)):
                for document in _documents(image, numbers):
                    yield from _sources(document, on_error)
            else:
                yield image_of(image, f"image {number}")

    return _read(reader, sources(), on_error)


def _read(reader, sources, on_error):
    for reading in reader.read_all(((source, None) for source in sources),
                                   "raise" if on_error == "raise" else "return"):
        if isinstance(reading, OCRError):
            warnings.warn(str(reading), stacklevel=2)
        else:
            yield reading
