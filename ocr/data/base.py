"""What every source of text lines offers: samples, images, and a report of what it skipped."""

import copy
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np

from lm.base.errors import DataError

from ..image.load import image_shape, load_grey
from ..image.preprocess import RAW
from ..text.alphabet import Alphabet

__all__ = ["LineSample", "LineDataset", "Skip", "SkipReport"]

ON_ERROR = ("skip", "raise")


@dataclass(frozen=True)
class LineSample:
    """One line (or word, or form) of a source.

    Attributes
    ----------
    id : str
        Unique within the dataset.
    text : str
        Transcript, Unicode NFC.
    path : str or None
        Image file; None when the image is made in memory.
    writer : str or None
    extra : mapping
        Whatever else the source knows (other columns, boxes, segmentation flag).
    """

    id: str
    text: str
    path: Optional[str] = None
    writer: Optional[str] = None
    extra: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Skip:
    """One item that was left out: its `id`, a short `reason` and a `detail` naming the trouble."""

    id: str
    reason: str
    detail: str = ""


class SkipReport:
    """Counts and lists what a source or a later step left out.

    Parameters
    ----------
    on_error : {"skip", "raise"}
        With "raise" the first addition raises `DataError` instead.
    """

    def __init__(self, on_error: str = "skip"):
        if on_error not in ON_ERROR:
            raise DataError(f"on_error is {on_error!r}; known: {', '.join(ON_ERROR)}")
        self.on_error = on_error
        self.skips: list[Skip] = []

    def add(self, id: str, reason: str, detail: str = "") -> None:
        """Record that `id` is left out for `reason`; raises `DataError` when fatal was chosen."""
        if self.on_error == "raise":
            raise DataError(f"{id}: {reason}" + (f": {detail}" if detail else ""))
        self.skips.append(Skip(str(id), reason, detail))

    def counts(self) -> dict[str, int]:
        """Return {reason: number of items}."""
        return dict(Counter(skip.reason for skip in self.skips))

    def __len__(self):
        return len(self.skips)

    def __str__(self):
        if not self.skips:
            return "nothing skipped"
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.counts().items()))
        return f"skipped {len(self.skips)}: {reasons}"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict with counts and every skipped item."""
        return {"counts": self.counts(),
                "skipped": [{"id": s.id, "reason": s.reason, "detail": s.detail}
                            for s in self.skips]}


class _Images(Sequence):
    def __init__(self, dataset):
        self._dataset = dataset

    def __len__(self):
        return len(self._dataset)

    def __getitem__(self, index):
        return self._dataset.image(index)


class LineDataset:
    """A list of `LineSample` with their images; the base of every source.

    ``dataset[i]`` is (image, text), so that Gluon's ``DataLoader`` takes a dataset as it is;
    what else is known of a line stands in ``dataset.samples[i]``.

    Parameters
    ----------
    name : str
        Source and variant, e.g. ``"iam-line"``; printed with every result.
    split : str
        Name of the split, e.g. ``"official/test"``; printed with every result.
    samples : sequence of LineSample
    report : SkipReport, optional
        What was left out while the samples were listed.

    Attributes
    ----------
    stream : bool
        Whether images are decoded anew at each use instead of being kept (see
        `ocr.batching.PreparedLines`).
    done : {"", "cleaned", "scaled"}
        What images have behind them of `ocr.image.preprocess.prepare_line` already.
    """

    stream = False
    done = RAW

    def check_preprocess(self, preprocess):
        """Raise `ConfigError` where images were prepared with other settings than these."""

    def __init__(self, name: str, split: str, samples: Iterable[LineSample],
                 report: Optional[SkipReport] = None):
        self.name = name
        self.split = split
        self.samples = list(samples)
        self.report = report if report is not None else SkipReport()
        seen = set()
        for sample in self.samples:
            if sample.id in seen:
                raise DataError(f"{name} ({split}): the id {sample.id!r} stands twice")
            seen.add(sample.id)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[np.ndarray, str]:
        """Return the image, uint8 grey (height, width), and the transcript of sample `index`.

        Raises `DataError` where the image cannot be read; `drop_unreadable` leaves such out.
        """
        return self.image(index), self.samples[index].text

    def __repr__(self):
        return f"<{type(self).__name__} {self.name} split={self.split} {len(self)} lines>"

    def image(self, index: int) -> np.ndarray:
        """Return sample `index`'s image: uint8 grey, (height, width); raises `DataError`."""
        return load_grey(self.samples[index].path)

    def image_size(self, index: int) -> tuple[int, int]:
        """Return the (height, width) of sample `index`'s image; raises `DataError`.

        Of a file only the head is read, so damaged pixels go unnoticed.
        """
        path = self.samples[index].path
        if path is None:
            height, width = self.image(index).shape
            return height, width
        return image_shape(path)

    def image_key(self, index: int) -> str:
        """Return a string that changes whenever the pixels of sample `index` may change."""
        path = self.samples[index].path
        if path is None:
            return hashlib.sha256(self.image(index).tobytes()).hexdigest()
        try:
            stat = os.stat(path)
        except OSError:
            return f"{path}:missing"
        return f"{os.path.abspath(path)}:{stat.st_size}:{stat.st_mtime_ns}"

    def texts(self) -> list[str]:
        """Return all transcripts, in order."""
        return [sample.text for sample in self.samples]

    def images(self) -> Sequence[np.ndarray]:
        """Return the images, in order; each is read when it is asked for."""
        return _Images(self)

    def subset(self, indices: Iterable[int], split: Optional[str] = None) -> "LineDataset":
        """Return a dataset of the given positions, in the given order (same source, own report)."""
        part = copy.copy(self)
        part.samples = [self.samples[i] for i in indices]
        part.split = self.split if split is None else split
        part.report = SkipReport(self.report.on_error)
        return part

    def spread(self, count: int) -> "LineDataset":
        """Return `count` lines, or all, evenly spread: a split is often sorted by writer."""
        step = max(len(self) / count, 1)
        return self.subset([int(i * step) for i in range(min(count, len(self)))])

    def restrict(self, alphabet: Alphabet) -> "LineDataset":
        """Leave out, and report, lines with characters outside an alphabet.

        The newlines of a form of several lines do not count.

        Returns
        -------
        LineDataset
            self
        """
        fitting = []
        for index, sample in enumerate(self.samples):
            if unknown := alphabet.unknown(sample.text.replace("\n", "")):
                self.report.add(sample.id, "outside the alphabet",
                                " ".join(f"{c!r} (U+{ord(c):04X})" for c in unknown))
            else:
                fitting.append(index)
        self.samples = self.subset(fitting).samples
        return self

    def drop_unreadable(self) -> "LineDataset":
        """Decode every image once; leave out, and report, those that cannot be read.

        Returns
        -------
        LineDataset
            self
        """
        readable = []
        for index, sample in enumerate(self.samples):
            try:
                self.image(index)
            except DataError as error:
                self.report.add(sample.id, "unreadable image", str(error))
            else:
                readable.append(index)
        self.samples = self.subset(readable).samples
        return self
