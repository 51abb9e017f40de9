"""Handwriting drawn from strokes: writers' styles and the pen.

Lengths are those of `ocr.synthesis.glyphs` until the pen puts them on paper. Handwriting TrueType
fonts are drawn beside the strokes where there are any.
"""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Optional

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from lm.base.errors import DataError

from ..base.randomness import generator
from .fonts import covers, font_of
from .glyphs import BASE, CAP, DESCENT, STEP, X_HEIGHT, glyph_of

__all__ = ["Style", "Rendered", "make_style", "render_line", "RENDER_VERSION"]

#: Part of every image's key; to be raised with any change that moves a pixel.
RENDER_VERSION = 1

#: Units from the tallest letter to the lowest, which `height` pixels have to hold.
EXTENT = DESCENT - CAP + 4
SUPERSAMPLING = 3


@dataclass(frozen=True)
class Style:
    """How one writer writes; lengths in units (see the module), angles in radians.

    Attributes
    ----------
    key : tuple of int
        Seeds what belongs to single letters: each writer shapes every letter in an own way.
    small, capital, other : str
        Hershey fonts of small letters, capitals and all else.
    swaps : tuple of (str, str)
        (letter, font): small letters taken from another font.
    slant, aspect, size : float
        Shear, width and overall scale of the letters.
    x_height, ascender, descender : float
        Scales of the three zones of a letter.
    spacing, gap : float
        Added between letters, and width of a space.
    letter_warp, jitter, tremor : float
        Strength of the writer's own letter shapes, of the change from one letter to the next,
        and of the pen's trembling.
    wave, drift, rotation : float
        Height of the base line's waves, its bend, and its slope.
    pen, contrast : float
        Width of the pen and how much it varies.
    ink, paper, noise, blur : float
        Grey levels 0..255, standard deviation of the paper's noise, blur in pixels.
    font_file : str or None
        TrueType font that is used instead of strokes.
    """

    key: tuple
    small: str
    capital: str
    other: str
    swaps: tuple
    slant: float
    aspect: float
    size: float
    x_height: float
    ascender: float
    descender: float
    spacing: float
    gap: float
    letter_warp: float
    jitter: float
    tremor: float
    wave: float
    drift: float
    rotation: float
    pen: float
    contrast: float
    ink: float
    paper: float
    noise: float
    blur: float
    font_file: Optional[str] = None


# The plain letters are drawn wide; this makes them as wide as the script's.
_WIDTHS = {"rowmans": .66, "scripts": 1.05}

# (small, capital, other) and how often.
_HANDS = ((("rowmans", "rowmans", "rowmans"), 4), (("scripts", "rowmans", "rowmans"), 3),
          (("scripts", "scripts", "scripts"), 2), (("rowmans", "rowmans", "scripts"), 2))
_SWAPPED = "abdefhklmnpqruvwyz"


@lru_cache(maxsize=4096)
def make_style(key, fonts=()):
    """Draw a writer's style.

    Parameters
    ----------
    key : tuple of int
        Seed and the writer's numbers; the same key always gives the same style.
    fonts : tuple of str
        TrueType files; about a third of the writers use one of them.

    Returns
    -------
    Style
    """
    rng = generator(*key)

    def between(low, high):
        return float(rng.uniform(low, high))

    weights = np.array([weight for _, weight in _HANDS], dtype=float)
    small, capital, other = _HANDS[int(rng.choice(len(_HANDS), p=weights / weights.sum()))][0]
    script = small == "scripts"
    partner = "rowmans" if script else "scripts"
    share = between(0, .25)
    swaps = tuple((letter, partner) for letter in _SWAPPED if rng.random() < share)
    style = dict(
        key=key, small=small, capital=capital, other=other, swaps=swaps,
        slant=between(-.22, .18) if script else between(-.12, .4),
        aspect=between(.85, 1.18),
        size=between(.88, 1.12), x_height=between(.85, 1.1),
        ascender=between(.8, 1.15), descender=between(.8, 1.25),
        spacing=between(-.4, .5) if script else between(-1.4, 1),
        gap=between(7, 13), letter_warp=between(.7, 1.7), jitter=between(.6, 1.5),
        tremor=between(.12, .45), wave=between(.2, 1.3), drift=between(-1.4, 1.4),
        rotation=float(rng.normal(0, .008)), pen=between(1.2, 2.7), contrast=between(0, .4),
        ink=between(10, 95), paper=between(218, 252), noise=between(1, 5),
        blur=between(.3, .85))
    use_font, which = rng.random() < 1 / 3, rng.random()
    if fonts and use_font:
        style["font_file"] = fonts[int(which * len(fonts))]
    return Style(**style)


