"""Handwriting drawn from strokes: glyphs, writers' styles and the pen.

The strokes are those of the Hershey fonts (package ``Hershey-Fonts``), in whose units all
lengths are given until the pen puts them on paper: y grows downwards, capitals reach from -12
to the base line at 9, small letters up to -5, descenders down to 16. Characters that the
fonts lack are put together from their parts. Handwriting TrueType fonts are drawn beside
them where there are any.
"""

import os
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from lm.base.errors import ConfigError, DataError, MissingDataError

from ..base.randomness import generator

__all__ = ["Style", "Rendered", "make_style", "render_line", "undrawable", "system_fonts",
           "find_fonts", "covers", "RENDER_VERSION"]

#: Part of every image's key; to be raised with any change that moves a pixel.
RENDER_VERSION = 1

CAP, X_HEIGHT, BASE, DESCENT = -12.0, -5.0, 9.0, 16.0
#: Units from the tallest letter to the lowest, which `height` pixels have to hold.
EXTENT = DESCENT - CAP + 4
SUPERSAMPLING = 3
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

#: Parts of the file names of handwriting fonts, mostly of Debian's fonts-* packages.
HANDWRITING_FONTS = (
    "breip.", "dancingscript-regular", "dkghandwriting", "ecolier", "ec_cour", "femkeklaver",
    "humor-sans", "kristi", "rufscript", "bwht", "caveat", "patrickhand", "indieflower",
    "shadowsintolight", "homemadeapple", "reeniebeanie", "comingsoon", "architectsdaughter")


# -- glyphs -----------------------------------------------------------------------------------

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
def _glyph(font, character):
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
    return sorted({c for c in text if _glyph("rowmans", c) is None})


# -- styles -----------------------------------------------------------------------------------

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
    font_file: str = None


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
        glyph = _glyph(font, character)
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

def system_fonts(folders=None):
    """Return the handwriting fonts in the system's font folders, sorted; possibly none."""
    if folders is None:
        home = os.path.expanduser("~")
        folders = ("/usr/share/fonts", "/usr/local/share/fonts", os.path.join(home, ".fonts"),
                   os.path.join(home, ".local", "share", "fonts"))
    found = {}
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in names:
                lower = name.lower()
                if lower.endswith((".ttf", ".otf")) and any(
                        part in lower for part in HANDWRITING_FONTS):
                    found.setdefault(lower, os.path.join(place, name))
    return tuple(found[name] for name in sorted(found))


def find_fonts(fonts):
    """Return the TrueType files that the option `fonts` means.

    Parameters
    ----------
    fonts : "auto", "hershey" or list of str
        The system's handwriting fonts, none, or these files.

    Returns
    -------
    tuple of str

    Raises
    ------
    ConfigError
        None of these.
    MissingDataError
        A file is not there.
    """
    if fonts == "auto":
        return system_fonts()
    if fonts == "hershey":
        return ()
    if isinstance(fonts, str):
        raise ConfigError(f"fonts is {fonts!r}; known: auto, hershey, or a list of font files")
    fonts = tuple(os.fspath(path) for path in fonts)
    for path in fonts:
        if not os.path.isfile(path):
            raise MissingDataError(f"{path}: no such font")
    return fonts


@lru_cache(maxsize=256)
def _font(path, size):
    try:
        return ImageFont.truetype(path, size)
    except OSError as error:
        raise DataError(f"{path}: not a readable font ({error})") from None


@lru_cache(maxsize=65536)
def _has(path, character):
    font = _font(path, 40)
    drawn = bytes(font.getmask(character))
    # A missing character is drawn as the font's box, like this code point of no character.
    return any(drawn) and drawn != bytes(font.getmask("\U0010fffe"))


def covers(path, text):
    """Tell whether a font file has all characters of a text."""
    return all(character.isspace() or _has(path, character) for character in text)


def _render_font(text, style, rng, scale):
    """Write with a TrueType font: words set one by one, then sheared and bent."""
    # Capitals as tall as those of the strokes.
    probe = _font(style.font_file, 100).getbbox("H")
    size = max(8, round(100 * (BASE - CAP) * scale / (probe[3] - probe[1])))
    font = _font(style.font_file, size * 2)
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
