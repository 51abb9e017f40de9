"""All splits of an experiment in one HDF5 file: written by ``ocr pack``, read as "hdf5".

A file holds one group for each split::

    /                 attributes: format, version, alphabet, settings (JSON)
    /train            attributes: name, split, lines, skipped
    /train/pixels     uint8: all images, row by row, one after the other
    /train/offsets    where each image starts in pixels
    /train/heights, /train/widths, /train/crc32
    /train/ids, texts, writers, files, extras      UTF-8 strings (extras: JSON)
    /train/skips      JSON of what was left out

HDF5 does not survive a kill while it writes, so lines are first appended to a plain file, from
which the HDF5 file is made at the end; a stopped run goes on after the last line of it.

Groups ``train``, ``valid`` and ``test`` with the data sets ``dt`` (images) and ``gt``
(transcripts), as other systems write them, are read too.
"""

import dataclasses
import hashlib
import json
import os
import struct
import threading
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Optional

import numpy as np

from lm.base.errors import ConfigError, DataError, MissingDataError
from lm.base.signals import Interrupted, collect_signals
from lm.normalisation import normalise

from ..text.alphabet import PRESETS, Alphabet
from .base import LineDataset, LineSample, Skip, SkipReport

__all__ = ["PackSettings", "Packed", "pack_lines", "open_hdf5", "part_path", "FORMAT", "VERSION"]

FORMAT, VERSION = "ocr-lines", 1
COMPRESSIONS = ("none", "lzf", "gzip")
LAYOUTS = ("auto", "packed", "flor", "flor-rows")
#: What Flor's system calls our splits.
FLOR_SPLITS = {"train": "train", "validation": "valid", "test": "test"}

# Small chunks: a line is read alone, and no more than needed is decompressed for it.
_PIXEL_CHUNK, _ROW_CHUNK = 1 << 16, 1024
# Bytes of lines written at once.
_BLOCK_BYTES = 1 << 22
# Lines of the source between flushes: what a kill may cost.
_FLUSH_LINES = 16
_NUMBERS = {"offsets": np.int64, "heights": np.int32, "widths": np.int32, "crc32": np.uint32}
_STRINGS = ("ids", "texts", "writers", "files", "extras")
# What h5py raises on damaged files.
_DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, UnicodeDecodeError)


def _h5py():
    """Import h5py, once made safe to fork under."""
    try:
        import h5py
    except ImportError:
        raise ConfigError("h5py is not installed, which HDF5 files need; "
                          "pip install h5py") from None
    _guard_forks()
    return h5py


_guarded = threading.Lock()
_guard = []


def _guard_forks():
    """Keep h5py's lock free in forked children, whatever other threads do at the fork."""
    with _guarded:
        if _guard or not hasattr(os, "register_at_fork"):
            return
        from h5py._objects import phil

        os.register_at_fork(before=phil.acquire, after_in_parent=phil.release,
                            after_in_child=phil.release)
        _guard.append(phil)


# -- writing ----------------------------------------------------------------------------------

@dataclass(frozen=True)
class PackSettings:
    """How lines are stored.

    Attributes
    ----------
    height : int or None
        Scale to this height, 8 or more; None keeps each image's size.
    width : int or None
        With `height`: fit into a box of height x width, centred in height, left in width, the
        rest paper.
    illumination, deslant : bool
        Even out the lighting, stand letters upright (`ocr.image.cleaning`), before
        scaling.
    compression : {"none", "lzf", "gzip"}
        Without any, reading is four times as fast as with lzf and the file three times as
        large. lzf is known to h5py alone; gzip (level 1) is the smallest and the slowest.
    """

    height: Optional[int] = None
    width: Optional[int] = None
    illumination: bool = False
    deslant: bool = False
    compression: str = "none"

    def __post_init__(self):
        if self.width is not None and self.height is None:
            raise ConfigError("pack: a width needs a height")
        if (self.height or 8) < 8 or (self.width or 1) < 1:
            raise ConfigError("pack: the height must be at least 8 and the width 1")
        if self.compression not in COMPRESSIONS:
            raise ConfigError(f"pack: unknown compression {self.compression!r}; "
                              f"known: {', '.join(COMPRESSIONS)}")

    def variant(self):
        """Return what was done to the images in a few words; "" for nothing."""
        size = self.height and (f"{self.width}x{self.height}" if self.width
                                else f"height {self.height}")
        parts = (self.illumination and "even light", self.deslant and "deslanted", size)
        return ", ".join(part for part in parts if part)

    def apply(self, grey):
        """Return the uint8 image as it is to be stored; polarity stays."""
        from ..image.cleaning import compensate_illumination, deslant
        from ..image.preprocess import PreprocessConfig, resize_line

        if self.illumination:
            grey = compensate_illumination(grey)
        if self.deslant:
            grey = deslant(grey)
        if self.height is not None:
            # "light" leaves the polarity; a stored line must not be squeezed.
            grey = resize_line(grey, PreprocessConfig(
                height=self.height, width=self.width, polarity="light", max_width=1 << 30))
        return grey


