"""Writes the splits of an experiment into one HDF5 file, which `ocr.data.hdf5` reads.

Lines are first appended to a plain file (`ocr.data.journal`), from which the HDF5 file is made
at the end; a stopped run goes on after the last line of it.
"""

import dataclasses
import hashlib
import json
import os
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lm.base.errors import ConfigError, DataError
from lm.base.settings import Settings
from lm.base.signals import Interrupted, collect_signals

from ..image.preprocess import RAW, SCALED, PreprocessConfig, clean_line, prepare_line
from .hdf5 import (
    DAMAGE,
    FLOR_SPLITS,
    FORMAT,
    NUMBERS,
    STRINGS,
    VERSION,
    checksum,
    import_h5py,
    pack_head,
)
from .journal import Journal, part_path

__all__ = ["PackSettings", "Packed", "pack_lines"]

#: Tells a file in Flor's layout that was written here.
PRODUCER = "ocr pack"
# h5py's options for each compression.
_FILTERS = {"none": {}, "lzf": {"compression": "lzf"},
            "gzip": {"compression": "gzip", "compression_opts": 1}}

# Small chunks: a line is read alone, and no more than needed is decompressed for it.
_PIXEL_CHUNK, _ROW_CHUNK = 1 << 16, 1024
# Bytes of lines written at once.
_BLOCK_BYTES = 1 << 22
# Lines of the source between flushes: what a kill may cost.
_FLUSH_LINES = 16


@dataclass(frozen=True)
class PackSettings(Settings):
    """How lines are stored.

    Attributes
    ----------
    done : {"", "cleaned", "scaled"}
        How much of the preparing is done before: nothing; what makes the paper even and letters
        upright (`ocr.image.preprocess.clean_line`); all of it, to the network's height.
    preprocess : PreprocessConfig
        How they are prepared, so far as that is done; training and reading must then ask for the
        same.
    compression : {"none", "lzf", "gzip"}
        Without any, reading is four times as fast as with lzf and the file three times as
        large. lzf is known to h5py alone; gzip (level 1) is the smallest and the slowest.
    layout : {"packed", "flor"}
        "flor" is that of Flor's system: boxes and transcripts alone, without ids, writers or
        checksums.
    """

    done: Literal["", "cleaned", "scaled"] = RAW
    preprocess: PreprocessConfig = PreprocessConfig()
    compression: Literal["none", "lzf", "gzip"] = "none"
    layout: Literal["packed", "flor"] = "packed"

    def __post_init__(self):
        super().__post_init__()
        if self.layout == "flor" and (self.done != SCALED or self.preprocess.width is None):
            raise ConfigError("pack: Flor's layout has boxes of one size; give width and height")

    def shaping(self):
        """Return the settings that the stored images follow from; none for those as they are."""
        return self.preprocess.shaping(self.done) if self.done else {}

    def variant(self):
        """Return what was done to the images in a few words; "" for nothing."""
        config = self.preprocess
        size = self.done == SCALED and (f"{config.width}x{config.height}" if config.width
                                        else f"height {config.height}")
        parts = self.done and (config.cleaning == "even" and "even light",
                               config.cleaning == "auto" and "cleaned",
                               config.deslant and "deslanted", size)
        return ", ".join(part for part in parts if part)

    def apply(self, grey, done=RAW):
        """Return the uint8 image as it is to be stored; `done` says what it has behind it."""
        if done == self.done:
            return grey
        if self.done == SCALED:
            # As light and dark as images are.
            return 255 - prepare_line(grey, self.preprocess, done)
        return clean_line(grey, self.preprocess)


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
        sample = self.dataset.samples[index]
        report, before = self.dataset.report, len(self.dataset.report)
        record, pixels = {}, b""
        try:
            grey = self.settings.apply(self.dataset.image(index), self.dataset.done)
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
        group.create_dataset("pixels", (0,), np.uint8, maxshape=(None,),
                             chunks=(_PIXEL_CHUNK,), **_FILTERS[settings.compression])
        for name, kind in NUMBERS.items():
            group.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(_ROW_CHUNK,))
        for name in (*STRINGS, "skips"):
            group.create_dataset(name, (0,), h5py.string_dtype(), maxshape=(None,),
                                 chunks=(_ROW_CHUNK,))
        variant = settings.variant()
        group.attrs["name"] = dataset.name + (f" [{variant}]" if variant else "")
        group.attrs["split"] = dataset.split
        self._end = 0
        self._waiting = {name: [] for name in ("pixels", *NUMBERS, *STRINGS, "skips")}

    def add(self, record, pixels):
        waiting = self._waiting
        waiting["skips"] += [json.dumps(skip) for skip in record.get("skips", ())]
        if "line" not in record:
            return
        *strings, height, width = record["line"]
        values = (self._end, height, width, zlib.crc32(pixels), *strings)
        for name, value in zip((*NUMBERS, *STRINGS), values):
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
                dataset.resize(start + len(values), axis=0)
                dataset[start:] = values
            self._waiting[name] = []

    def finish(self):
        """Write the rest, counts and checksum; returns the numbers of lines and of skipped ones."""
        self.write()
        group = self._group
        group.attrs["lines"], group.attrs["skipped"] = len(group["ids"]), len(group["skips"])
        group.attrs["crc32"] = checksum(pack_head(group.file.attrs, group.attrs), (
            group[name][:] for name in (*NUMBERS, *STRINGS, "skips")))
        return len(group["ids"]), len(group["skips"])


