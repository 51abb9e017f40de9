"""Lines for the Latin network: French and English texts, in fonts and in the ink of real lines.

    python experiments/latin_lines.py texts FILE [COUNT [SEED]]
    python experiments/latin_lines.py fonts FOLDER [LINES [SEED]]

`texts` writes pieces of running text, as long as lines are, one a row: French and English, of
today and of the nineteenth century, some in capitals, some with prices, dates and characters
that are rare. `fonts` draws such texts with handwriting fonts (font_lines.py fetches them) and
with single strokes, and writes FOLDER/lines.tsv. The fonts of `HELD_OUT` are left for measuring.
"""

import dataclasses
import os
import re
import sys

import numpy as np
from font_lines import FONTS, PACKAGES, TRIES, fetch
from PIL import Image
from recipe import tells_errors
from tqdm import tqdm

from lm.base.errors import DataError, MissingDataError
from lm.base.files import atomic_path, read_text, write_text
from lm.normalisation import normalise
from ocr.base.randomness import generator
from ocr.synthesis.fonts import covers
from ocr.synthesis.glyphs import undrawable
from ocr.synthesis.strokes import make_style, render_line

TEXT = "data/text"
#: Files of running text, and how often a line is of each.
SOURCES = (("french_modern", .28), ("french_old", .27), ("english_modern", .23),
           ("english_old", .22))
#: Shares of lines in capitals, with a made-up token, and with a rare character.
CAPITALS, TOKENS, RARE = .14, .12, .05
#: Fonts that no training sees.
HELD_OUT = {"playwrite-pl", "playwrite-is", "kalam", "caveat", "patrick-hand", "bad-script",
            "architects-daughter", "cedarville-cursive", "coming-soon", "mali", "ruthie"}
ALPHABET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "latin_alphabet.txt")


def alphabet():
    """Return the set of characters of the Latin network."""
    rows = read_text(ALPHABET, MissingDataError(f"{ALPHABET}: not there")).split("\n")
    return {row for row in rows if row}


def _token(rng):
    """Return a made-up date, price, number, address or abbreviation."""
    def digits(count):
        return "".join(str(d) for d in rng.integers(0, 10, count))
    day, month, year = rng.integers(1, 32), rng.integers(1, 13), rng.integers(1789, 2030)
    kinds = (f"{day}/{month}/{year}", f"{day}.{month}.{year % 100:02d}", f"{year}", f"({year})",
             f"${digits(2)}.{digits(2)}", f"{digits(2)},{digits(2)} €", f"£{digits(3)}",
             f"{digits(3)} fr {digits(2)}", f"n° {digits(2)}", f"No. {digits(3)}",
             f"{digits(2)}%", f"{digits(1)}h{digits(2)}", f"{day}:{digits(2)}", f"{digits(5)}",
             f"#{digits(2)}", f"{digits(2)} + {digits(2)} = {digits(3)}", f"<{digits(2)}>",
             f"[{digits(2)}]", "etc.", "M. & Mme", "Mr. & Mrs.", "Dr.", "Mlle", "Vve", "§ 4",
             f"{digits(2)}*", f"x^{digits(1)}", "~", "|", f"{{{digits(1)}}}", "@", "_____",
             f"{digits(1)} 1/2", f"{digits(2)}½", f"{digits(2)}°", f"1{digits(2)}²", "->", "=")
    return kinds[int(rng.integers(len(kinds)))]


def _piece(sentence, rng):
    """Cut whole words, about as long as a line, from a sentence."""
    words = sentence.split()
    wanted = int(np.clip(rng.normal(42, 18), 4, 85))
    start = int(rng.integers(len(words)))
    text = words[start]
    for word in words[start + 1:]:
        if len(text) + 1 + len(word) > wanted:
            break
        text += " " + word
    return text


def line_texts(count, seed):
    """Return made-up lines; they follow from the seed."""
    rng = np.random.default_rng(seed)
    known = alphabet() | {" "}
    rare = sorted(c for c in known if not c.isascii() and c.isalpha())
    sources = []
    for name, share in SOURCES:
        path = f"{TEXT}/{name}.txt"
        rows = read_text(path, MissingDataError(f"{path}: no such text")).split("\n")
        sources.append((share, [row for row in rows if row.strip()]))
    shares = np.cumsum([share for share, _ in sources])
    texts = []
    while len(texts) < count:
        rows = sources[int(np.searchsorted(shares, rng.uniform() * shares[-1]))][1]
        text = _piece(normalise(rows[int(rng.integers(len(rows)))]), rng)
        # Nobody's pen tells these apart.
        text = text.replace("\u2019", "'").replace("\u2018", "'")
        text = re.sub("[\u201c\u201d]", '"', text)
        if rng.uniform() < TOKENS:
            words = text.split()
            words.insert(int(rng.integers(len(words) + 1)), _token(rng))
            text = " ".join(words)
        if rng.uniform() < RARE:
            places = [i for i, c in enumerate(text) if c.isalpha()]
            if places:
                place = places[int(rng.integers(len(places)))]
                text = text[:place] + rare[int(rng.integers(len(rare)))] + text[place + 1:]
        if rng.uniform() < CAPITALS:
            text = text.upper()
        if len(text) > 1 and known.issuperset(text):
            texts.append(text)
    return texts


def write_fonts(folder, lines, seed):
    """Draw lines and write their table."""
    fonts = [f for f in fetch(PACKAGES, FONTS)
             if os.path.basename(f)[:-len(".woff")] not in HELD_OUT]
    if not fonts:
        raise DataError(f"{FONTS}: no font could be fetched; is npm on PATH?")
    texts = line_texts(lines * 2, seed)
    os.makedirs(os.path.join(folder, "lines"), exist_ok=True)
    rows = []
    for index in tqdm(range(lines), desc="drawing", unit="line", disable=None, leave=False):
        rng = generator(seed, index)
        # One line in eight in single strokes, which have the rare characters.
        font = None if rng.uniform() < .125 else fonts[int(rng.integers(len(fonts)))]
        for _ in range(TRIES):
            text = texts[int(rng.integers(len(texts)))]
            if covers(font, text) if font else not undrawable(text):
                break
        else:
            continue
        file = f"lines/{index:06d}.jpg"
        style = dataclasses.replace(make_style((seed, index)), font_file=font)
        with atomic_path(os.path.join(folder, file)) as path:
            Image.fromarray(render_line(text, style, rng).image).save(path, "JPEG", quality=90)
        rows.append(f"{file}\t{os.path.basename(font or 'strokes')}\t{text}\n")
    write_text(os.path.join(folder, "lines.tsv"), "file\twriter\ttext\n" + "".join(rows))
    print(f"{folder}/lines.tsv: {len(rows)} lines in {len(fonts)} fonts and single strokes")


@tells_errors
def main(what, target, count="10000", seed="1"):
    """Write texts or lines; returns the exit status."""
    if what == "texts":
        write_text(target, "\n".join(line_texts(int(count), int(seed))) + "\n")
    else:
        write_fonts(target, int(count), int(seed))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
