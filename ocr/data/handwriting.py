"""Drawing text as handwriting: vector strokes (Hershey fonts) or handwriting TTFs."""

import functools
import os
import unicodedata
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..exceptions import DataError

__all__ = ["Style", "make_style", "draw_line", "system_fonts", "can_write"]

#: Single-stroke alphabets; the others are double-lined, gothic or symbols.
STROKE_FONTS = ("futural", "scripts", "rowmans")

#: Words in the file names of Debian's handwriting fonts.
_HANDWRITING = ("dancing", "caveat", "kalam", "purisa", "breip", "isabella", "domestic_manners",
                "domesticmanners", "femkeklaver", "jsmath-script", "comic-neue-script", "pecita",
                "ecolier", "rufscript", "handwriting", "jura-script", "patrick", "indieflower")

#: Accents as strokes in font units around the top middle of a letter; y grows downwards.
_ACCENTS = {
    "\u0301": [[(-2, -3), (2, -6)]],
    "\u0300": [[(-2, -6), (2, -3)]],
    "\u0302": [[(-3, -3), (0, -6), (3, -3)]],
    "\u0308": [[(-3, -4), (-2.4, -4)], [(2.4, -4), (3, -4)]],
    "\u0303": [[(-4, -4), (-2, -5.5), (0, -4.5), (2, -3.5), (4, -5)]],
    "\u030a": [[(0, -3), (-1.5, -4.5), (0, -6), (1.5, -4.5), (0, -3)]],
    "\u030c": [[(-3, -6), (0, -3), (3, -6)]],
    "\u0327": [[(0, 0), (0.5, 2), (2, 3), (1, 5), (-1.5, 5)]],
}

#: Characters drawn as others.
_ALIKE = str.maketrans({"’": "'", "‘": "'", "“": "\"", "”": "\"", "–": "-", "—": "-", "\u00a0": " ",
                        "…": "."})

_SUPERSAMPLING = 3


@dataclass(frozen=True)
class Style:
    """A writer's hand.

    Attributes
    ----------
    font : str
        A Hershey font's name or a TTF's path.
    seed : int
        Of the writer's own letter shapes.
    height : float
        Of capital letters, in pixels.
    slant, aspect, spacing, word_gap : float
        Horizontal displacement per height, width factor, and extra advance as shares of the
        height of capitals.
    warp, jitter, wave : float
        Strength of the writer's letter deformation, of that of each single letter, and of the
        baseline's swing, as shares of the height of capitals.
    pen : float
        Stroke width in pixels.
    ink : float
        Grey of the ink, 0 (black) to 255.
    paper_noise : float
        Standard deviation of the paper's grey.
    """

    font: str
    seed: int
    height: float
    slant: float
    aspect: float
    spacing: float
    word_gap: float
    warp: float
    jitter: float
    wave: float
    pen: float
    ink: float
    paper_noise: float


def system_fonts(folders=("/usr/share/fonts", os.path.expanduser("~/.fonts"),
                          os.path.expanduser("~/.local/share/fonts"))):
    """Return the paths of the handwriting TTF and OTF files found in `folders`, sorted."""
    found = []
    for folder in folders:
        for place, _, names in os.walk(folder):
            found += [os.path.join(place, n) for n in names
                      if n.lower().endswith((".ttf", ".otf"))
                      and any(h in n.lower() for h in _HANDWRITING)]
    return sorted(found)


def make_style(seed, writer, fonts=()):
    """Return the hand of the writer number `writer`.

    Parameters
    ----------
    seed, writer : int
        The style depends on these two (and on `fonts`) alone.
    fonts : sequence of str
        TTF files mixed with the Hershey fonts.
    """
    rng = np.random.default_rng([seed, writer, 17])
    choices = [*STROKE_FONTS, *fonts]
    return Style(
        font=choices[int(rng.integers(len(choices)))], seed=int(rng.integers(2 ** 31)),
        height=rng.uniform(24, 34), slant=rng.normal(0.12, 0.16),
        aspect=rng.uniform(0.8, 1.2), spacing=rng.uniform(0.0, 0.13),
        word_gap=rng.uniform(0.4, 0.85), warp=rng.uniform(0.02, 0.06),
        jitter=rng.uniform(0.012, 0.04), wave=rng.uniform(0.0, 0.12),
        pen=rng.uniform(1.4, 3.2), ink=rng.uniform(10, 110),
        paper_noise=rng.uniform(0, 6))


