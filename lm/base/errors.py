"""Every error the library raises on purpose, and how messages are worded for one line.

All derive from :class:`OCRError`; the command line prints their message as one
line and exits with status 2. Each also derives from the built-in exception a
caller would expect (``ValueError``, ``KeyError``, ...), so that plain ``except``
clauses keep working.
"""

import difflib
import re
import unicodedata
from collections.abc import Iterable

__all__ = [
    "OCRError", "ConfigError", "UnknownNameError", "DataError", "MissingDataError",
    "AlphabetError", "ModelError", "CheckpointError", "DeviceError", "TrainingError",
    "DecodingError", "LanguageModelError", "ExportError", "one_line", "did_you_mean",
]


class OCRError(Exception):
    """Base of every deliberate error of ``ocr`` and ``lm``."""


class ConfigError(OCRError, ValueError):
    """A setting is unknown, of the wrong type or outside its range."""


class UnknownNameError(OCRError, KeyError):
    """A name is not in a registry; the message lists the known ones."""

    # KeyError prints its argument's repr; we want the sentence itself.
    def __str__(self):
        return str(self.args[0]) if self.args else ""


class DataError(OCRError, ValueError):
    """A file, line, id or image of a data source is unusable."""


class MissingDataError(DataError, FileNotFoundError):
    """A file or folder that a data source needs is not there."""

    # FileNotFoundError would print errno fields.
    def __str__(self):
        return str(self.args[0]) if self.args else ""


class AlphabetError(OCRError, ValueError):
    """A text does not fit the alphabet, or an alphabet is malformed."""


class ModelError(OCRError, ValueError):
    """A network cannot be built, or its input or weights do not fit."""


class CheckpointError(OCRError, ValueError):
    """A checkpoint is missing, truncated or of another kind."""


class DeviceError(OCRError, RuntimeError):
    """A device was asked for that MXNet cannot use here."""


class TrainingError(OCRError, RuntimeError):
    """Training cannot go on (NaN loss, nothing to train on, ...)."""


class DecodingError(OCRError, ValueError):
    """Logits do not fit the decoder, or a decoder setting is wrong."""


class LanguageModelError(OCRError, ValueError):
    """A language model cannot be trained, read or used."""


class ExportError(OCRError, ValueError):
    """A network cannot be written in another format."""


#: Longest piece of a message that is shown whole, and longest message.
_PIECE, _WHOLE = 200, 1200
#: What stands in quotes (its apostrophes are within words), or a run without spaces.
_PIECES = re.compile(r"(?<!\w)'[^']*'(?!\w)|(?<!\w)\"[^\"]*\"(?!\w)|\S+")


def one_line(message: object) -> str:
    """Return a message as one line that a terminal can show.

    Control characters are written as escapes (``\\r``, ``\\x1b``); of a quoted text or a word
    longer than 200 characters, and of a message longer than 1,200, the middle is left out.

    >>> one_line("a\\tb: no such file")
    'a\\\\tb: no such file'
    """
    text = "".join(_escaped(c) for c in str(message).strip())
    return _shortened(_PIECES.sub(lambda found: _shortened(found.group(), _PIECE), text), _WHOLE)


def _escaped(character):
    # Control, format (direction of writing, too), surrogate; line and paragraph separators.
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character.encode("unicode_escape").decode("ascii")
    return character


def _shortened(text, most):
    if len(text) <= most:
        return text
    return f"{text[:most * 3 // 4]}...({len(text):,} characters)...{text[-(most // 8):]}"


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the nearest of the known names, or ``""``."""
    near = difflib.get_close_matches(str(name)[:100], [str(k) for k in known], 1, 0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""