@dataclass(frozen=True)
class Packed:
    """What `pack_lines` wrote: {split: lines}, {split: skipped}, and the file's size in bytes."""

    lines: dict
    skipped: dict
    size: int

    def __str__(self):
        splits = ", ".join(f"{split} {count}" + (f" ({self.skipped[split]} skipped)"
                                                 if self.skipped[split] else "")
                           for split, count in self.lines.items())
        return f"{splits}; {self.size / 1e6:.1f} MB"


def part_path(path):
    """Return where the unfinished file of `path` lies."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(folder, f".{name}.part")


class _Journal:
    """Records appended to a file: the plan, then one for each line of the sources.

    A record is its lengths and checksum, JSON, and pixels. What a stop left of the last one is
    cut off when the file is opened again.
    """

    MAGIC = b"ocr pack 1\n"
    _HEAD = struct.Struct("<IQI")

    def __init__(self, path, stream):
        self.path, self._stream = path, stream
        #: {split: lines of the source gone through}; {split: lines kept}
        self.positions, self.lines = {}, {}

    @classmethod
    @contextmanager
    def open(cls, path, plan, say):
        """Yield the journal at `path`, a new one or, of the same plan, the one found there."""
        with open(path, "a+b") as stream:
            _lock(path, stream)
            journal = cls(path, stream)
            found = journal._restore()
            if found is None:
                if stream.tell():
                    say(f"{path}: holds no line yet; beginning")
                stream.truncate(0)
                stream.write(cls.MAGIC)
                journal.append({"plan": plan})
                stream.flush()
            elif found != plan:
                raise DataError(f"{path}: a stopped run with other data, splits or settings; "
                                "remove it, or repeat the command as it was")
            else:
                say(f"{path}: going on after {sum(journal.lines.values())} lines")
            yield journal

    def _restore(self):
        """Cut off what is not whole; returns the plan, or None."""
        plan, whole = None, 0
        for meta, _, end in self.records():
            whole = end
            if plan is None:
                plan = meta.get("plan")
            else:
                self._count(meta)
        self._stream.seek(0, os.SEEK_END)
        if plan is not None:
            self._stream.truncate(whole)
        return plan

    def _count(self, meta):
        split = meta["split"]
        self.positions[split] = meta["position"]
        self.lines[split] = self.lines.get(split, 0) + ("line" in meta)

    def append(self, meta, pixels=b""):
        """Add a record; it is safe from a kill after the next `flush`."""
        text = json.dumps(meta).encode()
        crc = zlib.crc32(pixels, zlib.crc32(text))
        self._stream.write(self._HEAD.pack(len(text), len(pixels), crc) + text)
        self._stream.write(pixels)
        if "split" in meta:
            self._count(meta)

    def flush(self):
        self._stream.flush()

    def records(self):
        """Yield (JSON value, pixels, where the record ends) of all whole records."""
        self._stream.seek(0)
        if self._stream.read(len(self.MAGIC)) != self.MAGIC:
            return
        size = os.fstat(self._stream.fileno()).st_size
        end = len(self.MAGIC)
        while True:
            head = self._stream.read(self._HEAD.size)
            if len(head) < self._HEAD.size:
                return
            text_length, pixel_length, crc = self._HEAD.unpack(head)
            end += len(head) + text_length + pixel_length
            if end > size:
                return
            text, pixels = self._stream.read(text_length), self._stream.read(pixel_length)
            if zlib.crc32(pixels, zlib.crc32(text)) != crc:
                return
            yield json.loads(text), pixels, end


def _lock(path, stream):
    """Raise `DataError` when another process writes to the open file."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DataError(f"{path}: in use by another process") from None
    except OSError:  # a drive without locks
        pass


