"""What every source of text lines offers: samples, images, and a report of what it skipped."""

import os
from collections import Counter
from dataclasses import dataclass, field

from lm.base.errors import DataError
from lm.base.plugins import Registry
from lm.base.settings import check_options

from ..image.load import image_file, load_grey

__all__ = ["LineSample", "LineDataset", "Skip", "SkipReport", "DATASETS", "open_dataset",
           "list_datasets"]

#: Data sources by name; each entry is called with keyword options and returns a `LineDataset`.
DATASETS = Registry("data source", "ocr.data_sources")

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
    path: str = None
    writer: str = None
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

    def __init__(self, on_error="skip"):
        if on_error not in ON_ERROR:
            raise DataError(f"on_error is {on_error!r}; known: {', '.join(ON_ERROR)}")
        self.on_error = on_error
        self.skips = []

    def add(self, id, reason, detail=""):
        """Record that `id` is left out for `reason`; raises `DataError` when fatal was chosen."""
        if self.on_error == "raise":
            raise DataError(f"{id}: {reason}" + (f": {detail}" if detail else ""))
        self.skips.append(Skip(str(id), reason, detail))

    def counts(self):
        """Return {reason: number of items}."""
        return dict(Counter(skip.reason for skip in self.skips))

    def __len__(self):
        return len(self.skips)

    def __str__(self):
        if not self.skips:
            return "nothing skipped"
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.counts().items()))
        return f"skipped {len(self.skips)}: {reasons}"

    def to_json(self):
        """Return a JSON-ready dict with counts and every skipped item."""
        return {"counts": self.counts(),
                "skipped": [{"id": s.id, "reason": s.reason, "detail": s.detail}
                            for s in self.skips]}


class LineDataset:
    """A list of `LineSample` with their images; the base of every source.

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
    """

    stream = False

    def __init__(self, name, split, samples, report=None):
        self.name = name
        self.split = split
        self.samples = list(samples)
        self.report = report if report is not None else SkipReport()
        seen = set()
        for sample in self.samples:
            if sample.id in seen:
                raise DataError(f"{name} ({split}): the id {sample.id!r} stands twice")
            seen.add(sample.id)

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]

    def __repr__(self):
        return f"<{type(self).__name__} {self.name} split={self.split} {len(self)} lines>"

    def image(self, index):
        """Return sample `index`'s image: uint8 grey, (height, width); raises `DataError`."""
        return load_grey(self.samples[index].path)

    def image_size(self, index):
        """Return the (height, width) of sample `index`'s image; raises `DataError`.

        Of a file only the head is read, so damaged pixels go unnoticed.
        """
        path = self.samples[index].path
        if path is None:
            return self.image(index).shape
        with image_file(path) as image:
            return image.height, image.width

    def image_key(self, index):
        """Return a string that changes whenever the pixels of sample `index` may change."""
        path = self.samples[index].path
        try:
            stat = os.stat(path)
        except OSError:
            return f"{path}:missing"
        return f"{os.path.abspath(path)}:{stat.st_size}:{stat.st_mtime_ns}"

    def texts(self):
        """Return all transcripts, in order."""
        return [sample.text for sample in self.samples]

    def subset(self, indices, split=None):
        """Return a dataset of the given positions, in the given order (same source, own report)."""
        import copy

        part = copy.copy(self)
        part.samples = [self.samples[i] for i in indices]
        part.split = self.split if split is None else split
        part.report = SkipReport(self.report.on_error)
        return part

    def spread(self, count):
        """Return `count` lines, or all, evenly spread: a split is often sorted by writer."""
        step = max(len(self) / count, 1)
        return self.subset([int(i * step) for i in range(min(count, len(self)))])

    def drop_unreadable(self):
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


def open_dataset(source, **options):
    """Open a data source by its registered name.

    Parameters
    ----------
    source : str
        One of `list_datasets()`.
    **options
        Passed to the source.

    Returns
    -------
    LineDataset

    Raises
    ------
    UnknownNameError
        No such source.
    ConfigError
        An option the source does not have, or of another type than the source says.
    """
    factory = DATASETS.get(source)
    return factory(**check_options(factory, options, f"data source {source!r}"))


def list_datasets():
    """Return the names of the registered data sources."""
    return DATASETS.names()
