"""Where readings are written: one file, a file for each image, or the standard output."""

import dataclasses
import os
from collections.abc import Iterable
from contextlib import ExitStack
from typing import BinaryIO, Optional

from lm.base.errors import ConfigError, DataError
from lm.base.files import atomic_path

from ..formats import OutputFormat, open_format
from .inputs import Document, ImageSource
from .readings import PageReading

__all__ = ["OutputFile", "plan_outputs"]


class OutputFile:
    """A file of readings that are added one by one; it appears once the last is there.

    Parameters
    ----------
    path : str or None
        None for `stream`.
    kind : type of OutputFormat
    pages : int
        How many it waits for, be they read or not.
    stream : BinaryIO, optional
    """

    def __init__(self, path: Optional[str], kind: type[OutputFormat], pages: int,
                 stream: Optional[BinaryIO] = None):
        self.path, self.kind, self.pages, self.stream = path, kind, pages, stream
        self._stack = ExitStack()
        self._writer: Optional[OutputFormat] = None

    def add(self, reading: Optional[PageReading]) -> None:
        """Write a reading; None for a page that could not be read."""
        if reading is not None:
            if self._writer is None:
                self._writer = self._open()
            self._writer.add(named_for(reading, self.kind, self.path))
            self._writer.pages += 1
        self.pages -= 1
        if not self.pages and self._writer is not None:
            self._writer.finish()
            self._stack.close()
        if self.stream:
            self.stream.flush()

    def _open(self):
        out = self.stream
        if self.path is not None:
            temporary = self._stack.enter_context(atomic_path(self.path))
            out = self._stack.enter_context(open(temporary, "wb"))
        return self.kind(out)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        # What is not finished by now is not to be seen.
        if self.pages and self._writer is not None:
            stop = error[1] or DataError("unfinished")
            try:
                self._stack.__exit__(type(stop), stop, None)
            except type(stop):
                pass


def named_for(reading: PageReading, kind: type[OutputFormat],
              path: Optional[str]) -> PageReading:
    """Return the reading with its image's name as it is found from the file at `path`."""
    if not kind.from_file or path is None or not os.path.isfile(reading.name):
        return reading
    try:
        name = os.path.relpath(reading.name, os.path.dirname(os.path.abspath(path)))
    except ValueError:  # on another drive
        name = os.path.abspath(reading.name)
    return dataclasses.replace(reading, name=name.replace(os.sep, "/"))


def plan_outputs(documents: Iterable[tuple[Document, list[ImageSource]]], formats: list[str],
                 output: Optional[str], folder: bool, existing: str = "refuse",
                 stream: Optional[BinaryIO] = None
                 ) -> list[tuple[ImageSource, list[OutputFile]]]:
    """Decide what is read, and where it is written, before anything is.

    Parameters
    ----------
    documents : iterable of (Document, list of ImageSource)
        The images that are wanted, by document.
    formats : list of str or Stage
        By name, or with settings.
    output : str or None
        A file, or a folder; None for `stream`.
    folder : bool
        Whether `output` is a folder: each document then has a file of its own, or each page,
        where the format holds but one.
    existing : {"refuse", "skip", "overwrite"}
        "skip" leaves out what is written already, and images for which all is.
    stream : BinaryIO, optional

    Returns
    -------
    list of (ImageSource, list of OutputFile)
        In the order of reading.

    Raises
    ------
    ConfigError
        Files are there already, or would be written twice, or onto an image.
    """
    documents = list(documents)
    kinds = {getattr(one, "name", one): open_format(one) for one in formats}
    if output is None or not folder:
        if len(kinds) > 1:
            raise ConfigError("several formats: give --output FOLDER")
        [(name, kind)] = kinds.items()
        total = sum(len(sources) for _, sources in documents)
        if total > 1 and not kind.several:
            raise ConfigError(f"{name}: holds one page, but there are {total}: give "
                              "--output FOLDER")
        _check([(output, "all readings")] if output else [], documents, existing)
        if output and existing == "skip" and os.path.exists(output):
            return []
        file = OutputFile(output, kind, total, stream)
        return [(source, [file]) for _, sources in documents for source in sources]
    endings = _endings(kinds)
    plan, wanted = [], []
    for document, sources in documents:
        tasks: list[tuple[ImageSource, list[OutputFile]]]
        tasks = [(source, []) for source in sources]
        for name, kind in kinds.items():
            base = os.path.join(output, document.place)
            together = kind.several or sources[0].page is None
            groups = [tasks] if together else [[task] for task in tasks]
            for group in groups:
                page = "" if together else f"-{group[0][0].page:04d}"
                path = base + page + endings[name]
                wanted.append((path, document.name if together else group[0][0].title))
                if existing == "skip" and os.path.exists(path):
                    continue
                file = OutputFile(path, kind, len(group))
                for _, files in group:
                    files.append(file)
        plan += [task for task in tasks if task[1]]
    _check(wanted, documents, existing)
    return plan


def _endings(kinds):
    """Return {format: ending}; where two share one, the format's name stands before it."""
    endings = {name: kind.ending for name, kind in kinds.items()}
    return {name: f".{name}{ending}" if list(endings.values()).count(ending) > 1 else ending
            for name, ending in endings.items()}


def _check(wanted, documents, existing):
    owners = {}
    images = {os.path.realpath(document.origin): document.name for document, _ in documents
              if isinstance(document.origin, str)}
    for path, owner in wanted:
        if owners.setdefault(path, owner) != owner:
            raise ConfigError(f"--output: {owners[path]} and {owner} would both be written to "
                              f"{path}")
        if os.path.realpath(path) in images:
            raise ConfigError(f"--output: {path} is an image that is to be read")
        if os.path.isdir(path):
            raise ConfigError(f"--output: {path} is a folder")
    if existing == "refuse":
        there = [path for path in owners if os.path.exists(path)]
        if there:
            what = f"{there[0]} and {len(there) - 1:,} more are" if there[1:] else f"{there[0]} is"
            raise ConfigError(f"{what} there already: --skip-existing goes on with the others, "
                              "--overwrite replaces")