@lru_cache(maxsize=65536)
def _letter_warp(key, character):
    """Return a writer's own shaping of a letter: coefficients of x and y (2, 5)."""
    rng = generator(*key, 7, ord(character))
    return rng.normal(0, 1, (2, 5)) * ((.05, .06, .05, .04, .04), (.05, .06, .05, .04, .04))


def _shape(points, style, aspect, warp, rng):
    """Return a glyph's points as this writer forms them this time."""
    x, y = points[:, 0], points[:, 1]
    # Zones: above the small letters, their body, below the base line.
    y = np.where(y < X_HEIGHT, BASE + (X_HEIGHT - BASE) * style.x_height
                 + (y - X_HEIGHT) * style.ascender,
                 np.where(y > BASE, BASE + (y - BASE) * style.descender,
                          BASE + (y - BASE) * style.x_height))
    x = x * aspect
    u, v = (x - x.mean()) / 10, (y - 2) / 10
    own = style.letter_warp * warp
    own = own + style.jitter * .55 * rng.normal(0, 1, (2, 5)) * (.05, .05, .03, .03, .03)
    terms = np.stack([u, v, u * v, u * u, v * v])
    x = x + 10 * (own[0] @ terms)
    y = y + 10 * (own[1] @ terms)
    shift = rng.normal(0, .38 * style.jitter, 2)
    return np.stack([x + shift[0], y + shift[1]], axis=1)


def _font_of(character, style):
    if character.islower():
        base = unicodedata.normalize("NFD", character)[0]
        return dict(style.swaps).get(base, style.small)
    return style.capital if character.isupper() else style.other


def _lay_out(text, style, rng):
    """Write `text` in units; returns points (n, 2), stroke lengths and each stroke's word."""
    parts, lengths, words = [], [], []
    x, word = 0.0, -1
    before = " "
    for character in text:
        if character.isspace():
            x += style.gap * rng.uniform(.75, 1.35)
            before = " "
            continue
        if before == " ":
            word += 1
        before = character
        font = _font_of(character, style)
        glyph = glyph_of(font, character)
        if glyph is None:
            raise DataError(f"{character!r} (U+{ord(character):04X}) of {text!r} has no strokes "
                            "to draw it with")
        width, points, strokes = glyph
        aspect = style.aspect * _WIDTHS[font]
        if len(points):
            points = _shape(points, style, aspect, _letter_warp(style.key, character), rng)
            parts.append(points + (x, 0))
            lengths += strokes
            words += [word] * len(strokes)
        x += width * aspect + style.spacing + rng.normal(0, .3 * style.jitter)
    if not parts:
        raise DataError(f"{text!r} holds nothing to draw")
    return np.concatenate(parts), lengths, words


def _waves(x, rng, count=3):
    """Return a smooth random function of `x`, about within -1..1."""
    total = np.zeros_like(x)
    for wavelength in np.geomspace(60, 400, count):
        total += np.sin(2 * np.pi * (x / (wavelength * rng.uniform(.7, 1.4)) + rng.random()))
    return total / count


def _bend(x, y, style, rng):
    """Return what the base line's course adds to y, for places x in units."""
    along = x / max(x.max(), 200.0)
    return (style.wave * _waves(x, rng) + style.drift * along * along
            + np.tan(style.rotation) * x)


