"""The ground floor of ``ocr``: MXNet's import and random numbers."""
