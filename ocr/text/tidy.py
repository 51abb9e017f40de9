"""The one form that truths and readings are compared in."""

import re
import unicodedata

__all__ = ["tidy"]

_SPACES = re.compile(" {2,}")


def tidy(text: str) -> str:
    """Return `text` in Unicode NFC, with single spaces and none at its ends, as decoders read.

    Whitespace other than U+0020 stays: an alphabet may have it beside the space.

    Examples
    --------
    >>> tidy("une  ligne ")
    'une ligne'
    """
    return _SPACES.sub(" ", unicodedata.normalize("NFC", text)).strip(" ")
