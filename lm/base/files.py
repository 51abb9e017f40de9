"""Text files: read with clear errors; written atomically, so that nobody sees half a file."""

import json
import os
import stat
import tempfile
from contextlib import contextmanager

from .errors import DataError

__all__ = ["atomic_path", "check_regular", "read_text", "write_text", "write_json"]


@contextmanager
def atomic_path(path):
    """Yield a temporary path in `path`'s folder; rename it onto `path` on success.

    The folder is made when missing. On an exception the temporary file is
    removed and an existing `path` is left as it was.
    """
    path = os.fspath(path)
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(
        dir=folder, prefix=f".{os.path.basename(path)}.", suffix=".tmp")
    os.close(handle)
    # mkstemp makes files private; give the usual permissions instead.
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(temporary, 0o666 & ~umask)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def check_regular(path):
    """Raise `DataError` where `path` is a pipe, a device or a socket: reading may never end.

    What is not there passes, and so does a folder: opening it says so.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(f"{path}: is a pipe or a device; expected a file")


def read_text(path, missing):
    """Read a UTF-8 file, its line ends as they are; a byte order mark at the start is left out.

    Parameters
    ----------
    path : str
    missing : Exception
        Raised when there is no such file.

    Returns
    -------
    str

    Raises
    ------
    DataError
        It cannot be read, is no file, or is not UTF-8 (the line is named).
    """
    check_regular(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as source:
            return source.read()
    except FileNotFoundError:
        raise missing from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = error.object[:error.start].count(b"\n") + 1
        raise DataError(f"{path}, line {line}: not UTF-8 ({error.reason})") from None


def write_text(path, text):
    """Write `text` to `path` as UTF-8 with ``\\n`` line ends, atomically."""
    with atomic_path(path) as temporary:
        with open(temporary, "w", encoding="utf-8", newline="\n") as out:
            out.write(text)


def write_json(path, value):
    """Write `value` to `path` as indented UTF-8 JSON, atomically."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")
