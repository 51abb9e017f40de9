"""The version, of ``ocr`` and ``lm`` alike."""

__version__ = "0.1.0"
