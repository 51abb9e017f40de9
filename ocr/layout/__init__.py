"""From a page to its lines: finding them, taking them from elsewhere, cutting them out."""

from ..image.cutting import TextLine, crop, line_of_polygon, turned_back, whole_image
from ..image.load import as_grey
from .base import LayoutConfig
from .find import find_lines
from .finders import LINE_FINDERS, LineFinder, build_finder, can_find_lines, finder_stage
from .segmentation import read_segmentation
from .single import is_single_line

__all__ = ["LINE_FINDERS", "LayoutConfig", "LineFinder", "TextLine", "as_grey", "build_finder",
           "can_find_lines", "crop", "find_lines", "finder_stage", "is_single_line",
           "line_of_polygon", "read_segmentation", "turned_back", "whole_image"]