def _encodable(text):
    """Return `text` with what UTF-8 cannot hold escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _plain(value):
    return value.item() if isinstance(value, np.generic) else str(value)


class _Reader:
    """Turns a dataset's samples into records."""

    def __init__(self, dataset, settings):
        self.dataset, self.settings = dataset, settings
        folders = {os.path.dirname(os.path.abspath(s.path)) for s in dataset.samples if s.path}
        try:
            self._folder = os.path.commonpath(folders) if folders else None
        except ValueError:  # on several drives
            self._folder = None

    def read(self, index):
        """Return ({"line": strings and size, "skips": new skips}, pixels) of sample `index`."""
        sample = self.dataset[index]
        report, before = self.dataset.report, len(self.dataset.report)
        record, pixels = {}, b""
        try:
            grey = self.settings.apply(self.dataset.image(index))
        except DataError as error:
            report.add(sample.id, "unreadable image", str(error))
        else:
            extra = json.dumps(sample.extra, ensure_ascii=False, default=_plain)
            strings = (sample.id, sample.text, sample.writer or "", self._name(sample.path), extra)
            # Half a surrogate pair has no place in UTF-8, a NUL none in HDF5's strings.
            if any("\0" in s or s != _encodable(s) for s in strings):
                report.add(sample.id, "cannot be stored", f"no UTF-8 text: {strings!r}")
            else:
                record["line"] = [*strings, *grey.shape]
                pixels = grey.tobytes()
        if len(report) > before:
            record["skips"] = [dataclasses.asdict(skip) for skip in report.skips[before:]]
        return record, pixels

    def _name(self, path):
        if not path:
            return ""
        name = (os.path.basename(path) if self._folder is None
                else os.path.relpath(os.path.abspath(path), self._folder))
        return _encodable(name.replace(os.sep, "/"))


class _Group:
    """One split's group of the HDF5 file, written in blocks of lines."""

    def __init__(self, h5py, file, split, dataset, settings):
        self._group = group = file.create_group(split)
        how = {"none": {}, "lzf": {"compression": "lzf"},
               "gzip": {"compression": "gzip", "compression_opts": 1}}[settings.compression]
        group.create_dataset("pixels", (0,), np.uint8, maxshape=(None,),
                             chunks=(_PIXEL_CHUNK,), **how)
        for name, kind in _NUMBERS.items():
            group.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(_ROW_CHUNK,))
        for name in (*_STRINGS, "skips"):
            group.create_dataset(name, (0,), h5py.string_dtype(), maxshape=(None,),
                                 chunks=(_ROW_CHUNK,))
        variant = settings.variant()
        group.attrs["name"] = dataset.name + (f" [{variant}]" if variant else "")
        group.attrs["split"] = dataset.split
        self._end = 0
        self._waiting = {name: [] for name in ("pixels", *_NUMBERS, *_STRINGS, "skips")}

    def add(self, record, pixels):
        waiting = self._waiting
        waiting["skips"] += [json.dumps(skip) for skip in record.get("skips", ())]
        if "line" not in record:
            return
        *strings, height, width = record["line"]
        values = (self._end, height, width, zlib.crc32(pixels), *strings)
        for name, value in zip((*_NUMBERS, *_STRINGS), values):
            waiting[name].append(value)
        waiting["pixels"].append(np.frombuffer(pixels, np.uint8))
        self._end += len(pixels)
        if self._end - waiting["offsets"][0] >= _BLOCK_BYTES:
            self.write()

    def write(self):
        """Write what waits."""
        for name, values in self._waiting.items():
            if values:
                values = np.concatenate(values) if name == "pixels" else values
                dataset = self._group[name]
                start = len(dataset)
                dataset.resize((start + len(values),))
                dataset[start:] = values
            self._waiting[name] = []

    def finish(self):
        """Write the rest and the counts."""
        self.write()
        self._group.attrs["lines"] = len(self._group["ids"])
        self._group.attrs["skipped"] = len(self._group["skips"])


