"""What was read, written out: JSON, ALTO, PAGE, plain text."""

from .alto import alto_xml
from .json_lines import json_line, reading_to_dict
from .page import page_xml
from .text import text_rows

__all__ = ["alto_xml", "page_xml", "json_line", "reading_to_dict", "text_rows"]