class _FlorGroup(_Group):
    """One split's group as Flor's system has it: ``dt``, images x width x height, and ``gt``."""

    def __init__(self, h5py, file, split, dataset, settings):
        self._group = group = file.create_group(FLOR_SPLITS[split])
        size = (settings.preprocess.width, settings.preprocess.height)
        group.create_dataset("dt", (0, *size), np.uint8, maxshape=(None, *size),
                             chunks=(1, *size), **_FILTERS[settings.compression])
        group.create_dataset("gt", (0,), h5py.string_dtype(), maxshape=(None,),
                             chunks=(_ROW_CHUNK,))
        self._skipped = 0
        self._waiting = {"dt": [], "gt": []}

    def add(self, record, pixels):
        self._skipped += len(record.get("skips", ()))
        if "line" not in record:
            return
        _, text, *_, height, width = record["line"]
        self._waiting["dt"].append(np.frombuffer(pixels, np.uint8).reshape(height, width).T)
        self._waiting["gt"].append(text)
        if len(self._waiting["dt"]) * len(pixels) >= _BLOCK_BYTES:
            self.write()

    def finish(self):
        """Write the rest; returns the numbers of lines and of skipped ones."""
        self.write()
        return len(self._group["gt"]), self._skipped


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
        h5py is not installed, or the images were prepared in another way before.
    DataError
        Another file stands at `path`; a stopped run is there and `resume` is not asked for, or
        it is of other data or settings; a file cannot be written; or, where a dataset's report
        is fatal, a line cannot be stored.
    Interrupted
        A signal came; all lines read so far are kept.
    """
    h5py = import_h5py()
    for dataset in datasets.values():
        dataset.check_preprocess(settings.preprocess)
        if dataset.done not in (RAW, settings.done):
            raise ConfigError(f"{dataset.name}: its images are {dataset.done} already and cannot "
                              f"be stored as {settings.done or 'they were before'}")
    path, part = os.fspath(path), part_path(path)
    say = say or (lambda text: None)
    if os.path.lexists(path) and not (os.path.isfile(path) and _is_ours(path)):
        raise DataError(f"{path}: is there and no file of ocr pack; not overwritten")
    if os.path.lexists(part) and not resume:
        raise DataError(f"{part}: a stopped run; go on with --resume, or remove it")
    stored = {"done": settings.done, "preprocess": settings.shaping(),
              "compression": settings.compression, "layout": settings.layout}
    plan = {"settings": stored, "splits": list(datasets),
            "alphabet": alphabet.to_dict(), "lines": _fingerprint(datasets)}
    try:
        os.makedirs(os.path.dirname(part), exist_ok=True)
        with Journal.open(part, plan, say) as journal:
            with collect_signals() as received:
                for split, dataset in datasets.items():
                    _read_split(journal, split, dataset, settings, received, progress)
            root = {"alphabet": "".join(alphabet.characters),
                    "settings": json.dumps({**stored, "origin": origin}, ensure_ascii=False),
                    **({"producer": PRODUCER} if settings.layout == "flor"
                       else {"format": FORMAT, "version": VERSION})}
            packed = _assemble(h5py, journal, path, datasets, settings, root, progress)
            os.unlink(part)
    except DataError:
        raise
    except (OSError, RuntimeError) as error:  # h5py knows a full disk as either
        raise DataError(f"{path}: cannot be written ({error})") from None
    return packed


def _is_ours(path):
    try:
        with import_h5py().File(path, "r") as file:
            return file.attrs.get("format") == FORMAT or file.attrs.get("producer") == PRODUCER
    except DAMAGE:
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
            kind = _FlorGroup if settings.layout == "flor" else _Group
            groups = {split: kind(h5py, file, split, dataset, settings)
                      for split, dataset in datasets.items()}
            with tqdm(total=sum(journal.lines.values()), desc=f"writing {os.path.basename(path)}",
                      unit="line", disable=None if progress else True) as bar:
                for record, pixels, _ in journal.records():
                    if "split" in record:
                        groups[record["split"]].add(record, pixels)
                        bar.update("line" in record)
            counts = {split: group.finish() for split, group in groups.items()}
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
