"""How many requests are in flight, kept where a kill does not reach it."""

import mmap
import os
import struct

from lm.base.errors import ConfigError

__all__ = ["Tally"]

_FORMAT = struct.Struct("<8sQ")
_MAGIC = b"ocrserve"


class Tally:
    """A number in a file that outlives the process.

    Parameters
    ----------
    path : str or None
        Made when missing; None keeps nothing.

    Attributes
    ----------
    lost : int
        The number at which the last run left it: 0 unless it was killed.

    Raises
    ------
    ConfigError
        The file cannot be written, or is another kind of file.
    """

    def __init__(self, path):
        self.lost, self._map = 0, None
        if path is None:
            return
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                size = os.fstat(handle).st_size
                if size == 0:
                    os.write(handle, _FORMAT.pack(_MAGIC, 0))
                elif size != _FORMAT.size:
                    raise ConfigError(f"{path}: not a state file of ocr serve")
                self._map = mmap.mmap(handle, _FORMAT.size)
            finally:
                os.close(handle)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None
        magic, self.lost = _FORMAT.unpack(self._map[:])
        if magic != _MAGIC:
            raise ConfigError(f"{path}: not a state file of ocr serve")
        self.set(0)

    def set(self, number):
        """Write down the number of requests in flight."""
        if self._map is not None:
            self._map[:] = _FORMAT.pack(_MAGIC, number)

    def close(self):
        """Leave 0: an orderly end."""
        if self._map is not None:
            self.set(0)
            self._map.close()
            self._map = None
