"""Letters as strokes: those of the Hershey fonts (package ``Hershey-Fonts``) and parts of them.

Lengths are in their units: y grows downwards, capitals reach from -12 to the base line at 9, small
letters up to -5, descenders down to 16. Characters that the fonts lack are put together from their
parts.
"""

import unicodedata
from functools import lru_cache

import numpy as np

from lm.base.errors import ConfigError

__all__ = ["glyph_of", "undrawable", "CAP", "X_HEIGHT", "BASE", "DESCENT", "STEP"]

CAP, X_HEIGHT, BASE, DESCENT = -12.0, -5.0, 9.0, 16.0
#: Units between the points of a smoothed stroke.
STEP = 1.6

#: Characters drawn as others.
_SAME = {"\N{NO-BREAK SPACE}": " ", "\u2010": "-", "\u2011": "-", "\u2026": "...",
         "\u0153": "oe", "\u0152": "OE", "\u00e6": "ae", "\u00c6": "AE", "\u202f": " "}

# Strokes of characters that the fonts lack: width and polylines.
_DRAWN = {
    "\u2018": (7, [[(1, -11), (-.6, -9.8), (0, -7.6)]]),
    "\u2019": (7, [[(.6, -12), (1, -10), (-.8, -7.6)]]),
    "\u201c": (11, [[(-1, -11), (-2.6, -9.8), (-2, -7.6)], [(3, -11), (1.4, -9.8), (2, -7.6)]]),
    "\u201d": (11, [[(-1.4, -12), (-1, -10), (-2.8, -7.6)], [(2.6, -12), (3, -10), (1.2, -7.6)]]),
    "\u00ab": (14, [[(-1, -3), (-5, 2), (-1, 7)], [(5, -3), (1, 2), (5, 7)]]),
    "\u00bb": (14, [[(-5, -3), (-1, 2), (-5, 7)], [(1, -3), (5, 2), (1, 7)]]),
    "\u2013": (16, [[(-6, 1), (6, 1)]]),
    "\u2014": (24, [[(-10, 1), (10, 1)]]),
    "\u00b0": (9, [[(0, -12), (-2, -11), (-2.6, -9), (-1.6, -7), (.4, -6.6), (2.2, -8),
                    (2.2, -10.4), (0, -12)]]),
}

# Combining marks: polylines round (0, 0), which comes to lie over (under) the letter.
_MARKS = {
    "\u0300": [[(-2.6, -2.2), (1.2, 1.4)]],
    "\u0301": [[(2.6, -2.4), (-1.2, 1.4)]],
    "\u0302": [[(-3.2, 1.4), (0, -2.2), (3.2, 1.4)]],
    "\u0303": [[(-3.6, .8), (-2, -1), (0, 0), (2, 1), (3.6, -.8)]],
    "\u0308": [[(-2.4, -.6), (-2, .6)], [(2, -.6), (2.4, .6)]],
    "\u030a": [[(0, -1.8), (-1.6, -.4), (0, 1.2), (1.6, -.4), (0, -1.8)]],
    "\u030c": [[(-3.2, -2), (0, 1.4), (3.2, -2)]],
    "\u0304": [[(-3, 0), (3, 0)]],
    "\u0327": [[(.4, -.8), (0, 1), (1.8, 2.4), (.8, 4.2), (-1.8, 4.4)]],
}
_BELOW = {"\u0327"}


@lru_cache(maxsize=None)
def _hershey(font):
    """Return {character: (width, polylines)} of a Hershey font; x = 0 is the left edge."""
    try:
        from HersheyFonts import HersheyFonts
    except ImportError:
        raise ConfigError("synthetic handwriting needs the package Hershey-Fonts: "
                          "pip install Hershey-Fonts") from None
    fonts = HersheyFonts()
    fonts.load_default_font(font)
    return {character: (float(glyph.char_width),
                        [np.asarray(stroke, dtype=float) - (glyph.left_offset, 0)
                         for stroke in glyph.strokes])
            for character, glyph in fonts.all_glyphs.items() if " " <= character <= "~"}


def _centred(width, strokes):
    return float(width), [np.asarray(stroke, dtype=float) + (width / 2, 0) for stroke in strokes]


def _smooth(stroke):
    """Round a polyline's corners (Chaikin) and give it points about `STEP` units apart."""
    if len(stroke) > 2:
        for _ in range(2):
            cut = np.empty((2 * len(stroke) - 2, 2))
            cut[0::2] = .75 * stroke[:-1] + .25 * stroke[1:]
            cut[1::2] = .25 * stroke[:-1] + .75 * stroke[1:]
            stroke = np.concatenate([stroke[:1], cut, stroke[-1:]])
    lengths = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(stroke, axis=0).T))])
    places = np.linspace(0, lengths[-1], max(2, int(lengths[-1] / STEP) + 1))
    return np.stack([np.interp(places, lengths, stroke[:, axis]) for axis in (0, 1)], axis=1)


def _compose(font, character):
    """Return (width, polylines) of `character`, or None when it cannot be drawn."""
    glyphs = _hershey(font)
    if character in glyphs:
        return glyphs[character]
    if character in _DRAWN:
        return _centred(*_DRAWN[character])
    if character in _SAME:
        width, strokes = 0.0, []
        for part in _SAME[character]:
            part_width, part_strokes = glyphs[part]
            # An ellipsis and a ligature are written closer than their letters.
            strokes += [stroke + (width, 0) for stroke in part_strokes]
            width += part_width * (.92 if part != " " else 1)
        return width, strokes
    base, *marks = unicodedata.normalize("NFD", character)
    if not marks or base not in glyphs or any(mark not in _MARKS for mark in marks):
        return None
    width, strokes = glyphs[base]
    if base in "ij" and not set(marks) & _BELOW:
        strokes = [stroke for stroke in strokes if stroke[:, 1].max() > X_HEIGHT - 2] or strokes
    points = np.concatenate(strokes)
    top = points[:, 1].min()
    upper = points[points[:, 1] < top + 5]
    middle = (upper[:, 0].min() + upper[:, 0].max()) / 2
    lower = points[points[:, 1] > BASE - 2]
    for mark in marks:
        if mark in _BELOW:
            place = ((lower[:, 0].min() + lower[:, 0].max()) / 2, BASE + 1)
        else:
            place = (middle, top - 3.2)
            top -= 5
        strokes = strokes + [np.asarray(part, dtype=float) + place for part in _MARKS[mark]]
    return width, strokes


@lru_cache(maxsize=None)
def glyph_of(font, character):
    """Return (width, points (n, 2), lengths of the strokes) of a smoothed glyph, or None."""
    composed = _compose(font, character)
    if composed is None:
        return None
    width, strokes = composed
    strokes = [_smooth(stroke) for stroke in strokes if len(stroke) > 1]
    points = np.concatenate(strokes) if strokes else np.zeros((0, 2))
    return width, points, [len(stroke) for stroke in strokes]


def undrawable(text):
    """Return the characters of `text` that have no strokes, sorted."""
    return sorted({c for c in text if glyph_of("rowmans", c) is None})