@functools.lru_cache(maxsize=8)
def _hershey(name):
    from HersheyFonts import HersheyFonts

    font = HersheyFonts()
    font.load_default_font(name)
    return font


@functools.lru_cache(maxsize=4096)
def _glyph(name, character):
    """Return (strokes, advance) of a character in units of the height of capitals, baseline at
    y=0, y growing downwards; None where the font lacks it."""
    decomposed = unicodedata.normalize("NFD", character.translate(_ALIKE))
    base, marks = decomposed[0], decomposed[1:]
    if not 32 <= ord(base) < 127 or any(m not in _ACCENTS for m in marks):
        return None
    font = _hershey(name)
    strokes = [np.array(s, float) for s in font.strokes_for_text(base)]
    advance = max((p[:, 0].max() for p in strokes), default=8.0) + 2.0
    # Hershey capitals reach from y=-12 to y=9.
    for stroke in strokes:
        stroke[:, 1] -= 9
    if marks and strokes:
        points = np.concatenate(strokes)
        middle, top = (points[:, 0].min() + points[:, 0].max()) / 2, points[:, 1].min()
        for mark in marks:
            anchor = 0.0 if mark == "\u0327" else top
            strokes += [np.array(s, float) + (middle, anchor) for s in _ACCENTS[mark]]
    left = min((p[:, 0].min() for p in strokes), default=0.0)
    return [(s - (left, 0)) / 21 for s in strokes], (advance - left) / 21


def can_write(text, font="futural"):
    """Return the characters of `text` that `font` cannot draw, sorted."""
    if font in STROKE_FONTS:
        return sorted({c for c in text if _glyph(font, c) is None})
    from PIL import ImageFont

    loaded = ImageFont.truetype(font, 24)
    missing = loaded.getmask("\uffff").getbbox(), bytes(loaded.getmask("\uffff"))
    return sorted({c for c in text if not c.isspace()
                   and (loaded.getmask(c).getbbox(), bytes(loaded.getmask(c))) == missing})


def _field(rng, strength):
    """A smooth random displacement of the plane: a few sine waves."""
    waves = rng.normal(0, 1, (2, 3, 2)) * 3.2
    phases = rng.uniform(0, 2 * np.pi, (2, 3))
    weights = rng.normal(0, strength, (2, 3))

    def move(points):
        angle = points @ waves.transpose(0, 2, 1) + phases[:, None]
        return points + (np.sin(angle) * weights[:, None]).sum(axis=2).T

    return move


def _resample(stroke, step=0.06):
    """Points along a polyline, `step` apart, so that bends come out round."""
    lengths = np.hypot(*np.diff(stroke, axis=0).T)
    along = np.concatenate([[0], np.cumsum(lengths)])
    if along[-1] == 0:
        return stroke
    at = np.linspace(0, along[-1], max(2, int(along[-1] / step) + 1))
    return np.column_stack([np.interp(at, along, stroke[:, i]) for i in (0, 1)])


def _letter(character, style, shapes):
    """Strokes of the writer's own form of a character, cached for the line."""
    key = character
    if key not in shapes:
        glyph = _glyph(style.font, character)
        if glyph is None:
            raise DataError(f"character {character!r} (U+{ord(character):04X}) cannot be drawn "
                            f"with the font {style.font}")
        move = _field(np.random.default_rng([style.seed, ord(character)]), style.warp)
        shapes[key] = ([move(_resample(s)) for s in glyph[0]], glyph[1])
    return shapes[key]


def _stroke_words(text, style, rng):
    """Return, for each word, its strokes in pixels (baseline y=0) and the end of the line."""
    shapes, words, x = {}, [], 0.0
    for word in text.split(" "):
        strokes = []
        for character in word:
            letter, advance = _letter(character, style, shapes)
            move = _field(rng, style.jitter)
            size = rng.normal(1, 0.03)
            for stroke in letter:
                points = move(stroke) * size
                points = points * (style.aspect, 1)
                points[:, 0] -= points[:, 1] * style.slant
                strokes.append(points + (x, 0))
            x += advance * style.aspect * size + style.spacing + rng.normal(0, 0.015)
        words.append(strokes)
        x += style.word_gap + rng.normal(0, 0.05)
    return [[s * style.height for s in strokes] for strokes in words]


