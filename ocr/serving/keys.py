"""Who may use the service, and how often: API keys, of which a file holds hashes alone."""

import hashlib
import hmac
import logging
import math
import os
import secrets
import time

from lm.base.errors import ConfigError, MissingDataError, OCRError
from lm.base.files import read_text, write_text

from .errors import Busy, Unauthorised

__all__ = ["Keys", "add_key", "read_keys"]

log = logging.getLogger("ocr.serving")

#: Most clients whose requests are counted at a time.
_MOST_CLIENTS = 10_000


def read_keys(path):
    """Read a file of keys.

    Parameters
    ----------
    path : str
        UTF-8; a key a line: its name, the SHA-256 of the key in hexadecimal, and maybe how many
        requests a minute it may send (0 for no limit). ``#`` begins a comment. Keys are random
        and long (see `add_key`): nobody finds them by trying, so that a plain hash is enough.

    Returns
    -------
    dict
        Name -> (hash as bytes, requests a minute or None).

    Raises
    ------
    ConfigError
        A line is something else, or a name stands twice.
    """
    keys = {}
    for number, line in enumerate(read_text(
            path, MissingDataError(f"{path}: no such file of keys")).splitlines(), 1):
        name, *rest = line.partition("#")[0].split() or [""]
        if not name:
            continue
        try:
            digest = bytes.fromhex(rest[0])
            rate = float(rest[1]) if rest[1:] else None
            good = len(digest) == 32 and len(rest) < 3 and (rate is None or 0 <= rate < math.inf)
        except (ValueError, IndexError):
            good = False
        if not good:
            raise ConfigError(f"{path}, line {number}: expected NAME SHA256 [REQUESTS A MINUTE]")
        if name in keys:
            raise ConfigError(f"{path}, line {number}: the name {name!r} stands twice")
        keys[name] = (digest, rate)
    return keys


def add_key(path, name):
    """Make a key, write its hash to a file and return it; it is not to be had again.

    Raises
    ------
    ConfigError
        The name has spaces or stands there already.
    """
    if not name.isprintable() or len(name.split()) != 1 or "#" in name:
        raise ConfigError(f"{name!r} is no name for a key: no spaces, no #")
    exists = os.path.exists(path)
    if exists and name in read_keys(path):
        raise ConfigError(f"{path}: there is a key called {name!r} already")
    text = read_text(path, MissingDataError(path)) if exists else ""
    if text and not text.endswith("\n"):
        text += "\n"
    key = secrets.token_urlsafe(32)
    write_text(path, f"{text}{name} {_hash(key).hex()}\n")
    return key


def _hash(key):
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


class Keys:
    """Lets requests pass.

    Parameters
    ----------
    path : str or None
        A file of keys, looked at again when it changes; None lets everyone pass.
    rate : float
        Requests a minute of each key, or of each address where there are no keys; 0 for no
        limit. As many may come at once.

    Raises
    ------
    ConfigError
        As for `read_keys`.
    """

    def __init__(self, path, rate=0.0):
        self._path, self._rate = path, rate
        self._mark, self._keys = None, {}
        self._buckets = {}
        if path is not None:
            self._keys, self._mark = read_keys(path), os.stat(path).st_mtime_ns

    def check(self, key, address, counted=True):
        """Return the name of the client, or None where no keys are asked for.

        Parameters
        ----------
        key : str or None
            What the client sent.
        address : str
        counted : bool
            Whether the request counts towards the limit.

        Raises
        ------
        Unauthorised
        Busy
            Too many requests.
        """
        name, rate = None, self._rate
        if self._path is not None:
            self._refresh()
            if not key:
                raise Unauthorised("an API key is needed: X-API-Key, or Authorization: Bearer")
            given = _hash(key)
            # All are compared, so that the time tells nothing.
            found = [n for n, (digest, _) in self._keys.items()
                     if hmac.compare_digest(digest, given)]
            if not found:
                raise Unauthorised("the API key is not known")
            name = found[0]
            own = self._keys[name][1]
            rate = rate if own is None else own
        if counted and rate:
            self._count(name or address, rate)
        return name

    def _refresh(self):
        try:
            mark = os.stat(self._path).st_mtime_ns
            if mark != self._mark:
                self._mark = mark
                self._keys = read_keys(self._path)
                log.info("%s: %d keys", self._path, len(self._keys))
        except (OSError, OCRError) as error:
            # As with models: what was known stays until the file is whole again.
            if self._mark is not None:
                self._mark = None
                log.error("keys: %s; those known before stay", error)

    def _count(self, client, rate):
        now, most = time.monotonic(), max(rate, 1.0)
        left, then = self._buckets.pop(client, (most, now))
        left = min(most, left + (now - then) * rate / 60)
        # The latest stand last; the first has been away for longest.
        self._buckets[client] = (left - 1 if left >= 1 else left, now)
        if len(self._buckets) > _MOST_CLIENTS:
            del self._buckets[next(iter(self._buckets))]
        if left < 1:
            raise Busy(f"more than {rate:g} requests a minute; come back later",
                       math.ceil((1 - left) * 60 / rate))
