"""Lines scaled to the network's height once and kept on disk, memory-mapped."""

import copy
import hashlib
import json
import os
import zlib

import numpy as np

from lm.base.errors import DataError
from lm.base.files import atomic_path, read_json

from ..image.preprocess import SCALED, prepare_line, resized_width

__all__ = ["PreparedLines"]

#: Raise when `prepare_line` gives other pixels for the same settings.
CACHE_VERSION = 2


def _checksum(index, pixels):
    return zlib.crc32(json.dumps(index).encode(), zlib.crc32(pixels))


def _line(dataset, index, preprocess):
    return prepare_line(dataset.image(index), preprocess, dataset.done)


class PreparedLines:
    """The readable lines of a dataset, scaled to one height, ink bright.

    The lines of a dataset with `stream` set are not kept, neither in memory nor in the cache:
    `__getitem__` decodes them anew, and raises `DataError` where that fails. At the start only
    the sizes of the images are read.

    Parameters
    ----------
    dataset : LineDataset
        Unreadable images are added to its report (or raised, as it chose).
    preprocess : PreprocessConfig
    cache : str, optional
        Folder for the decoded lines; None keeps them in memory. The file's name is a hash of
        all that shapes the pixels: scaling settings, and each image's path, size and time.
    progress : bool
        Show a progress bar while decoding.

    Attributes
    ----------
    dataset : LineDataset
        The readable part, in the same order.
    widths : numpy.ndarray
        int, (n,): widths in pixels, without margins.
    """

    def __init__(self, dataset, preprocess, cache=None, progress=True):
        self.preprocess = preprocess
        dataset.check_preprocess(preprocess)
        path = None
        if dataset.stream:
            self._take(dataset, None, *self._measure(dataset, preprocess, progress))
            return
        if cache is not None:
            path = os.path.join(cache, f"lines-{self._key(dataset, preprocess)}.u8")
            stored = self._load(path)
            if stored is not None:
                self._keep(dataset, *stored)
                return
        self._keep(dataset, *self._decode(dataset, preprocess, progress))
        if path is not None:
            self._store(path)

    @staticmethod
    def _key(dataset, preprocess):
        digest = hashlib.sha256()
        digest.update(repr((CACHE_VERSION, dataset.done, preprocess.shaping(SCALED))).encode())
        for index in range(len(dataset)):
            digest.update(dataset.image_key(index).encode())
            digest.update(b"\0")
        return digest.hexdigest()[:24]

    @staticmethod
    def _decode(dataset, preprocess, progress):
        from tqdm import tqdm

        lines, failures = [], {}
        for index in tqdm(range(len(dataset)), desc=f"decoding {dataset.split}", unit="line",
                          disable=None if progress else True, leave=False):
            try:
                lines.append(_line(dataset, index, preprocess))
            except DataError as error:
                lines.append(None)
                failures[index] = str(error)
        return lines, failures

    @staticmethod
    def _measure(dataset, preprocess, progress):
        """Return (widths, failures), from the heads of the image files where these tell."""
        from tqdm import tqdm

        widths, failures = np.zeros(len(dataset), np.int64), {}
        for index in tqdm(range(len(dataset)), desc=f"measuring {dataset.split}", unit="line",
                          disable=None if progress else True, leave=False):
            try:
                widths[index] = (resized_width(*dataset.image_size(index), preprocess)
                                 or _line(dataset, index, preprocess).shape[1])
            except DataError as error:
                failures[index] = str(error)
        return widths, failures

    def _keep(self, dataset, lines, failures):
        widths = [0 if line is None else line.shape[1] for line in lines]
        self._take(dataset, lines, np.array(widths, dtype=np.int64), failures)

    def _take(self, dataset, lines, widths, failures):
        for index, reason in failures.items():
            dataset.report.add(dataset.samples[index].id, "unreadable image", reason)
        whole = np.ones(len(dataset), bool)
        whole[list(failures)] = False
        readable = np.flatnonzero(whole)
        report = dataset.report
        self.dataset = dataset.subset(readable)
        self.dataset.report = report
        self._failures = failures
        self._lines = None if lines is None else [lines[i] for i in readable]
        self.widths = widths[readable]

    def _store(self, path):
        # The checksum at the end tells a damaged cache from a good one.
        pixels = (np.concatenate([line.ravel() for line in self._lines])
                  if self._lines else np.zeros(0, np.uint8))
        readable = iter(self.widths.tolist())
        widths = [None if i in self._failures else next(readable)
                  for i in range(len(self._lines) + len(self._failures))]
        index = {"height": self.preprocess.height, "widths": widths,
                 "failures": {str(i): reason for i, reason in self._failures.items()}}
        index["crc"] = _checksum(index, pixels)
        with atomic_path(path) as temporary:
            pixels.tofile(temporary)
        with atomic_path(path + ".json") as temporary:
            with open(temporary, "w", encoding="utf-8") as out:
                json.dump(index, out)

    @staticmethod
    def _load(path):
        """Return (lines, failures) from the cache file, or None when it is not there or damaged."""
        try:
            index = read_json(path + ".json")
            pixels = np.memmap(path, np.uint8, mode="r") if os.path.getsize(path) else \
                np.zeros(0, np.uint8)
        except (OSError, ValueError):
            return None
        if index.pop("crc", None) != _checksum(index, pixels):
            return None
        height, lines, start = index["height"], [], 0
        for width in index["widths"]:
            if width is None:
                lines.append(None)
                continue
            stop = start + height * width
            lines.append(pixels[start:stop].reshape(height, width))
            start = stop
        return lines, {int(i): reason for i, reason in index["failures"].items()}

    def part(self, start: int, stop: int) -> "PreparedLines":
        """Return the lines from `start` to `stop` as prepared lines of their own."""
        some = copy.copy(self)
        some.dataset = self.dataset.subset(range(start, min(stop, len(self))))
        some._lines = None if self._lines is None else self._lines[start:stop]
        some.widths = self.widths[start:stop]
        return some

    def __len__(self):
        return len(self.widths)

    def __getitem__(self, index):
        """Return line `index`: uint8, (height, width), ink bright."""
        if self._lines is None:
            return _line(self.dataset, index, self.preprocess)
        return self._lines[index]
