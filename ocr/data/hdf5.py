"""All splits of an experiment in one HDF5 file: written by ``ocr pack``, read as "hdf5".

A file holds one group for each split::

    /                 attributes: format, version, alphabet, settings (JSON)
    /train            attributes: name, split, lines, skipped, crc32 (of all but the pixels)
    /train/pixels     uint8: all images, row by row, one after the other
    /train/offsets    where each image starts in pixels
    /train/heights, /train/widths, /train/crc32
    /train/ids, texts, writers, files, extras      UTF-8 strings (extras: JSON)
    /train/skips      JSON of what was left out

Groups ``train``, ``valid`` and ``test`` with the data sets ``dt`` (images) and ``gt``
(transcripts), as Flor's system has them, are read and written too. All data must lie in the
file itself: links and data sets that lead to other files are refused.
"""

import json
import math
import os
import threading
import zlib
from typing import Literal

import numpy as np

from lm.base.errors import ConfigError, DataError, MissingDataError
from lm.base.files import parse_json
from lm.normalisation import normalise

from .base import LineDataset, LineSample, Skip, SkipReport
from .options import OnError

__all__ = ["open_hdf5", "checksum", "FORMAT", "VERSION", "FLOR_SPLITS"]

FORMAT, VERSION = "ocr-lines", 2
#: What Flor's system calls our splits.
FLOR_SPLITS = {"train": "train", "validation": "valid", "test": "test"}
#: A group's columns: numbers by type, and strings.
NUMBERS = {"offsets": np.int64, "heights": np.int32, "widths": np.int32, "crc32": np.uint32}
STRINGS = ("ids", "texts", "writers", "files", "extras")
#: More pixels (or texts) than this a byte stored no compression gives: gzip comes to 1,032.
_MOST_COMPRESSION = 1100
#: What h5py raises on damaged files.
DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, UnicodeDecodeError)


def import_h5py():
    """Import h5py, once made safe to fork under."""
    try:
        import h5py
    except ImportError:
        raise ConfigError("h5py is not installed, which HDF5 files need; "
                          "pip install h5py") from None
    _guard_forks()
    return h5py


_guarded = threading.Lock()
_guard: list = []


def _guard_forks():
    """Keep h5py's lock free in forked children, whatever other threads do at the fork."""
    with _guarded:
        if _guard or not hasattr(os, "register_at_fork"):
            return
        from h5py._objects import phil

        os.register_at_fork(before=phil.acquire, after_in_parent=phil.release,
                            after_in_child=phil.release)
        _guard.append(phil)


class _Handle:
    """An HDF5 file opened once in each thread of each process, for reading.

    Neither a forked child nor another thread shares a handle; a pickled one opens its own.
    """

    def __init__(self, path, group):
        self.path, self.group = path, group
        self._stat = self._look()
        self._local = threading.local()

    def __getstate__(self):
        return {"path": self.path, "group": self.group, "_stat": self._stat}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._local = threading.local()

    def _look(self):
        try:
            stat = os.stat(self.path)
        except OSError as error:
            raise MissingDataError(f"{self.path}: no such HDF5 file "
                                   f"({error.strerror})") from None
        return stat.st_size, stat.st_mtime_ns

    def key(self):
        """Return a string that changes with the file."""
        return ":".join(map(str, (os.path.abspath(self.path), self.group, *self._look())))

    def images(self, name):
        """Return the group's data set of images."""
        local = self._local
        if getattr(local, "pid", None) != os.getpid():
            if self._look() != self._stat:
                raise DataError(f"{self.path}: was replaced while in use")
            local.images = _open(self.path)[self.group][name]
            local.pid = os.getpid()
        return local.images


def _open(path):
    h5py = import_h5py()
    if not os.path.isfile(path):
        raise MissingDataError(f"{path}: no such HDF5 file; ocr pack writes one")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path}: not an HDF5 file, or cut short ({error})") from None


def checksum(head, columns):
    """Return the CRC-32 of a group's attributes and columns (numbers, or strings as bytes)."""
    crc = zlib.crc32(json.dumps([str(value) for value in head]).encode())
    for column in columns:
        data = np.asarray(column)
        crc = zlib.crc32(b"\0".join([*data, b""]) if data.dtype == object else data.tobytes(), crc)
    return crc


def _member(path, parent, name):
    """Return a group or data set that lies in the file and holds as much as it declares."""
    h5py = import_h5py()
    where = f"{path}: {parent.name.rstrip('/')}/{name}"
    if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
        raise DataError(f"{where} is a link; refused: all data must lie in the file itself")
    item = parent[name]
    if isinstance(item, h5py.Dataset):
        if item.external or item.is_virtual:
            raise DataError(f"{where} keeps its data in another file; refused")
        declared = math.prod(map(int, item.shape)) * item.dtype.itemsize
        stored = int(item.id.get_storage_size())
        if declared > _MOST_COMPRESSION * stored:
            raise DataError(f"{where} declares {declared} bytes, of which {stored} are stored")
    return item


