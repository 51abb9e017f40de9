"""IAM's files ``xml/FORM.xml``."""

import os
from functools import lru_cache

from lm.base.errors import DataError
from lm.normalisation import normalise

from ..formats.parse import parse_xml
from .iam_ascii import ascii_flags
from .iam_items import (
    Item,
    check_id,
    form_item,
    integers,
    missing_data,
    segmentation_of,
    unescape,
)

__all__ = ["xml_items"]


class _Form:
    """The lines and words of one file."""

    def __init__(self, path, flags):
        self.path, self._flags = path, flags
        # IAM's own files may name its DTD; they declare no entities.
        root = parse_xml(path, outside_dtd=True)
        if root.name != "form":
            raise DataError(f"{path}: holds no <form>")
        self.id = check_id(self._attribute(root, "id"), 2, self._where(root))
        self.writer = root.get("writer-id")
        self.lines, self.words = [], []
        for part in root.all("handwritten-part"):
            for line in part.all("line"):
                self._add(line)

    def _where(self, node):
        return f"{self.path}, line {node.line}"

    def _attribute(self, node, name):
        if (value := node.get(name)) is None:
            raise DataError(f"{self._where(node)}: <{node.name}> without {name}")
        return value

    def _item(self, node, depth, extra):
        id = check_id(self._attribute(node, "id"), depth, self._where(node))
        text = normalise(unescape(self._attribute(node, "text"))).strip()
        return Item(id, text, self.writer, "", self._where(node), extra)

    def _add(self, node):
        """Take a line and its words."""
        line = self._item(node, 3, {"form": self.id})
        flag = node.get("segmentation") or self._flags().get(line.id, "ok")
        line.segmentation = segmentation_of(flag, self._where(node))
        if node.get("threshold") is not None:
            line.extra["grey_level"], = integers([node.get("threshold")], self._where(node),
                                                 "the threshold")
        boxes = []
        for inner in node.all("word"):
            word = self._item(inner, 4, {"form": self.id, "line": line.id,
                                         "tag": inner.get("tag")})
            # IAM judges the segmentation of a line as a whole.
            word.segmentation = line.segmentation
            own = [integers([self._attribute(part, side) for side in
                             ("x", "y", "width", "height")], self._where(part), "the box")
                   for part in inner.all("cmp")]
            word.extra["box"] = _hull(own)
            boxes += own
            self.words.append(word)
        line.extra["box"] = _hull(boxes)
        self.lines.append(line)


def _hull(boxes):
    """Return the (x, y, width, height) around all `boxes`; None without any."""
    if not boxes:
        return None
    left, top = min(b[0] for b in boxes), min(b[1] for b in boxes)
    right, bottom = max(b[0] + b[2] for b in boxes), max(b[1] + b[3] for b in boxes)
    return left, top, right - left, bottom - top


def xml_items(root, mode, forms, report):
    """Yield the items of the files of `forms` (None: of all files)."""
    folder = os.path.join(root, "xml")
    if os.path.isdir(os.path.join(folder, "xml")):
        folder = os.path.join(folder, "xml")
    if not os.path.isdir(folder):
        table = os.path.join(root, "ascii", "lines.txt")
        raise missing_data(folder, "the folder of annotations", "xml.tgz",
                           f"; {table} is there, which annotations=ascii reads"
                           if os.path.isfile(table) else "")
    names = sorted(name for name in os.listdir(folder) if name.endswith(".xml"))
    flags = lru_cache(maxsize=None)(lambda: ascii_flags(root))
    if not names:
        raise missing_data(os.path.join(folder, "a01-000u.xml"), "one annotation file a form",
                       "xml.tgz")
    for name in names:
        if forms is not None and name[:-len(".xml")] not in forms:
            continue
        try:
            form = _Form(os.path.join(folder, name), flags)
        except DataError as error:
            report.add(name[:-len(".xml")], "malformed XML", str(error))
            continue
        if mode == "form":
            yield form_item(form.id, form.writer, form.lines, form.path, {"form": form.id})
        else:
            yield from form.lines if mode == "line" else form.words