def _draw_strokes(words, style, rng):
    from PIL import Image, ImageDraw

    period = rng.uniform(5, 14) * style.height
    phase, tilt = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.006)
    swing = style.wave * style.height
    for strokes in words:
        for stroke in strokes:
            stroke[:, 1] += swing * np.sin(stroke[:, 0] / period * 2 * np.pi + phase)
            stroke[:, 1] += tilt * stroke[:, 0]
    points = np.concatenate([s for strokes in words for s in strokes])
    margin = style.pen + 6
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    width, height = np.ceil(high - low).astype(int)
    scale = _SUPERSAMPLING
    canvas = Image.new("L", (int(width * scale), int(height * scale)), 0)
    draw = ImageDraw.Draw(canvas)
    boxes = []
    for strokes in words:
        for stroke in strokes:
            pressure = style.pen * scale * rng.uniform(0.85, 1.15)
            path = [tuple(p) for p in (stroke - low) * scale]
            draw.line(path, fill=255, width=max(1, round(pressure)), joint="curve")
            for x, y in (path[0], path[-1]):
                r = pressure / 2
                draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
        reach = np.concatenate(strokes)
        boxes.append((*(reach.min(axis=0) - low - style.pen),
                      *(reach.max(axis=0) - low + style.pen)))
    return np.asarray(canvas.resize((int(width), int(height)), Image.BOX)), boxes


def _draw_ttf(text, style, rng):
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(style.font, int(style.height * 1.5))
    ascent, descent = font.getmetrics()
    gap = style.word_gap * style.height * 0.6
    words = text.split(" ")
    lengths = [font.getlength(w) for w in words]
    room = int(abs(style.slant) * (ascent + descent)) + 12
    width = int(sum(lengths) + gap * (len(words) - 1)) + 2 * room
    canvas = Image.new("L", (width, ascent + descent + 16), 0)
    draw, x, boxes = ImageDraw.Draw(canvas), float(room), []
    for word, length in zip(words, lengths):
        y = 8 + rng.normal(0, style.wave * 8)
        draw.text((x, y), word, fill=255, font=font)
        left, top, right, bottom = draw.textbbox((x, y), word, font=font)
        boxes.append((left - 4, top - 2, right + 4, bottom + 2))
        x += length + gap + rng.normal(0, 1)
    middle = canvas.height / 2
    canvas = canvas.transform(canvas.size, Image.AFFINE,
                              (1, style.slant / 2, -style.slant / 2 * middle, 0, 1, 0),
                              Image.BILINEAR)
    return np.asarray(canvas), boxes


def draw_line(text, style, rng):
    """Draw one line.

    Parameters
    ----------
    text : str
        Words separated by single spaces.
    style : Style
    rng : numpy.random.Generator

    Returns
    -------
    image : numpy.ndarray
        uint8, (height, width), dark ink on light paper.
    boxes : list of (int, int, int, int)
        Left, top, right, bottom of each word.

    Raises
    ------
    DataError
        A character the font lacks (named), or no character at all.
    """
    text = " ".join(text.split())
    if not text:
        raise DataError("there is no text to draw")
    if style.font in STROKE_FONTS:
        cover, boxes = _draw_strokes(_stroke_words(text, style, rng), style, rng)
    else:
        cover, boxes = _draw_ttf(text, style, rng)
    paper = rng.uniform(228, 255) + rng.normal(0, style.paper_noise, cover.shape)
    share = cover / 255.0
    image = paper * (1 - share) + style.ink * share
    height, width = cover.shape
    whole = [(max(0, int(a)), max(0, int(b)), min(width, int(np.ceil(c))),
              min(height, int(np.ceil(d)))) for a, b, c, d in boxes]
    return np.clip(image, 0, 255).round().astype(np.uint8), whole