class _FileLines(LineDataset):
    """Lines of an HDF5 file, read one by one."""

    def __init__(self, name, split, samples, report, handle):
        super().__init__(name, split, samples, report)
        self._handle = handle
        # Not positions: subsets and normalisation leave samples out.
        self._rows = {sample.id: row for row, sample in enumerate(self.samples)}

    def _row(self, index):
        return self._rows[self.samples[index].id]

    def image(self, index):
        """Return sample `index`'s image: uint8 grey, (height, width); raises `DataError`."""
        try:
            return self._read(self._row(index))
        except DataError:
            raise
        except DAMAGE as error:
            raise DataError(f"{self._handle.path}, {self._handle.group}, line "
                            f"{self.samples[index].id}: cannot be read ({error})") from None

    def image_key(self, index):
        """Return the file's path, size and time, and the line's place in it."""
        return f"{self._handle.key()}:{self._row(index)}"


class PackedLines(_FileLines):
    """Lines packed by `pack_lines`; made by `open_hdf5`.

    ``sample.path`` is None; ``sample.extra["file"]`` names the image file the line came from.
    """

    def __init__(self, name, split, samples, report, handle, table, characters):
        super().__init__(name, split, samples, report, handle)
        self._table, self._characters = table, characters
        self._shaping = {}

    def restrict(self, alphabet):
        """As `LineDataset.restrict`; `DataError` unless the lines were packed with the alphabet.

        The order of its characters does not matter.
        """
        stored, asked = set(self._characters), set(alphabet.characters)
        if stored == asked:
            return super().restrict(alphabet)

        def some(characters):
            text = " ".join(f"{c!r}" for c in sorted(characters)[:8])
            return (text + " ..." if len(characters) > 8 else text) or "none"

        raise DataError(f"{self._handle.path}: packed with another alphabet ({len(stored)} "
                        f"characters) than asked for ({len(asked)}): only in the file: "
                        f"{some(stored - asked)}; only asked for: {some(asked - stored)}")

    def prepared(self, settings):
        """Say how the images were prepared, as ``settings`` of the file has it; returns self."""
        self.done, self._shaping = settings["done"], settings["preprocess"]
        if self.done not in ("", "cleaned", "scaled"):
            raise ValueError(f"images are {self.done!r}")
        return self

    def check_preprocess(self, preprocess):
        """Raise `ConfigError` where the images were prepared with other settings than these."""
        asked = preprocess.shaping(self.done) if self.done else {}
        if other := {name for name in asked if self._shaping.get(name) != asked[name]}:
            names = [name for name in asked if name in other]
            raise ConfigError(
                f"{self._handle.path}: its lines were prepared with "
                + ", ".join(f"preprocess.{n}={self._shaping.get(n)!r}" for n in names)
                + "; asked for: " + ", ".join(repr(asked[n]) for n in names)
                + "; set the same, or pack the lines again")

    def _read(self, row):
        start, height, width, crc = (int(column[row]) for column in self._table)
        pixels = self._handle.images("pixels")[start:start + height * width]
        if zlib.crc32(pixels) != crc:
            raise ValueError("its checksum is wrong")
        return pixels.reshape(height, width)

    def image_size(self, index):
        """Return the (height, width) of sample `index`'s image, without reading it."""
        return tuple(int(column[self._row(index)]) for column in self._table[1:3])


class FlorLines(_FileLines):
    """Lines of groups with ``dt`` and ``gt``; made by `open_hdf5`."""

    def __init__(self, name, split, samples, report, handle, columns_first):
        super().__init__(name, split, samples, report, handle)
        self._columns_first = columns_first

    def _read(self, row):
        image = self._handle.images("dt")[row]
        return np.ascontiguousarray(image.T) if self._columns_first else image


def open_hdf5(path: str, split: str = "train",
              layout: Literal["auto", "packed", "flor", "flor-rows"] = "auto",
              on_error: OnError = "skip", stream: bool = False) -> LineDataset:
    """Open a split of an HDF5 file.

    Parameters
    ----------
    path : str
        Written by ``ocr pack``, or by Flor's system (``train``, ``valid``, ``test`` with
        ``dt`` and ``gt``).
    split : str
        "train", "validation" or "test"; Flor's ``valid`` is "validation".
    layout : {"auto", "packed", "flor", "flor-rows"}
        What the file is: one of ocr pack, Flor's images x width x height, or the same as
        images x height x width. "auto" looks: lines are wider than high.
    on_error : {"skip", "raise"}
        What becomes of an empty transcript. What had been left out when the file was packed
        stands in the report in either case.
    stream : bool
        Read images anew at each use instead of keeping them (see `LineDataset`).

    Returns
    -------
    PackedLines or FlorLines
        Name, ids, texts, writers and extras are those of the source packed (an empty writer
        is None); Flor's lines are numbered.

    Raises
    ------
    MissingDataError
        No such file.
    DataError
        Not HDF5, cut short, damaged, of another format or version, its counts disagree, or no
        such split; the message names the file.
    ConfigError
        h5py is not installed, or an unknown layout.
    """
    report = SkipReport(on_error)
    with _open(path) as file:
        try:
            if layout == "packed" or (layout == "auto" and "format" in file.attrs):
                dataset = _open_packed(path, file, split, report)
            else:
                dataset = _open_flor(path, file, split, layout, report)
        except DataError:
            raise
        except DAMAGE as error:
            raise DataError(f"{path}: damaged ({error})") from None
    dataset.stream = stream
    return dataset


