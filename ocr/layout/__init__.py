"""From a page to its lines: finding them, taking them from elsewhere, cutting them out."""

from ..image.cutting import TextLine, crop, line_of_polygon, turned_back, whole_image
from ..image.load import as_grey
from .base import LayoutConfig
from .find import can_find_lines, find_lines
from .segmentation import read_segmentation
from .single import is_single_line

__all__ = ["LayoutConfig", "TextLine", "as_grey", "crop", "line_of_polygon", "whole_image",
           "can_find_lines", "find_lines", "is_single_line", "read_segmentation", "turned_back"]
