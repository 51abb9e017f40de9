"""Sources of text lines."""

from .base import LineDataset, LineSample, SkipReport
from .sources import list_datasets, open_dataset

__all__ = ["LineDataset", "LineSample", "SkipReport", "list_datasets", "open_dataset"]