# -- pen and paper ----------------------------------------------------------------------------

@dataclass(frozen=True)
class Rendered:
    """A drawn line.

    Attributes
    ----------
    image : numpy.ndarray
        uint8, (height, width).
    boxes : tuple of (int, int, int, int)
        x, y, width, height of each word of ``text.split()``.
    """

    image: np.ndarray
    boxes: tuple


def _tremble(count, rng):
    """Return (count, 2) noise that changes slowly along the pen's way."""
    steps = rng.normal(0, 1, (count + 8, 2))
    sums = np.cumsum(np.concatenate([np.zeros((1, 2)), steps]), axis=0)
    return (sums[9:] - sums[:-9]) / 3


def _ink_mask(points, lengths, widths, size):
    """Draw the strokes; returns the share of ink of each pixel, float32 (height, width)."""
    canvas = Image.new("L", (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING), 0)
    draw = ImageDraw.Draw(canvas)
    places = (points * SUPERSAMPLING).tolist()
    thick = (widths * SUPERSAMPLING).tolist()
    line, ellipse = draw.line, draw.ellipse
    start = 0
    for length in lengths:
        for i in range(start, start + length):
            x, y = places[i]
            radius = thick[i] / 2
            ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
            if i > start:
                line((*places[i - 1], x, y), fill=255, width=max(1, round(thick[i])))
        start += length
    return canvas.reduce(SUPERSAMPLING)


