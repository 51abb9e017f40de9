"""Lines that were found elsewhere: PAGE or ALTO XML, or JSON boxes and polygons."""

import os

from lm.base.errors import DataError, MissingDataError
from lm.base.files import read_json

from ..formats.parse import read_outlines
from ..image.cutting import line_of_polygon

__all__ = ["read_segmentation"]


def read_segmentation(path, size):
    """Read where the lines of a page are.

    Parameters
    ----------
    path : str
        PAGE or ALTO XML, or JSON: a list, or an object with the list ``lines``. Each line is a
        box ``[left, top, right, bottom]``, a polygon ``[[x, y], ...]``, or an object with
        ``polygon`` or ``box`` and maybe ``baseline`` (as ``ocr recognise --json`` writes).
    size : tuple of int
        (width, height) of the image; XML that says another size is scaled.

    Returns
    -------
    list of TextLine
        In the file's order.

    Raises
    ------
    MissingDataError
        No such file.
    DataError
        Malformed, or a line without an outline on the page; the message names file and line.
    """
    if not os.path.isfile(path):
        raise MissingDataError(f"{path}: no such segmentation")
    outlines = _from_json(path) if str(path).lower().endswith(".json") else \
        read_outlines(path, size)
    lines = []
    for where, polygon, baseline in outlines:
        try:
            lines.append(line_of_polygon(polygon, baseline, len(lines), size))
        except DataError as error:
            raise DataError(f"{where}: {error}") from None
    return lines


def _from_json(path):
    value = read_json(path, object)
    if isinstance(value, dict):
        value = value.get("lines")
    if not isinstance(value, list):
        raise DataError(f"{path}: expected a list of lines, or an object with one")
    return [(f"{path}, line {number}", *_entry(f"{path}, line {number}", entry))
            for number, entry in enumerate(value, 1)]


def _entry(where, entry):
    """Return (polygon, baseline or None) of an entry of the list."""
    baseline = None
    if isinstance(entry, dict):
        baseline = entry.get("baseline")
        if baseline is not None:
            baseline = _points(where, baseline, 2)
        entry = entry.get("polygon") or entry.get("box")
    if isinstance(entry, list) and len(entry) == 4 and all(map(_number, entry)):
        left, top, right, bottom = entry
        return [(left, top), (right, top), (right, bottom), (left, bottom)], baseline
    return _points(where, entry, 3), baseline


def _number(value):
    # NaN and infinity compare false.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9


def _points(where, value, least):
    if not isinstance(value, list) or len(value) < least or not all(
            isinstance(p, list) and len(p) == 2 and all(map(_number, p)) for p in value):
        raise DataError(f"{where}: expected a box [left, top, right, bottom] or {least} or more "
                        f"points [x, y], not {str(value)[:60]}")
    return [(float(x), float(y)) for x, y in value]