def _fingerprint(datasets):
    """Return a hash of all that the stored lines follow from."""
    digest = hashlib.sha256()
    for split, dataset in datasets.items():
        for index, sample in enumerate(dataset.samples):
            key = (split, sample.id, sample.text, sample.writer, dataset.image_key(index))
            digest.update(repr(key).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def pack_lines(path, datasets, alphabet, settings=PackSettings(), origin=None, resume=False,
               say=None, progress=True):
    """Write splits into one HDF5 file, which appears under its name when it is whole.

    Until then lines are kept, uncompressed, at `part_path`; after a stop, a kill included,
    ``resume=True`` goes on after the last one. SIGINT and SIGTERM keep the line being read.

    Parameters
    ----------
    path : str
        A file of this function may stand there (it is replaced), no other.
    datasets : dict of str -> LineDataset
        Splits by the name they get in the file: "train", "validation", "test".
    alphabet : Alphabet
        The experiment's; stored, and compared when the file is opened with another.
    settings : PackSettings
    origin : dict, optional
        Stored with the settings: where the lines come from (JSON-ready).
    resume : bool
        Go on with a stopped run; begin where there is none.
    say : callable, optional
        Takes one line of news.
    progress : bool
        Show a progress bar on a terminal.

    Returns
    -------
    Packed

    Raises
    ------
    ConfigError
        h5py is not installed.
    DataError
        Another file stands at `path`; a stopped run is there and `resume` is not asked for, or
        it is of other data or settings; a file cannot be written; or, where a dataset's report
        is fatal, a line cannot be stored.
    Interrupted
        A signal came; all lines read so far are kept.
    """
    h5py = _h5py()
    path, part = os.fspath(path), part_path(path)
    say = say or (lambda text: None)
    if os.path.lexists(path) and not _is_ours(path):
        raise DataError(f"{path}: is there and no file of ocr pack; not overwritten")
    if os.path.lexists(part) and not resume:
        raise DataError(f"{part}: a stopped run; go on with --resume, or remove it")
    plan = {"settings": dataclasses.asdict(settings), "splits": list(datasets),
            "alphabet": alphabet.to_dict(), "lines": _fingerprint(datasets)}
    try:
        os.makedirs(os.path.dirname(part), exist_ok=True)
        with _Journal.open(part, plan, say) as journal:
            with collect_signals() as received:
                for split, dataset in datasets.items():
                    _read_split(journal, split, dataset, settings, received, progress)
            root = {"format": FORMAT, "version": VERSION,
                    "alphabet": "".join(alphabet.characters),
                    "settings": json.dumps({**plan["settings"], "origin": origin},
                                           ensure_ascii=False)}
            packed = _assemble(h5py, journal, path, datasets, settings, root, progress)
            os.unlink(part)
    except DataError:
        raise
    except (OSError, RuntimeError) as error:  # h5py knows a full disk as either
        raise DataError(f"{path}: cannot be written ({error})") from None
    return packed


def _is_ours(path):
    try:
        with _h5py().File(path, "r") as file:
            return file.attrs.get("format") == FORMAT
    except _DAMAGE:
        return False


def _read_split(journal, split, dataset, settings, received, progress):
    """Append the lines of `dataset` that the journal does not hold yet."""
    from tqdm import tqdm

    if split not in journal.positions:
        journal.append({"split": split, "position": 0,
                        "skips": [dataclasses.asdict(skip) for skip in dataset.report.skips]})
    reader, first = _Reader(dataset, settings), journal.positions[split]
    with tqdm(total=len(dataset), initial=first, desc=f"reading {split}", unit="line",
              disable=None if progress else True) as bar:
        for index in range(first, len(dataset)):
            record, pixels = reader.read(index)
            journal.append({"split": split, "position": index + 1, **record}, pixels)
            bar.update()
            if received or index % _FLUSH_LINES == 0:
                journal.flush()
            if received:
                raise Interrupted(received[0], journal.path)


def _assemble(h5py, journal, path, datasets, settings, root, progress):
    """Make the HDF5 file of a whole journal and put it in its place; returns `Packed`."""
    from tqdm import tqdm

    journal.flush()
    temporary = f"{journal.path}.hdf5"
    try:
        with h5py.File(temporary, "w") as file:
            file.attrs.update(root)
            groups = {split: _Group(h5py, file, split, dataset, settings)
                      for split, dataset in datasets.items()}
            with tqdm(total=sum(journal.lines.values()), desc=f"writing {os.path.basename(path)}",
                      unit="line", disable=None if progress else True) as bar:
                for record, pixels, _ in journal.records():
                    if "split" in record:
                        groups[record["split"]].add(record, pixels)
                        bar.update("line" in record)
            for group in groups.values():
                group.finish()
            counts = {split: [int(file[split].attrs[name]) for name in ("lines", "skipped")]
                      for split in datasets}
        if {split: lines for split, (lines, _) in counts.items()} != journal.lines:
            raise DataError(f"{journal.path}: changed while it was read")
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        size = os.path.getsize(temporary)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
    return Packed({split: lines for split, (lines, _) in counts.items()},
                  {split: skips for split, (_, skips) in counts.items()}, size)


# -- reading ----------------------------------------------------------------------------------

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
    h5py = _h5py()
    if not os.path.isfile(path):
        raise MissingDataError(f"{path}: no such HDF5 file; ocr pack writes one")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path}: not an HDF5 file, or cut short ({error})") from None


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
        except _DAMAGE as error:
            raise DataError(f"{self._handle.path}, {self._handle.group}, line "
                            f"{self.samples[index].id}: cannot be read ({error})") from None

    def image_key(self, index):
        """Return the file's path, size and time, and the line's place in it."""
        return f"{self._handle.key()}:{self._row(index)}"


