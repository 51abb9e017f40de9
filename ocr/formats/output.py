"""The protocol of output formats, and their registry."""

import os
from typing import BinaryIO

from lm.base.errors import ConfigError
from lm.base.plugins import Registry

__all__ = ["FORMATS", "OutputFormat", "format_of_file", "open_format"]

#: Output formats by name; each entry is a subclass of `OutputFormat`.
FORMATS = Registry("output format", "ocr.output_formats")


class OutputFormat:
    """Writes readings to a file, page after page; a subclass has `add`, at least.

    Parameters
    ----------
    out : BinaryIO
        Where to; UTF-8 is what `put` writes.

    Attributes
    ----------
    ending : str
        Of its files, e.g. ".txt".
    several : bool
        Whether a file can hold more than one page.
    from_file : bool
        Whether the image's name is told as it is found from the file's folder.
    packages : tuple of str
        What must be installed to write it.
    """

    ending: str
    several = True
    from_file = False
    packages: tuple[str, ...] = ()

    def __init__(self, out: BinaryIO):
        self.out = out
        #: Pages written so far.
        self.pages = 0

    def put(self, text: str) -> None:
        """Write text; lone surrogates, which UTF-8 cannot hold, as "?"."""
        self.out.write(text.encode("utf-8", "replace"))

    def add(self, page) -> None:
        """Write a `PageReading`; its `name` is the image's, as the file is to tell it."""
        raise NotImplementedError

    def finish(self) -> None:
        """Write what stands behind the last page."""


def open_format(name: str) -> type[OutputFormat]:
    """Return the `OutputFormat` of a name.

    Raises
    ------
    UnknownNameError
        No such format; the known ones are listed.
    ConfigError
        A package that it needs is not installed.
    """
    from importlib.util import find_spec

    found = FORMATS.get(name)
    missing = [package for package in found.packages if find_spec(package) is None]
    if missing:
        raise ConfigError(f"the output format {name} needs {', '.join(missing)}: "
                          f"pip install 'ocr[{name}]'")
    return found


def format_of_file(path: str) -> str:
    """Return the format that a file's ending stands for; PAGE for .xml.

    Raises
    ------
    ConfigError
        None has this ending; the known ones are listed.
    """
    lower = os.fspath(path).lower()
    endings = {FORMATS.get(name).ending: name for name in reversed(FORMATS.names())}
    # Both are XML; PAGE is what most editors take.
    endings.update({".xml": "page", ".page.xml": "page", ".alto.xml": "alto", ".html": "hocr"})
    for ending in sorted(endings, key=len, reverse=True):
        if lower.endswith(ending):
            return endings[ending]
    raise ConfigError(f"{path}: no output format has this ending; known: "
                      f"{', '.join(sorted(endings))}")
