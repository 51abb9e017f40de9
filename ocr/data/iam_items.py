"""What IAM's two kinds of annotation share: items, ids, and undoing their escaping."""

import re
from dataclasses import dataclass, field
from html import unescape as html_unescape
from html.entities import html5

from lm.base.errors import DataError, MissingDataError
from lm.base.files import read_text

__all__ = ["HOME_PAGE", "Item", "unescape", "missing_data", "lines_of", "integers",
           "segmentation_of", "check_id", "parent", "form_item"]

HOME_PAGE = "https://fki.tic.heia-fr.ch/databases/iam-handwriting-database"

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_NESTED_AMPERSAND = re.compile(r"&(?:(?:amp|AMP|#0*38|#[xX]0*26);)+")


def _character(entity):
    # html.unescape would also take a known name off the front of an unknown one.
    name = entity.group()
    return html_unescape(name) if name[1] == "#" or name[1:] in html5 else name


def unescape(text):
    """Undo HTML escaping however often it was applied.

    IAM's XML attributes are escaped twice (``&amp;quot;``), a few even more often. Only
    complete entities, with their semicolon, are replaced; a lone ``&`` stays.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    while True:
        # Any depth of &amp;amp;... in one step, so that a hostile text costs no more.
        plain = _NESTED_AMPERSAND.sub("&", text)
        plain = _ENTITY.sub(_character, plain)
        if plain == text:
            return text
        text = plain


@dataclass
class Item:
    """One annotated form, line or word before it is filtered."""

    id: str
    text: str
    writer: str
    segmentation: str
    where: str
    extra: dict = field(default_factory=dict)


def missing_data(path, what, archive, other=""):
    """Return the error for a part of IAM that is not there; `other` is what would do as well."""
    return MissingDataError(
        f"{path}: not there; {what} of the IAM Handwriting Database should lie at this place "
        f"(unpack {archive}, given out after registration at {HOME_PAGE}){other}")


def lines_of(path, missing):
    """Yield (line number, line) of the text file `path`; `missing` is raised when not there."""
    # Not splitlines(): U+0085 and the like may stand inside a transcript.
    for number, line in enumerate(read_text(path, missing).split("\n"), 1):
        yield number, line.rstrip("\r")


def integers(cells, where, what):
    """Return the cells as whole numbers; `DataError` names the place and what they are."""
    try:
        return tuple(int(cell) for cell in cells)
    except ValueError:
        raise DataError(f"{where}: {what} should be whole numbers, found "
                        f"{' '.join(cells)!r}") from None


def segmentation_of(flag, where):
    """Return "ok" or "err"."""
    # The comment at the head of words.txt says "er", its rows say "err".
    known = {"ok": "ok", "err": "err", "er": "err"}
    if flag not in known:
        raise DataError(f"{where}: segmentation is {flag!r}; expected ok or err")
    return known[flag]


def check_id(id, depth, where):
    """Return `id`; `DataError` unless it has `depth` parts."""
    parts = id.split("-")
    if len(parts) != depth or not all(parts):
        raise DataError(f"{where}: {id!r} is no IAM id of {depth} parts")
    return id


def parent(id, depth):
    """Return the id of the form (depth 2) or line (3) that `id` stands on."""
    return "-".join(id.split("-")[:depth])


def form_item(form, writer, lines, where, extra):
    """Return the `Item` of a form of these lines."""
    flag = "ok" if all(line.segmentation == "ok" for line in lines) else "err"
    return Item(form, "\n".join(line.text for line in lines), writer, flag, where,
                {**extra, "lines": len(lines)})