class PackedLines(_FileLines):
    """Lines packed by `pack_lines`; made by `open_hdf5`.

    ``sample.path`` is None; ``sample.extra["file"]`` names the image file the line came from.
    """

    def __init__(self, name, split, samples, report, handle, table):
        super().__init__(name, split, samples, report, handle)
        self._table = table

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


def open_hdf5(path, split="train", layout="auto", alphabet=None, on_error="skip",
              check_images=False, stream=False):
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
    alphabet : Alphabet or str, optional
        The alphabet the file must have been packed with (characters in any order): a preset
        or a file when a string. Lines with characters outside it are skipped (reported) or
        fatal.
    on_error : {"skip", "raise"}
        What becomes of an empty transcript or a character outside the alphabet. What had been
        left out when the file was packed stands in the report in either case.
    check_images : bool
        Read every image now, so that broken ones are reported at opening.
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
        Not HDF5, cut short, of another format or version, its counts disagree, no such split,
        or packed with another alphabet; the message names the file.
    ConfigError
        h5py is not installed, or an unknown layout.
    """
    path = os.fspath(path)
    if layout not in LAYOUTS:
        raise ConfigError(f"unknown HDF5 layout {layout!r}; known: {', '.join(LAYOUTS)}")
    if isinstance(alphabet, str):
        alphabet = (Alphabet.preset(alphabet) if alphabet in PRESETS
                    else Alphabet.from_file(alphabet))
    report = SkipReport(on_error)
    with _open(path) as file:
        try:
            if layout == "packed" or (layout == "auto" and "format" in file.attrs):
                dataset = _open_packed(path, file, split, alphabet, report)
            else:
                dataset = _open_flor(path, file, split, layout, alphabet, report)
        except DataError:
            raise
        except _DAMAGE as error:
            raise DataError(f"{path}: damaged ({error})") from None
    dataset.stream = stream
    return dataset.drop_unreadable() if check_images else dataset


def _group(path, file, split, known):
    if split not in known:
        raise DataError(f"{path}: holds no split {split!r}; found: "
                        f"{', '.join(sorted(known)) or 'none'}")
    return file[known[split]]


def _open_packed(path, file, split, alphabet, report):
    if file.attrs.get("format") != FORMAT:
        raise DataError(f"{path}: no file of ocr pack")
    if file.attrs["version"] != VERSION:
        raise DataError(f"{path}: of format version {file.attrs['version']}; "
                        f"this library reads {VERSION}")
    if alphabet is not None:
        _check_alphabet(path, set(file.attrs["alphabet"]), set(alphabet.characters))
    group = _group(path, file, split, {name: name for name in file})
    lines, skips = int(group.attrs["lines"]), int(group.attrs["skipped"])
    for name in (*_NUMBERS, *_STRINGS, "skips"):
        count, what = (skips, "skips") if name == "skips" else (lines, "lines")
        if len(group[name]) != count:
            raise DataError(f"{path}: {split} counts {count} {what} but holds "
                            f"{len(group[name])} {name}")
    table = [group[name][:] for name in _NUMBERS]
    offsets, heights, widths, _ = table
    ends = np.cumsum(heights.astype(np.int64) * widths)
    if (lines and min(heights.min(), widths.min()) < 1) or (
            not np.array_equal(offsets[1:], ends[:-1])) or offsets[:1].any() or (
            len(group["pixels"]) != (ends[-1] if lines else 0)):
        raise DataError(f"{path}: {split}: sizes and places of the images disagree")
    report.skips += [Skip(**json.loads(skip)) for skip in group["skips"].asstr()[:]]
    samples = [LineSample(id, text, None, writer or None,
                          {**({"file": name} if name else {}), **json.loads(extra)})
               for id, text, writer, name, extra in zip(
                   *(group[name].asstr()[:] for name in ("ids", "texts", "writers", "files",
                                                         "extras")))]
    dataset = PackedLines(group.attrs["name"], group.attrs["split"], samples, report,
                          _Handle(path, split), table)
    return _drop_unusable(path, dataset, alphabet)


def _check_alphabet(path, stored, asked):
    if stored == asked:
        return

    def some(characters):
        text = " ".join(f"{c!r}" for c in sorted(characters)[:8])
        return (text + " ..." if len(characters) > 8 else text) or "none"

    raise DataError(f"{path}: packed with another alphabet ({len(stored)} characters) than asked "
                    f"for ({len(asked)}): only in the file: {some(stored - asked)}; only asked "
                    f"for: {some(asked - stored)}")


def _open_flor(path, file, split, layout, alphabet, report):
    known = {ours: theirs for ours, theirs in FLOR_SPLITS.items()
             if theirs in file and {"dt", "gt"} <= set(file[theirs])}
    if not known:
        raise DataError(f"{path}: neither a file of ocr pack nor one of groups train, valid, test "
                        f"with dt and gt; found: {', '.join(sorted(file)) or 'nothing'}")
    group = _group(path, file, split, known)
    images, texts = group["dt"], group["gt"][:]
    if images.ndim != 3 or images.dtype != np.uint8 or not all(images.shape[1:]):
        raise DataError(f"{path}: {group.name}/dt is {images.dtype} of shape {images.shape}; "
                        "expected uint8, images x width x height")
    if texts.shape != images.shape[:1]:
        raise DataError(f"{path}: {group.name} holds {len(images)} images and "
                        f"{len(texts)} texts")
    columns_first = layout == "flor" or (layout == "auto" and images.shape[1] > images.shape[2])
    samples = []
    for row, text in enumerate(texts):
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
    return _drop_unusable(path, dataset, alphabet)


def _drop_unusable(path, dataset, alphabet):
    """Leave out, and report, lines without text or with characters outside the alphabet."""
    samples, dataset.samples = dataset.samples, []
    for sample in samples:
        unknown = [] if alphabet is None else alphabet.unknown(sample.text.replace("\n", ""))
        if not sample.text.strip():
            dataset.report.add(sample.id, "empty transcript", f"{path}, {dataset.split}")
        elif unknown:
            dataset.report.add(sample.id, "outside the alphabet", f"{path}: "
                               + " ".join(f"{c!r} (U+{ord(c):04X})" for c in unknown))
        else:
            dataset.samples.append(sample)
    return dataset
