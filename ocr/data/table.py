"""Lines listed in tables: TSV or CSV with the columns ``file`` and ``text``."""

import csv
import io
import os
from dataclasses import replace
from typing import Optional

from lm.base.errors import DataError, MissingDataError
from lm.base.files import read_text
from lm.normalisation import normalise

from .base import LineDataset, LineSample, SkipReport
from .options import OnError, Paths

__all__ = ["open_table"]


def _rows(path, delimiter, quoting):
    """Yield (line number, cells) of the table `path`."""
    content = read_text(path, MissingDataError(
        f"{path}: no such table of lines; it should be a TSV or CSV file with a header row that "
        "names the columns file and text"))
    if "\0" in content:
        line = content[:content.index("\0")].count("\n") + 1
        raise DataError(f"{path}, line {line}: holds a NUL character; not a text table")
    if quoting:
        # Only CR and LF end a row: U+2028 and the like may stand inside a transcript.
        reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                yield reader.line_num, cells
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: {error}") from None
    else:
        rows = content.replace("\r\n", "\n").split("\n")
        if rows[-1] == "":
            rows.pop()
        for number, row in enumerate(rows, 1):
            yield number, row.split(delimiter)


def _read_table(path, images, file_column, text_column, writer_column, delimiter, quoting,
                report):
    """Return the samples of one table; what is left out goes to the report."""
    is_csv = path.lower().endswith(".csv")
    delimiter = delimiter or ("," if is_csv else "\t")
    quoting = is_csv if quoting is None else quoting
    folder = os.path.dirname(path) if images is None else images
    rows = _rows(path, delimiter, quoting)
    _, header = next(rows, (0, None))
    if not header or header == [""]:
        raise DataError(f"{path}: empty; the first row must name the columns")
    for column in (file_column, text_column):
        if column not in header:
            raise DataError(f"{path}, line 1: no column {column!r}; found: {', '.join(header)}")
    if len(set(header)) != len(header):
        raise DataError(f"{path}, line 1: a column name stands twice")
    samples, seen = [], set()
    for number, cells in rows:
        where = f"{os.path.basename(path)}:{number}"
        if cells in ([], [""]):
            continue
        if len(cells) != len(header):
            report.add(where, "malformed row", f"{path}, line {number}: {len(cells)} cells, "
                                               f"the header has {len(header)}")
            continue
        row = dict(zip(header, cells))
        file, text = row.pop(file_column), normalise(row.pop(text_column))
        if not file or not text.strip():
            report.add(file or where, "empty cell",
                       f"{path}, line {number}: no {'text' if file else 'file name'}")
            continue
        if file in seen:
            report.add(file, "repeated file", f"{path}, line {number}")
            continue
        seen.add(file)
        image = os.path.join(folder, file)
        if not os.path.isfile(image):
            report.add(file, "missing image", f"{path}, line {number}: {image} is not there")
            continue
        writer = row.pop(writer_column, None)
        samples.append(LineSample(file, text, image, writer, row))
    return samples


def open_table(path: Paths, split: Optional[str] = None,
               images: Optional[str] = None, file_column: str = "file",
               text_column: str = "text", writer_column: str = "writer",
               delimiter: Optional[str] = None, quoting: Optional[bool] = None,
               on_error: OnError = "skip") -> LineDataset:
    """Open a table of line images and transcripts.

    Parameters
    ----------
    path : str or list of str
        UTF-8 table with one header row, or several, one after the other. A file ending in
        ``.csv`` is comma-separated with quoting, any other tab-separated without (a ``"`` is
        a character), unless told.
    split : str, optional
        Name of the split; the first table's file name without ending by default.
    images : str, optional
        Folder that the ``file`` column is relative to; the table's own folder by default.
    file_column, text_column, writer_column : str
        Names of the columns; the writer column may be missing. Others are kept in
        ``sample.extra``.
    delimiter : str, optional
        One character between cells.
    quoting : bool, optional
        Whether cells may stand in quotes.
    on_error : {"skip", "raise"}
        What happens to a row that cannot be used: wrong number of cells, empty file name
        or text, missing image, a file that stood before.

    Returns
    -------
    LineDataset
        Ids are the ``file`` cells, of a second table and others behind the table's path.

    Raises
    ------
    MissingDataError
        No such table.
    DataError
        Not UTF-8, no header, missing column (the message names file and line), or any bad
        row when ``on_error="raise"``.
    """
    paths = [path] if isinstance(path, str) else list(path)
    if not paths:
        raise DataError("no table of lines is named")
    if len(set(paths)) != len(paths):
        raise DataError(f"the same table twice: {', '.join(paths)}")
    report = SkipReport(on_error)
    samples: list[LineSample] = []
    for number, path in enumerate(paths):
        part = _read_table(path, images, file_column, text_column, writer_column, delimiter,
                           quoting, report)
        # Ids of several tables may be the same.
        samples += part if number == 0 else [replace(s, id=f"{path}:{s.id}") for s in part]
    path = paths[0]
    name = os.path.splitext(os.path.basename(path))[0]
    table = os.path.basename(os.path.dirname(os.path.abspath(path)))
    return LineDataset(f"table {table}", split or name, samples, report)
