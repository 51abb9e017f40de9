"""Every error the library raises on purpose.

All derive from :class:`OCRError`; the command line prints their message as one
line and exits with status 2. Each also derives from the built-in exception a
caller would expect (``ValueError``, ``KeyError``, ...), so that plain ``except``
clauses keep working.
"""

__all__ = [
    "OCRError", "ConfigError", "UnknownNameError", "DataError", "MissingDataError",
    "AlphabetError", "ModelError", "CheckpointError", "DeviceError", "TrainingError",
    "DecodingError", "LanguageModelError", "ExportError",
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
