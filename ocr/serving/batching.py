"""Lines of many requests, read together: a bounded queue and the threads that empty it."""

import threading
import time
from concurrent.futures import Future, InvalidStateError

from ..batching import collate
from .errors import Busy, OutOfTime, Unavailable

__all__ = ["Batcher", "Work"]

#: Lines are read together when the wider is at most this times as wide: padding costs time.
WIDTH_RATIO = 1.3


class Work:
    """The lines of one request.

    Attributes
    ----------
    future : concurrent.futures.Future
        Of the list of logits, one (frames, classes) array for each line, in order.
    deadline : float
        By `time.monotonic`; lines that are not begun by then are dropped.
    """

    def __init__(self, count, deadline):
        self.future, self.deadline = Future(), deadline
        self._results, self._missing = [None] * count, count
        self._lock = threading.Lock()

    def put(self, index, logits):
        """Take one line's logits; the last one's fulfils the future."""
        with self._lock:
            self._results[index] = logits
            self._missing -= 1
            complete = not self._missing
        if complete:
            self._settle(self.future.set_result, self._results)

    def fail(self, error):
        """Fail the request, unless it has ended already."""
        self._settle(self.future.set_exception, error)

    @staticmethod
    def _settle(setter, value):
        try:
            setter(value)
        except InvalidStateError:
            # Cancelled meanwhile, or failed by another line.
            pass


class _Line:
    __slots__ = ("work", "index", "array", "arrived")

    def __init__(self, work, index, array, arrived):
        self.work, self.index, self.array, self.arrived = work, index, array, arrived


class Batcher:
    """Reads lines in batches, in threads of its own.

    A batch begins with the line that has waited longest; others of about its width join it.
    It starts when `max_batch` lines wait, or when the first has waited `wait` seconds.

    Parameters
    ----------
    run : callable
        (images (N, 1, H, W), widths (N,)) -> (logits (N, T, C), frames (N,)).
    max_batch : int
    wait : float
        Seconds.
    queue : int
        Most lines that may wait.
    workers : int
        Threads that call `run`, at once when there are several.
    width_step : int or None
        Batches are padded to a multiple of this; None for images of one width.
    on_batch : callable, optional
        Told (lines, seconds) after each batch.
    name : str
        Of the threads.
    """

    def __init__(self, run, max_batch=16, wait=0.005, queue=512, workers=1, width_step=64,
                 on_batch=None, name="network"):
        self._run, self.max_batch, self.wait, self.queue = run, max_batch, wait, queue
        self._width_step, self._on_batch = width_step, on_batch
        self._lines, self._open = [], True
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._serve, name=f"{name}-{i}", daemon=True)
                         for i in range(workers)]
        for thread in self._threads:
            thread.start()

    def __len__(self):
        """Number of lines that wait."""
        return len(self._lines)

    def submit(self, arrays, deadline):
        """Queue a request's lines.

        Parameters
        ----------
        arrays : list of numpy.ndarray
            float32, (H, W), as `ocr.image.line_to_input` makes them; at least one.
        deadline : float

        Returns
        -------
        Work

        Raises
        ------
        Busy
            The queue is full. A request with more lines than the queue holds is taken when
            nothing waits.
        Unavailable
            The batcher is closed.
        """
        work, now = Work(len(arrays), deadline), time.monotonic()
        with self._changed:
            if not self._open:
                raise Unavailable("the model is being unloaded")
            if self._lines and len(self._lines) + len(arrays) > self.queue:
                raise Busy(f"{len(self._lines)} lines wait already; come back later")
            self._lines += [_Line(work, i, array, now) for i, array in enumerate(arrays)]
            self._changed.notify_all()
        return work

    def discard(self, work):
        """Take a request's lines out of the queue; the future is cancelled."""
        work.future.cancel()
        with self._changed:
            self._lines = [line for line in self._lines if line.work is not work]

    def close(self, timeout=None):
        """Read what waits, then end the threads; whether that was done within `timeout`."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
        end = None if timeout is None else time.monotonic() + timeout
        for thread in self._threads:
            thread.join(None if end is None else max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _serve(self):
        while True:
            batch = self._next()
            if not batch:
                return
            self._read(batch)

    def _read(self, batch):
        try:
            logits, frames = self._logits(batch)
            for row, line in enumerate(batch):
                # A copy: the batch must not live as long as its slowest request.
                line.work.put(line.index, logits[row, :int(frames[row])].copy())
        except Exception as error:  # noqa: BLE001 - the thread must live; the requests fail
            for line in batch:
                line.work.fail(error)

    def _logits(self, batch):
        """Run the network; the batch is counted before any of its lines is answered."""
        started = time.monotonic()
        try:
            made = collate([line.array for line in batch], [()] * len(batch),
                           range(len(batch)), self._width_step)
            return self._run(made.images, made.widths)
        finally:
            if self._on_batch:
                self._on_batch(len(batch), time.monotonic() - started)

    def _next(self):
        """Wait for a batch and take it; empty when the batcher is closed and all is read."""
        with self._changed:
            while True:
                now = time.monotonic()
                self._drop_late(now)
                if not self._lines:
                    if not self._open:
                        return []
                    self._changed.wait()
                    continue
                # A line that waits may go to another thread, so all is looked at anew.
                rest = self._lines[0].arrived + self.wait - now
                if rest <= 0 or len(self._lines) >= self.max_batch or not self._open:
                    return self._take()
                self._changed.wait(rest)

    def _take(self):
        width = self._lines[0].array.shape[1]
        batch, left = [], []
        for line in self._lines:
            near = width <= line.array.shape[1] * WIDTH_RATIO \
                and line.array.shape[1] <= width * WIDTH_RATIO
            (batch if near and len(batch) < self.max_batch else left).append(line)
        self._lines = left
        return batch

    def _drop_late(self, now):
        late = [line for line in self._lines if line.work.deadline <= now]
        if late:
            self._lines = [line for line in self._lines if line.work.deadline > now]
            for line in late:
                line.work.fail(OutOfTime("the line waited too long"))
