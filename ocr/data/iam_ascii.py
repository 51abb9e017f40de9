"""IAM's tables ``ascii/{lines,words,forms}.txt``."""

import os

from lm.base.errors import DataError
from lm.normalisation import normalise

from .iam_items import (
    Item,
    check_id,
    form_item,
    integers,
    lines_of,
    missing_data,
    parent,
    segmentation_of,
    unescape,
)

__all__ = ["ascii_items", "ascii_flags"]

#: Columns of the tables, as the error for a malformed row names them.
_COLUMNS = {
    "lines.txt": "id, ok|err, grey level, components, x, y, width, height, transcript",
    "words.txt": "id, ok|err, grey level, x, y, width, height, tag, transcript",
    "forms.txt": "id, writer, sentences, all|prt, lines, good lines, words, good words"}


def _ascii_rows(root, name):
    """Yield (where, cells) of ``ascii/NAME``; the last cell takes the rest of its row."""
    path = os.path.join(root, "ascii", name)
    other = os.path.join(root, "xml")
    missing = missing_data(path, f"the annotation table {name}", "ascii.tgz",
                           f"; {other} is there, which annotations=xml reads"
                           if os.path.isdir(other) else "")
    for number, row in lines_of(path, missing):
        # Only a first `#` makes a comment: transcripts hold it too.
        if row.startswith("#") or not row.strip():
            continue
        where = f"{path}, line {number}"
        expected = _COLUMNS[name].count(",") + 1
        cells = row.split(None, expected - 1)
        if len(cells) != expected:
            raise DataError(f"{where}: expected {_COLUMNS[name]}; found {row!r}")
        yield where, cells


def _ascii_text(transcript):
    return normalise(unescape(transcript.replace("|", " "))).strip()


def _ascii_writers(root, required):
    """Return {form id: (writer, where, extra)}; empty when forms.txt may be missing and is."""
    path = os.path.join(root, "ascii", "forms.txt")
    if not required and not os.path.isfile(path):
        return {}
    writers = {}
    for where, cells in _ascii_rows(root, "forms.txt"):
        form = check_id(cells[0], 2, where)
        counts = integers((cells[2], *cells[4:]), where, "the counts")
        writers[form] = cells[1], where, {"form": form, "word_segmentation": cells[3],
                                          "lines": counts[1]}
    return writers


def ascii_items(root, mode):
    """Yield the items of a mode."""
    writers = _ascii_writers(root, mode == "form")

    def writer(id):
        return writers.get(parent(id, 2), (None,))[0]

    if mode == "word":
        for where, cells in _ascii_rows(root, "words.txt"):
            id = check_id(cells[0], 4, where)
            level, = integers(cells[2:3], where, "the grey level")
            extra = {"form": parent(id, 2), "line": parent(id, 3), "grey_level": level,
                     "box": integers(cells[3:7], where, "the box"), "tag": cells[7]}
            yield Item(id, _ascii_text(cells[8]), writer(id),
                       segmentation_of(cells[1], where), where, extra)
        return
    lines = []
    for where, cells in _ascii_rows(root, "lines.txt"):
        id = check_id(cells[0], 3, where)
        level, _ = integers(cells[2:4], where, "the grey level and the components")
        extra = {"form": parent(id, 2), "grey_level": level,
                 "box": integers(cells[4:8], where, "the box")}
        lines.append(Item(id, _ascii_text(cells[8]), writer(id),
                          segmentation_of(cells[1], where), where, extra))
    if mode == "line":
        yield from lines
        return
    of_form = {}
    for line in sorted(lines, key=lambda line: line.id):
        of_form.setdefault(line.extra["form"], []).append(line)
    for form, (name, where, extra) in writers.items():
        yield form_item(form, name, of_form.get(form, []), where, extra)


def ascii_flags(root):
    """Return {line id: "ok" or "err"} of ``ascii/lines.txt``; empty when it is not there."""
    if not os.path.isfile(os.path.join(root, "ascii", "lines.txt")):
        return {}
    return {cells[0]: segmentation_of(cells[1], where)
            for where, cells in _ascii_rows(root, "lines.txt")}
