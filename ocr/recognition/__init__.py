"""Opening models and reading lines and pages with them."""

from .lines import LineRecogniser
from .opening import open_recogniser
from .pages import PageReader, PageReading, recognise

__all__ = ["LineRecogniser", "PageReader", "PageReading", "open_recogniser", "recognise"]
