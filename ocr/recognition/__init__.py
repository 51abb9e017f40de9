"""Opening models and reading lines and pages with them."""

from .lines import LineRecogniser
from .opening import open_recogniser
from .pages import PageReader
from .reading import open_model, recognise, recognize
from .readings import PageReading

__all__ = ["LineRecogniser", "PageReader", "PageReading", "open_model", "open_recogniser",
           "recognise", "recognize"]
