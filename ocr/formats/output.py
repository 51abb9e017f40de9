"""The protocol of output formats, and their registry."""

import os
from typing import Any, BinaryIO, Union

from lm.base.errors import ConfigError
from lm.base.plugins import NoSettings, Plugin, Registry, Stage, missing_packages

__all__ = ["FORMATS", "OutputFormat", "format_of_file", "open_format"]

#: Output formats by name; each entry is a subclass of `OutputFormat`.
FORMATS = Registry("output format", "ocr.output_formats")


class OutputFormat(Plugin):
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
    config : dataclass
        Its settings, of the class `config_class`.

    `packages` are those of `Plugin`.
    """

    ending: str
    several = True
    from_file = False
    config: Any = NoSettings()

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


def open_format(name: Union[str, Stage]) -> type[OutputFormat]:
    """Return the `OutputFormat` of a name, with its settings.

    Raises
    ------
    UnknownNameError
        No such format; the known ones are listed.
    ConfigError
        A package that it needs is not installed.
    """
    stage = FORMATS.stage(name)
    found = FORMATS.get(stage.name)
    if missing := missing_packages(found.needs(stage.settings)):
        raise ConfigError(f"the output format {stage.name} needs packages that are not installed: "
                          f"{missing}")
    return type(found.__name__, (found,), {"config": stage.settings})


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