def _group(path, file, split, known):
    if split not in known:
        raise DataError(f"{path}: holds no split {split!r}; found: "
                        f"{', '.join(sorted(known)) or 'none'}")
    group = _member(path, file, known[split])
    if not isinstance(group, import_h5py().Group):
        raise DataError(f"{path}: {group.name} is no group")
    return group


def _open_packed(path, file, split, report):
    if file.attrs.get("format") != FORMAT:
        raise DataError(f"{path}: no file of ocr pack")
    if file.attrs["version"] != VERSION:
        raise DataError(f"{path}: of format version {file.attrs['version']}; "
                        f"this library reads {VERSION}")
    group = _group(path, file, split, {name: name for name in file})
    lines, skips = int(group.attrs["lines"]), int(group.attrs["skipped"])
    columns = {}
    for name in (*NUMBERS, *STRINGS, "skips"):
        count, what = (skips, "skips") if name == "skips" else (lines, "lines")
        column = _member(path, group, name)
        if column.shape != (count,):
            raise DataError(f"{path}: {split} counts {count} {what} but holds "
                            f"{len(column)} {name}")
        columns[name] = column[:]
    if checksum(pack_head(file.attrs, group.attrs), columns.values()) != group.attrs["crc32"]:
        raise DataError(f"{path}: {split}: damaged: the checksum of its transcripts and sizes is "
                        "wrong")
    table = [columns[name] for name in NUMBERS]
    offsets, heights, widths, _ = table
    ends = np.cumsum(heights.astype(np.int64) * widths)
    if (lines and min(heights.min(), widths.min()) < 1) or (
            not np.array_equal(offsets[1:], ends[:-1])) or offsets[:1].any() or (
            _member(path, group, "pixels").shape != (ends[-1] if lines else 0,)):
        raise DataError(f"{path}: {split}: sizes and places of the images disagree")
    report.skips += [Skip(**parse_json(skip, f"{path}: {split}/skips"))
                     for skip in columns["skips"]]
    samples = []
    for row in zip(*(columns[name] for name in STRINGS)):
        id, text, writer, name, extra = (cell.decode() for cell in row)
        extra = parse_json(extra, f"{path}: {split}/extras, line {id}")
        samples.append(LineSample(id, text, None, writer or None,
                                  {**({"file": name} if name else {}), **extra}))
    dataset = PackedLines(group.attrs["name"], group.attrs["split"], samples, report,
                          _Handle(path, split), table, file.attrs["alphabet"])
    settings = parse_json(file.attrs["settings"], f"{path}: settings")
    return _drop_empty(path, dataset.prepared(settings))


def pack_head(root, group):
    """Return the attributes that a group's checksum covers."""
    return [root["version"], root["alphabet"], root["settings"], group["name"], group["split"],
            int(group["lines"]), int(group["skipped"])]


def _open_flor(path, file, split, layout, report):
    known = {ours: theirs for ours, theirs in FLOR_SPLITS.items()
             if theirs in file and {"dt", "gt"} <= set(_member(path, file, theirs))}
    if not known:
        raise DataError(f"{path}: neither a file of ocr pack nor one of groups train, valid, test "
                        f"with dt and gt; found: {', '.join(sorted(file)) or 'nothing'}")
    group = _group(path, file, split, known)
    images, texts = _member(path, group, "dt"), _member(path, group, "gt")
    if images.ndim != 3 or images.dtype != np.uint8 or not all(images.shape[1:]):
        raise DataError(f"{path}: {group.name}/dt is {images.dtype} of shape {images.shape}; "
                        "expected uint8, images x width x height")
    if texts.shape != images.shape[:1]:
        raise DataError(f"{path}: {group.name} holds {len(images)} images and "
                        f"{len(texts)} texts")
    columns_first = layout == "flor" or (layout == "auto" and images.shape[1] > images.shape[2])
    samples = []
    for row, text in enumerate(texts[:]):
        id = f"{known[split]}-{row:06d}"
        try:
            text = text.decode() if isinstance(text, bytes) else str(text)
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: {group.name}/gt, line {row}: "
                            f"not UTF-8 ({error.reason})") from None
        samples.append(LineSample(id, normalise(text), None))
    name = os.path.splitext(os.path.basename(path))[0]
    dataset = FlorLines(f"hdf5 {name}", known[split], samples, report,
                        _Handle(path, known[split]), columns_first)
    return _drop_empty(path, dataset)


def _drop_empty(path, dataset):
    """Leave out, and report, lines without text."""
    samples, dataset.samples = dataset.samples, []
    for sample in samples:
        if sample.text.strip():
            dataset.samples.append(sample)
        else:
            dataset.report.add(sample.id, "empty transcript", f"{path}, {dataset.split}")
    return dataset
