"""JSON: one object an image."""

import json

__all__ = ["reading_to_dict", "json_line"]


def reading_to_dict(reading, name):
    """Return a JSON-ready dict of a page.

    Parameters
    ----------
    reading : PageReading
    name : str
        Of the image.

    Returns
    -------
    dict
        image, width, height, text and lines; each line has text, confidence, certainty,
        low_confidence, box, polygon, baseline (pixels of the image), words with their
        characters, and alternatives. `ocr.layout.read_segmentation` reads it, too.
    """
    return {"image": name, "width": reading.width, "height": reading.height,
            "text": reading.text, "lines": [_line(line) for line in reading.lines]}


def json_line(reading, name):
    """Return `reading_to_dict` as one row of JSON."""
    return json.dumps(reading_to_dict(reading, name), ensure_ascii=False)


def _line(reading):
    line = reading.line
    return {"text": reading.text, "confidence": round(reading.confidence, 4),
            "certainty": round(reading.certainty, 4),
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
