"""Batches bucketed by width, with true widths kept and CTC feasibility checked."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from lm.base.errors import ConfigError, TrainingError

from ..base.randomness import generator
from ..image import augment, augmented_width, fit_box, input_width, line_to_input
from ..text.ctc import frames_needed

__all__ = ["Batch", "collate", "evaluation_batches", "TrainingBatches"]

#: Batch widths are rounded up to this, so that few distinct shapes are compiled.
WIDTH_STEP = 64


@dataclass(frozen=True)
class Batch:
    """Lines of similar width, padded on the right.

    Attributes
    ----------
    images : numpy.ndarray
        float32, (N, 1, height, W), padding 0.
    widths : numpy.ndarray
        float32, (N,), true widths in pixels.
    labels : numpy.ndarray
        float32, (N, L), class indices, padding -1 (MXNet's CTC convention).
    label_lengths : numpy.ndarray
        float32, (N,).
    indices : tuple of int
        Positions in the prepared lines.
    """

    images: np.ndarray
    widths: np.ndarray
    labels: np.ndarray
    label_lengths: np.ndarray
    indices: tuple

    def __len__(self):
        return len(self.indices)


def collate(lines, labels, indices, width_step=WIDTH_STEP):
    """Pad standardised lines (float32, (H, w)) and their labels into a `Batch`.

    `width_step` None pads to the widest line alone (fixed-size boxes).
    """
    widths = np.array([line.shape[1] for line in lines], np.float32)
    total = int(widths.max())
    if width_step:
        total = -(-total // width_step) * width_step
    images = np.zeros((len(lines), 1, lines[0].shape[0], total), np.float32)
    for row, line in zip(images, lines):
        row[0, :, :line.shape[1]] = line
    lengths = np.array([len(label) for label in labels], np.float32)
    padded = np.full((len(lines), max(int(lengths.max(initial=0)), 1)), -1, np.float32)
    for row, label in zip(padded, labels):
        row[:len(label)] = label
    return Batch(images, widths, padded, lengths, tuple(int(i) for i in indices))


def _prefetch(make, keys, workers, ahead):
    """Yield ``make(key)`` in the order of `keys`, made up to `ahead` at a time in threads."""
    if workers == 0:
        for key in keys:
            yield make(key)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="batch")
    waiting = deque()
    keys = iter(keys)
    try:
        for key in keys:
            waiting.append(pool.submit(make, key))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for task in waiting:
            task.cancel()
        pool.shutdown(wait=True)


def _width_step(prepared):
    return None if prepared.preprocess.width is not None else WIDTH_STEP


def evaluation_batches(prepared, batch_size, workers=1):
    """Yield every prepared line once, undistorted, widest first; labels are empty.

    Parameters
    ----------
    prepared : PreparedLines
    batch_size : int
    workers : int
        Threads that make batches ahead; 0 makes them in the calling thread.

    Yields
    ------
    Batch
        The last batch may be smaller; no line is lost.
    """
    order = np.argsort(-prepared.widths, kind="stable")
    chunks = [order[i:i + batch_size] for i in range(0, len(order), batch_size)]

    def make(chunk):
        lines = [line_to_input(prepared[i], prepared.preprocess) for i in chunk]
        return collate(lines, [()] * len(chunk), chunk, _width_step(prepared))

    yield from _prefetch(make, chunks, workers, workers + 2)


class TrainingBatches:
    """Shuffled, bucketed, augmented batches, the same for the same (seed, epoch).

    Parameters
    ----------
    prepared : PreparedLines
    labels : sequence of list of int
        Encoded transcripts, one for each prepared line.
    batch_size : int
    augmentation : AugmentConfig or None
    seed : int
    frame_count : callable
        Width in pixels -> number of frames of the network.
    workers : int
        Threads that make batches ahead.
    pool : int
        Batches that are shuffled together and sorted by width: larger means less padding,
        smaller more random batches.

    Attributes
    ----------
    usable : numpy.ndarray
        Positions of the lines trained on. Lines with an empty label, or too many characters
        for their frames (MXNet's CTC would give them loss 0 without a gradient), are left out
        and stand in the dataset's report.

    Raises
    ------
    TrainingError
        No line is usable.
    """

    def __init__(self, prepared, labels, batch_size, augmentation, seed, frame_count,
                 workers=1, pool=24):
        if batch_size < 1:
            raise ConfigError("batch_size must be at least 1")
        self.prepared, self.labels, self.batch_size = prepared, labels, batch_size
        self.augmentation, self.seed, self.workers, self.pool = augmentation, seed, workers, pool
        self.frame_count = frame_count
        # Arrays, and samples only where one is reported: there may be millions of lines.
        self._needed = np.fromiter(map(frames_needed, labels), np.int32, len(labels))
        report, samples = prepared.dataset.report, prepared.dataset.samples
        usable = np.zeros(len(labels), bool)
        for index, needed in enumerate(self._needed):
            frames = frame_count(input_width(int(prepared.widths[index]), prepared.preprocess))
            if not needed:
                report.add(samples[index].id, "empty transcript", "CTC cannot learn from it")
            elif needed > frames:
                report.add(samples[index].id, "infeasible for CTC",
                           f"{needed} frames needed for {samples[index].text!r}, "
                           f"the image gives {frames}")
            else:
                usable[index] = True
        self.usable = np.flatnonzero(usable)
        if not len(self.usable):
            raise TrainingError(f"{prepared.dataset.name} ({prepared.dataset.split}): "
                                f"no line can be trained on; {report}")

    def _input(self, ink):
        return line_to_input(ink, self.prepared.preprocess)

    def __len__(self):
        """Number of batches of an epoch."""
        return -(-len(self.usable) // self.batch_size)

    def order(self, epoch):
        """Return the epoch's batches as arrays of positions; together every usable line once."""
        rng = generator(self.seed, epoch)
        shuffled = self.usable[rng.permutation(len(self.usable))]
        span = self.batch_size * self.pool
        batches = []
        for start in range(0, len(shuffled), span):
            group = shuffled[start:start + span]
            group = group[np.argsort(self._widths(epoch, group), kind="stable")]
            batches += [group[i:i + self.batch_size]
                        for i in range(0, len(group), self.batch_size)]
        # Only the last group can have a short batch, so the count is that of __len__.
        return [batches[i] for i in rng.permutation(len(batches))]

    def _generator(self, epoch, index):
        # 1 keeps these streams apart from the shuffling's.
        return generator(self.seed, epoch, int(index), 1)

    def _widths(self, epoch, group):
        """Widths of lines as they will be distorted in an epoch."""
        widths, preprocess = self.prepared.widths[group], self.prepared.preprocess
        if self.augmentation is None or preprocess.width is not None:
            return widths
        return [augmented_width(preprocess.height, int(width), self.augmentation,
                                self._generator(epoch, index))
                for index, width in zip(group, widths)]

    def line(self, epoch, index):
        """Return line `index` as an epoch trains on it: float32, (height, width)."""
        ink = self.prepared[index]
        if self.augmentation is not None:
            rng = self._generator(epoch, index)
            line = augment(ink, self.augmentation, rng)
            if self.prepared.preprocess.width is not None:
                line = fit_box(line, self.prepared.preprocess.width)
            line = self._input(line)
            if self.frame_count(line.shape[1]) >= self._needed[index]:
                return line
        return self._input(ink)

    def epoch(self, epoch, start=0):
        """Yield the batches of an epoch, from batch `start` on (to resume in its middle)."""
        def make(chunk):
            return collate([self.line(epoch, i) for i in chunk],
                           [self.labels[i] for i in chunk], chunk, _width_step(self.prepared))

        yield from _prefetch(make, self.order(epoch)[start:], self.workers, self.workers + 2)
