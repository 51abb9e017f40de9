"""The service without its addresses: from images to readings, in time or not at all."""

import asyncio
import dataclasses
import logging
import math
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from lm.base.errors import OCRError

from .documents import Document
from .errors import Busy, Disconnected, NotFound, OutOfTime, TooLarge, Unavailable
from .jobs import Jobs
from .keys import Keys
from .metrics import Metrics
from .models import ModelStore
from .tally import Tally

__all__ = ["Service"]

log = logging.getLogger("ocr.serving")

#: Seconds until a job tries again to put a line into a full queue.
_PATIENCE = 0.2


class Service:
    """Models, threads and counters behind the addresses of `ocr.serving.app`.

    The event loop only moves bytes and waits. Images are unpacked, lines found and readings
    decoded in `config.readers` threads; each model's network runs in threads of its own, on
    lines of all requests together.

    Parameters
    ----------
    config : ServingConfig
    open_model : callable, optional
        File -> `ServedRecogniser`; `ocr.serving.reading.open_served` by default.

    Attributes
    ----------
    config : ServingConfig
    metrics : Metrics
    store : ModelStore
    keys : Keys
    jobs : Jobs
    in_flight : int
        Requests with a body, begun and not answered.
    stopping : bool
    lost : int
        Requests that were cut off at the end.
    """

    def __init__(self, config, open_model=None):
        if open_model is None:
            from .reading import open_served

            def open_model(path):
                return open_served(path, config)

        self.config, self.metrics = config, Metrics()
        self.store = ModelStore(config, open_model, self.metrics)
        self.in_flight = self.lost = 0
        self.stopping, self._left, self._cut = False, 0, None
        self._tally = Tally(config.state)
        self.keys, self.jobs = Keys(config.keys, config.rate), Jobs(self)
        self._pool = ThreadPoolExecutor(config.reader_threads, thread_name_prefix="reader")
        self.metrics.in_work.set_function(lambda: self.in_flight)

    # -- life ---------------------------------------------------------------------------------

    def load(self):
        """Load all models; raises `OCRError` when one has no version that loads."""
        # Damaged images, large ones (`config.max_pixels` is the limit) and uneven lists of
        # numbers are answered; they are not worth a line of Pillow's or NumPy's each time.
        warnings.filterwarnings("ignore", module="PIL")
        warnings.filterwarnings("ignore", "Creating an ndarray from ragged")
        if self._tally.lost:
            log.warning("the last run was killed with %d requests in flight; they are lost",
                        self._tally.lost)
        self.store.start()

    async def started(self):
        """Make what belongs to the event loop."""
        self._loop, self._cut = asyncio.get_running_loop(), asyncio.Event()
        self.jobs.start()

    def stop(self):
        """Begin to end: requests in flight have `config.drain` seconds. A second call: none.

        May be called in a signal's handler.
        """
        seconds = 0 if self.stopping else self.config.drain
        if not self.stopping:
            self.stopping, self._left = True, self.in_flight
        if self._cut is not None:
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, self._cut.set)
            self._loop.call_soon_threadsafe(self.jobs.stop)

    def close(self):
        """End all threads, and say what became of the requests in flight."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.store.close(timeout=5)
        self._tally.close()
        self.jobs.close()
        log.info("stopped: %d requests were in flight, %d of them finished, %d lost",
                 self._left, self._left - self.lost, self.lost)

    def begin(self):
        """Count a request in."""
        self.in_flight += 1
        self._tally.set(self.in_flight)

    def end(self):
        """Count a request out."""
        self.in_flight -= 1
        self._tally.set(self.in_flight)

    def lose(self):
        """Count a request that was cut off."""
        self.lost += 1
        self.metrics.lost.inc()

    # -- requests -----------------------------------------------------------------------------

    async def until_cut(self, work):
        """Await the coroutine `work`; `Unavailable` when the service ends before."""
        task, cut = asyncio.ensure_future(work), asyncio.ensure_future(self._cut.wait())
        if await _first(task, cut) is task:
            return task.result()
        self.lose()
        raise Unavailable("the service stops; the request was not finished")

    async def while_wanted(self, work, receive):
        """Await the coroutine `work`, but no longer than its result is of use.

        Parameters
        ----------
        work : coroutine
        receive : callable
            ASGI's, once the body has been read: it tells when the client goes away.

        Raises
        ------
        OutOfTime
            Not done within `config.timeout`.
        Disconnected
            The client is gone.
        """
        task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(receive))
        first = await _first(task, gone, seconds=self.config.timeout)
        if first is task:
            return task.result()
        if first is gone:
            raise Disconnected("the client went away")
        raise OutOfTime(f"not done within {self.config.timeout:g} seconds")

    async def in_thread(self, function, *arguments):
        """Run `function` in one of the reader threads."""
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._pool, function, *arguments)
        except RuntimeError:
            if self.stopping:
                raise Unavailable("the service stops") from None
            raise

    @contextmanager
    def held(self, name=None, version=None):
        """Yield (`ServedModel`, `Version`); the version is not unloaded meanwhile.

        Raises
        ------
        NotFound
            In TensorFlow Serving's words.
        Unavailable
        """
        model = self.store.get(name)
        if model is None:
            wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise NotFound(f"Servable not found for request: {wanted}")
        one = model.acquire(version)
        try:
            yield model, one
        finally:
            model.release(one)

    async def read_lines(self, model, version, arrays, patient=False):
        """Run a model's network on lines.

        Parameters
        ----------
        model : ServedModel
        version : Version
        arrays : list of numpy.ndarray
            Prepared lines: float32, (H, W).
        patient : bool
            Wait while the queue is full, and as long as it takes.

        Returns
        -------
        list of numpy.ndarray
            Their logits, in order.
        """
        self.check_count(len(arrays))
        if not arrays:
            return []
        deadline = math.inf if patient else time.monotonic() + self.config.timeout
        while True:
            try:
                work = version.batcher.submit(arrays, deadline)
                break
            except Busy:
                if not patient:
                    raise
                await asyncio.sleep(_PATIENCE)
        try:
            logits = await asyncio.wrap_future(work.future)
        except BaseException:
            version.batcher.discard(work)
            raise
        self.metrics.lines.labels(model.name, str(version.number)).inc(len(arrays))
        return logits

    async def read_images(self, model, version, files, lines="auto", alternatives=0):
        """Read images; one that cannot be read costs the others nothing.

        Parameters
        ----------
        model : ServedModel
        version : Version
        files : list of (str, bytes)
            Names, for messages, and contents.
        lines : {"auto", "one", "find"}
        alternatives : int

        Returns
        -------
        list of (str, int or None, PageReading or ServiceError)
            Name, and number of the page in a file of several, for each page in order.
        """
        pages, count = [], 0
        for name, data in files:
            try:
                document = await self.in_thread(Document, data, name, self.config.max_pixels)
                self.check_pages(len(pages) + len(document), self.config.max_files)
            except OCRError as error:
                pages.append((name, None, error))
                continue
            for index in range(len(document)):
                # One after the other: an image takes memory while it is unpacked.
                try:
                    page = await self.in_thread(self.open_page, version.model, document, index,
                                                lines)
                    self.check_count(count + len(page.arrays))
                    count += len(page.arrays)
                except OCRError as error:
                    page = error
                pages.append((name, document.number(index), page))
        good = [page for _, _, page in pages if not isinstance(page, OCRError)]
        read = ()
        if good:
            logits = await self.read_lines(model, version,
                                           [array for page in good for array in page.arrays])
            read = iter(await self.in_thread(version.model.finish, good, logits, alternatives))
        return [(name, number, page if isinstance(page, OCRError) else next(read))
                for name, number, page in pages]

    @staticmethod
    def open_page(model, document, index, lines):
        """Unpack a page of a `Document` and find its lines; returns an `OpenPage`."""
        return dataclasses.replace(model.open_page(document.grey(index), lines),
                                   source=document.sources[index])

    @staticmethod
    def check_pages(pages, most):
        """Raise `TooLarge` when there are more pages than are allowed."""
        if pages > most:
            raise TooLarge(f"{pages} pages are more than the {most} allowed")

    def check_count(self, lines):
        """Raise `TooLarge` when a request has more lines than are allowed."""
        if lines > self.config.max_lines:
            raise TooLarge(f"{lines} lines are more than the {self.config.max_lines} allowed")


async def _first(*tasks, seconds=None):
    """Wait for one of the tasks, the former where several are done; cancel the others.

    Returns
    -------
    asyncio.Task or None
        None when none was done within `seconds`.
    """
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds,
                                     return_when=asyncio.FIRST_COMPLETED)
        return next((task for task in tasks if task in done), None)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _gone(receive):
    while (await receive())["type"] != "http.disconnect":
        pass
