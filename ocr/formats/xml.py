"""What ALTO and PAGE share: clean text, whole pixels, XML as a string."""

import re
from xml.etree import ElementTree

import numpy as np

__all__ = ["add", "legal", "whole_points", "bounds", "to_string"]

# XML 1.0 can not hold these, escaped or not.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def legal(text):
    """Return `text` with characters that XML cannot hold replaced by U+FFFD."""
    return _ILLEGAL.sub("\ufffd", text)


def add(parent, name, text=None, **attributes):
    """Append an element; attributes that are None are left out."""
    element = ElementTree.SubElement(parent, name, {
        key: legal(str(value)) for key, value in attributes.items() if value is not None})
    if text is not None:
        element.text = legal(text)
    return element


def whole_points(points, size):
    """Return points as whole pixels within a page of `size`, without repeated neighbours."""
    rounded = np.clip(np.round(np.asarray(points, float)), 0, size).astype(int)
    kept = [tuple(point) for i, point in enumerate(rounded.tolist())
            if not i or point != rounded[i - 1].tolist()]
    # Either schema wants two at least.
    return kept if len(kept) > 1 else kept * 2


def bounds(points, size):
    """Return (left, top, width, height) in whole pixels around points, 1 x 1 at least."""
    xs, ys = zip(*whole_points(points, size))
    return min(xs), min(ys), max(max(xs) - min(xs), 1), max(max(ys) - min(ys), 1)


def to_string(root, namespace, location):
    """Return a document as UTF-8 XML text, its schema named."""
    root.set("xmlns", namespace)
    root.set("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
    root.set("xsi:schemaLocation", f"{namespace} {location}")
    _indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _indent(element, level=0):
    """Put each element on a row of its own; texts stay as they are."""
    # ElementTree.indent does this; it is there from Python 3.9 on, but also pads texts.
    children = list(element)
    if not children or element.text:
        return
    element.text = "\n" + "  " * (level + 1)
    for child in children:
        _indent(child, level + 1)
        child.tail = "\n" + "  " * (level + 1)
    children[-1].tail = "\n" + "  " * level
