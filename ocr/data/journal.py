"""The unfinished file of ``ocr pack``: records appended to a plain file; a kill loses little.

HDF5 does not survive a kill while it writes.
"""

import json
import os
import struct
import zlib
from contextlib import contextmanager

from lm.base.errors import DataError

__all__ = ["Journal", "part_path"]


def part_path(path):
    """Return where the unfinished file of `path` lies."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(folder, f".{name}.part")


class Journal:
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
