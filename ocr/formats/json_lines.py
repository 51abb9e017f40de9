"""JSON: one object an image, one image a row."""

import json
from typing import Optional

from .output import OutputFormat

__all__ = ["JsonFormat", "reading_to_dict"]


def reading_to_dict(reading, name: Optional[str] = None) -> dict:
    """Return a JSON-ready dict of a page, as the schema in docs/formats.md describes it.

    Parameters
    ----------
    reading : PageReading
    name : str, optional
        Of the image; the reading's own by default.

    Returns
    -------
    dict
        image, page, width, height, text and lines; each line has text, confidence,
        low_confidence, box, polygon, baseline (pixels of the image), words with their
        characters, and alternatives. `ocr.layout.read_segmentation` reads it, too.
    """
    return {"image": reading.name if name is None else name, "page": reading.page,
            "width": reading.width, "height": reading.height, "text": reading.text,
            "lines": [_line(line) for line in reading.lines]}


class JsonFormat(OutputFormat):
    """One object a page, each on a row of its own (JSON Lines where there are several)."""

    ending = ".json"

    def add(self, page):
        self.put(json.dumps(reading_to_dict(page), ensure_ascii=False) + "\n")


def _line(reading):
    line = reading.line
    return {"text": reading.text, "confidence": round(reading.confidence, 4),
            "low_confidence": reading.low_confidence, "box": list(line.box),
            "polygon": _points(line.polygon), "baseline": _points(line.baseline),
            "characters": [_piece(c) for c in reading.characters],
            "words": [_piece(w) for w in reading.words],
            "alternatives": [{"text": a.text, "confidence": round(a.confidence, 4)}
                             for a in reading.alternatives]}


def _piece(piece):
    return {"text": piece.text, "confidence": round(piece.confidence, 4),
            "box": list(piece.box), "polygon": _points(piece.polygon)}


def _points(points):
    return [[x, y] for x, y in points]
