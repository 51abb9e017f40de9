"""Plain text, and tab-separated rows."""

from .output import OutputFormat

__all__ = ["TextFormat", "TsvFormat"]

_ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})


class TextFormat(OutputFormat):
    """The text alone, a row a line; a form feed stands between pages, as pdftotext has it."""

    ending = ".txt"

    def add(self, page):
        if self.pages:
            self.put("\f")
        self.put("".join(line.text + "\n" for line in page.lines))


class TsvFormat(OutputFormat):
    """Rows ``path, line, confidence, text`` under a header; a line's alternatives follow it.

    A page of a file with several is told behind its path: ``scan.pdf[3]``. Tabs and line ends
    are written as ``\\t``, ``\\n``, ``\\r``.
    """

    ending = ".tsv"

    def add(self, page):
        if not self.pages:
            self.put("path\tline\tconfidence\ttext\n")
        for number, line in enumerate(page.lines, 1):
            for one in (line, *line.alternatives):
                self.put(f"{page.title.translate(_ESCAPES)}\t{number}\t{one.confidence:.3f}\t"
                         f"{one.text.translate(_ESCAPES)}\n")
