"""Text files: read with clear errors; written atomically, so that nobody sees half a file."""

import contextlib
import functools
import json
import math
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterable
from typing import Any, NoReturn, Optional, Union

from .errors import ConfigError, DataError, MissingDataError
from .signals import TEMPORARY

__all__ = ["atomic_path", "check_apart", "check_regular", "check_writable", "read_text",
           "read_json", "parse_json", "write_text", "write_json"]

#: Seconds after which an unfinished file is taken for left behind.
_STALE = 3600


@contextlib.contextmanager
def atomic_path(path):
    """Yield a temporary path in `path`'s folder; rename it onto `path` on success.

    The folder is made when missing. On an exception the temporary file is
    removed and an existing `path` is left as it was. What a killed process left
    is removed by a later one, once it is old.
    """
    path = os.fspath(path)
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    name = os.path.basename(path)
    _remove_stale(folder, name)
    try:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.", suffix=".tmp")
    except OSError as error:
        error.filename = path
        raise
    os.close(handle)
    # mkstemp makes files private; give the usual permissions instead.
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(temporary, 0o666 & ~umask)
    TEMPORARY.add(temporary)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.filename == temporary:
            # Of the two names the reader knows one.
            error.filename, error.filename2 = path, None
        raise
    finally:
        TEMPORARY.discard(temporary)


def _remove_stale(folder, name):
    """Remove temporary files of `name` that nobody has written to for `_STALE` seconds."""
    for path in _stale_files(folder).pop(name, ()):
        with contextlib.suppress(OSError):  # another process was quicker
            os.unlink(path)


@functools.lru_cache(maxsize=64)
def _stale_files(folder):
    """Return {name of the target: its old temporary files}; a folder is looked at once."""
    found = {}
    for entry in os.scandir(folder):
        # mkstemp's own part is eight characters long.
        if match := re.fullmatch(r"\.(.+)\.[a-z0-9_]{8}\.tmp", entry.name):
            with contextlib.suppress(OSError):
                if time.time() - entry.stat().st_mtime > _STALE:
                    found.setdefault(match[1], []).append(entry.path)
    return found


def check_regular(path: Union[str, os.PathLike]) -> None:
    """Raise `DataError` where `path` is a pipe, a device or a socket: reading may never end.

    What is not there passes, and so does a folder: opening it says so.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(f"{path}: is a pipe or a device; expected a file")


def check_writable(path: Union[str, os.PathLike]) -> None:
    """Raise `ConfigError` where the file `path` could not be written: before work, not after it.

    Nothing is made. A folder that is missing counts as one that can be made.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        raise ConfigError(f"{path}: a folder; name a file to write")
    folder, name = os.path.split(os.path.abspath(path))
    try:
        # As long a name as atomic_path takes; a file on the way is no folder.
        os.lstat(os.path.join(folder, f".{name}.12345678.tmp"))
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", error)
        raise ConfigError(f"{path}: cannot be written ({reason})") from None
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"{path}: cannot be written ({folder} takes no files)")


def check_apart(outputs: Iterable[str], inputs: Iterable[str]) -> None:
    """Raise `ConfigError` where a file to write, or a link to it, is one that is read."""
    read = {os.path.realpath(path) for path in inputs}
    for path in outputs:
        if os.path.realpath(path) in read:
            raise ConfigError(f"{path}: the output would take the place of what it is made of; "
                              "give it another name")


def read_text(path: Union[str, os.PathLike], missing: Optional[Exception] = None) -> str:
    """Read a UTF-8 file, its line ends as they are; a byte order mark at the start is left out.

    Parameters
    ----------
    path : str
    missing : Exception, optional
        Raised when there is no such file; by default a `MissingDataError`.

    Returns
    -------
    str

    Raises
    ------
    DataError
        It cannot be read, is no regular file, or is not UTF-8 (the line is named).
    """
    check_regular(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as source:
            return source.read()
    except (FileNotFoundError, NotADirectoryError):
        raise missing or MissingDataError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        line = error.object[:error.start].count(b"\n") + 1
        raise DataError(f"{path}, line {line}: not UTF-8 ({error.reason})") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', error)})") from None


def parse_json(text: Union[str, bytes], where: str, kind: type = dict,
               error: type = DataError, finite: bool = True) -> Any:
    """Read JSON of which every key and number is what it seems.

    Parameters
    ----------
    text : str or bytes
    where : str
        File (and line), as named in the error.
    kind : type
        What it must hold: dict, list, or object for anything.
    error : type
        Class of the error.
    finite : bool
        Refuse NaN and infinity, which JSON has not and Python writes.

    Raises
    ------
    DataError
        Or `error`: not JSON, cut short, nested too deeply, a key twice in one object, NaN,
        infinity, a number of more than 300 digits, or not of `kind`.
    """
    def refuse(what: str) -> NoReturn:
        raise ValueError(what)

    def whole(digits: str) -> int:
        # Python 3.11 refuses 4,301 digits, earlier ones take their time.
        return int(digits) if len(digits) <= 300 else refuse(f"a number of {len(digits)} digits")

    def real(digits: str) -> float:
        value = float(digits)
        return value if math.isfinite(value) or not finite else refuse(f"the number {digits[:20]}")

    def unique(pairs: list) -> dict:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            refuse(f"the key {next(k for k in keys if keys.count(k) > 1)!r} twice")
        return found

    try:
        value = json.loads(text, parse_int=whole, parse_float=real, object_pairs_hook=unique,
                           parse_constant=real)
    except RecursionError:
        raise error(f"{where}: not JSON that can be read (nested too deeply)") from None
    except ValueError as problem:
        raise error(f"{where}: not JSON, or cut short ({problem})") from None
    if not isinstance(value, kind):
        name = "an object" if kind is dict else "a list" if kind is list else kind.__name__
        raise error(f"{where}: expected {name} of JSON, not {json.dumps(value)[:60]}")
    return value


def read_json(path: Union[str, os.PathLike], kind: type = dict,
              missing: Optional[Exception] = None, error: type = DataError,
              finite: bool = True) -> Any:
    """Read a JSON file; see `read_text` and `parse_json` for the parameters and errors."""
    return parse_json(read_text(path, missing), str(path), kind, error, finite)


def write_text(path, text):
    """Write `text` to `path` as UTF-8 with ``\\n`` line ends, atomically."""
    with atomic_path(path) as temporary:
        with open(temporary, "w", encoding="utf-8", newline="\n") as out:
            out.write(text)


def write_json(path, value):
    """Write `value` to `path` as indented UTF-8 JSON, atomically."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")
