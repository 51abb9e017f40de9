"""Sources of text lines, the alphabet, and batches."""

from . import (  # noqa: F401 - registers the sources
    captcha,
    folder,
    hdf5,
    iam,
    index_file,
    page_xml,
    synthetic,
    table,
)
from .alphabet import Alphabet, normalise
from .base import (
    LineDataset,
    LineSample,
    SkipReport,
    list_datasets,
    load_grey,
    open_dataset,
    to_grey,
)

__all__ = ["Alphabet", "normalise", "LineDataset", "LineSample", "SkipReport", "list_datasets",
           "load_grey", "open_dataset", "to_grey"]