def _on_paper(mask, style, rng):
    """Return the uint8 image of ink (an "L" image of its share) on this writer's paper."""
    if style.blur > .35:
        mask = mask.filter(ImageFilter.GaussianBlur(style.blur))
    ink = np.asarray(mask, dtype=np.float32) / 255
    height, width = ink.shape

    def field(rows, columns):
        coarse = rng.standard_normal((rows, columns), dtype=np.float32)
        return np.asarray(Image.fromarray(coarse).resize((width, height), Image.BILINEAR))

    paper = style.paper + 3 * field(2, max(2, width // 150))
    darkness = style.ink + 14 * field(2, max(2, width // 40))
    image = paper + (darkness - paper) * ink
    image += style.noise * rng.standard_normal((height, width), dtype=np.float32)
    # Coarse levels, so that the noise does not fill the disk.
    return (np.clip(image, 0, 255).astype(np.uint8) // 8 * 8 + 7).astype(np.uint8)


def render_line(text, style, rng, height=64):
    """Write a line of text.

    Parameters
    ----------
    text : str
        Characters for which `undrawable` is empty, at least one of them visible.
    style : Style
    rng : numpy.random.Generator
        Everything that differs from one writing of the text to the next.
    height : int
        Pixels from the tallest letter to the lowest of a writer of mean size; the image is cut
        to its ink and a margin, so its height varies about this.

    Returns
    -------
    Rendered

    Raises
    ------
    DataError
        A character cannot be drawn, or there is nothing to draw.
    """
    scale = height / EXTENT * style.size
    if style.font_file and covers(style.font_file, text):
        return _render_font(text, style, rng, scale)
    points, lengths, words = _lay_out(text, style, rng)
    points += style.tremor * _tremble(len(points), rng)
    x, y = points[:, 0], points[:, 1]
    y = y + _bend(x, y, style, rng)
    points = np.stack([x - style.slant * (y - BASE), y], axis=1) * scale
    pen = style.pen * height / 64
    widths = pen * (1 + style.contrast * _tremble(len(points), rng)[:, 0] * .6)
    # Downstrokes press harder.
    widths *= 1 + style.contrast * np.clip(np.gradient(points[:, 1]) / (STEP * scale), 0, 1)
    widths = np.clip(widths, .75, 3 * pen)
    margins = rng.integers(3, 11, 4)
    low, high = points.min(0) - pen, points.max(0) + pen
    points += margins[:2] - low
    size = np.ceil(high - low + margins[:2] + margins[2:]).astype(int)
    mask = _ink_mask(points, lengths, widths, size)
    of_stroke = np.repeat(words, lengths)
    boxes = tuple(_box(points[of_stroke == word], pen, size) for word in range(words[-1] + 1))
    return Rendered(_on_paper(mask, style, rng), boxes)


def _box(points, pen, size):
    low = np.maximum(np.floor(points.min(0) - pen), 0).astype(int)
    high = np.minimum(np.ceil(points.max(0) + pen), size).astype(int)
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


# -- TrueType handwriting ---------------------------------------------------------------------

def _render_font(text, style, rng, scale):
    """Write with a TrueType font: words set one by one, then sheared and bent."""
    # Capitals as tall as those of the strokes.
    probe = font_of(style.font_file, 100).getbbox("H")
    size = max(8, round(100 * (BASE - CAP) * scale / (probe[3] - probe[1])))
    font = font_of(style.font_file, size * 2)
    pieces, x = [], 0.0
    for word in text.split():
        left, top, right, bottom = font.getbbox(word, anchor="ls")
        pieces.append((word, x - left, x, x + right - left, top, bottom))
        x += right - left + style.gap * rng.uniform(.75, 1.35) * scale * 1.4
    top, bottom = min(p[4] for p in pieces), max(p[5] for p in pieces)
    margins = rng.integers(3, 11, 4) * 2
    reach = int(2 * scale * (style.wave + abs(style.drift) + 1) + abs(style.rotation) * x) + 2
    lean = int(abs(style.slant) * .5 * (bottom - top)) + 2
    height = bottom - top + 2 * reach
    width = int(x) + 2 * lean
    mask = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(mask)
    base = reach - top
    lifts = rng.normal(0, .5 * style.jitter * scale, len(pieces))
    for (word, start, *_), lift in zip(pieces, lifts):
        draw.text((start + lean, base + lift), word, fill=255, font=font, anchor="ls")
    slant = style.slant * .5
    mask = mask.transform(mask.size, Image.AFFINE, (1, slant, -slant * base, 0, 1, 0),
                          resample=Image.BILINEAR)
    pixels = np.asarray(mask)
    columns = np.arange(width) / (2 * scale)
    bend = np.clip(np.round(2 * scale * _bend(columns, None, style, rng)), -reach, reach)
    rows = np.arange(height)[:, None] - bend.astype(int)[None]
    pixels = np.where((rows >= 0) & (rows < height),
                      pixels[np.clip(rows, 0, height - 1), np.arange(width)], 0)
    inked_rows, inked_columns = np.nonzero(pixels.max(1))[0], np.nonzero(pixels.max(0))[0]
    above, left = inked_rows[0], inked_columns[0]
    pixels = pixels[above:inked_rows[-1] + 1, left:inked_columns[-1] + 1]
    pixels = np.pad(pixels, ((margins[1], margins[3]), (margins[0], margins[2])))
    mask = Image.fromarray(pixels.astype(np.uint8)).reduce(2)
    image = _on_paper(mask, style, rng)
    return Rendered(image, _font_boxes(pieces, pixels, lean - left + margins[0], lean, mask.size))


def _font_boxes(pieces, pixels, offset, lean, size):
    """Return each word's box: its columns, widened by the shear, and the rows of its ink."""
    boxes = []
    for _, _, start, end, *_ in pieces:
        first = int(max(start + offset - lean, 0))
        last = int(min(end + offset + lean, pixels.shape[1]))
        inked = np.nonzero(pixels[:, first:last].max(1))[0]
        top, bottom = (inked[0] // 2, inked[-1] // 2 + 1) if len(inked) else (0, size[1])
        right = min(-(-last // 2), size[0])
        boxes.append((first // 2, int(top), right - first // 2,
                      int(min(bottom, size[1]) - top)))
    return tuple(boxes)
