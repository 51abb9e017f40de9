"""Reading many images: in this process, or in several beside each other."""

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Optional, Union

from lm.base.cores import available_cores
from lm.base.errors import OCRError

from .inputs import ImageSource
from .pages import PageReader
from .readings import PageReading

__all__ = ["ReaderSettings", "read_many"]

#: Images that a process is given at once: several, for lines share batches.
_CHUNK = 8


@dataclass(frozen=True)
class ReaderSettings:
    """How a `PageReader` is opened, in whichever process.

    Attributes
    ----------
    model : str
        Path of a model.
    pipeline : PipelineConfig
    device : str
    options : dict
        Others of `PageReader`.
    """

    model: str
    pipeline: Any
    device: str
    options: dict

    def open(self, threads: int = 0) -> PageReader:
        """Open the model; `threads` as for `open_recogniser`."""
        from ..correction import build_pipeline
        from .opening import open_recogniser

        recogniser = open_recogniser(self.model, self.device, threads)
        return PageReader(recogniser, build_pipeline(self.pipeline, recogniser.alphabet),
                          **self.options)


def read_many(settings: ReaderSettings, sources: Iterable[ImageSource], jobs: int = 1,
              lines: Optional[Callable] = None) -> Iterator[Union[PageReading, OCRError]]:
    """Read images.

    Parameters
    ----------
    settings : ReaderSettings
    sources : iterable of ImageSource
    jobs : int
        Processes; each opens the model.
    lines : callable, optional
        (ImageSource, grey image) -> list of TextLine: where the lines are, if they are known.

    Yields
    ------
    PageReading, or the OCRError of an image that cannot be read
        In the order of the images.
    """
    if jobs == 1:
        yield from _read(settings.open(), sources, lines)
        return
    from concurrent.futures import Future, ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    alone = settings
    if hasattr(settings.pipeline.decoder.settings, "workers"):
        # Processes share the cores, so that each decodes by itself.
        alone = replace(settings, pipeline=settings.pipeline.changed(workers=1))
    waiting: list[Future] = []
    sources = iter(sources)
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _start,
                               (alone, max(1, available_cores() // jobs), lines))
    try:
        while True:
            while len(waiting) < 2 * jobs and (chunk := list(islice(sources, _CHUNK))):
                waiting.append(pool.submit(_work, chunk))
            if not waiting:
                break
            yield from waiting.pop(0).result()
    except BrokenProcessPool:
        raise OCRError("a process that read was ended from outside, or could not open the "
                       "model: try fewer --jobs") from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _read(reader, sources, lines):
    pages = ((source, lines and functools.partial(lines, source)) for source in sources)
    return reader.read_all(pages, "return")


# -- in the processes -------------------------------------------------------------------------

_HERE: dict[str, Any] = {}


def _start(settings, threads, lines):
    import signal

    # Ctrl-C is for the process that collects.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Read when MXNet is imported, which it is not yet.
    os.environ["OMP_NUM_THREADS"] = str(threads)
    _HERE.update(reader=settings.open(threads), lines=lines)


def _work(sources):
    return list(_read(_HERE["reader"], sources, _HERE["lines"]))
