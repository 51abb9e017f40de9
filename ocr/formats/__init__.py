"""What was read, written out, and page files read back.

Output formats are chosen by name (``ocr list``); other packages add theirs in the entry-point
group ``ocr.output_formats``.
"""

from .alto import alto_xml
from .json_lines import reading_to_dict
from .output import FORMATS, OutputFormat, format_of_file, open_format
from .page import page_xml

__all__ = ["FORMATS", "OutputFormat", "alto_xml", "format_of_file", "open_format", "page_xml",
           "reading_to_dict"]
