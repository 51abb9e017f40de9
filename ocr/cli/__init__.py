"""The ``ocr`` command."""
