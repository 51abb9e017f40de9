"""The text of synthetic lines: made up, or taken from the user's file."""

import os

from lm.base.errors import DataError, MissingDataError
from lm.base.files import read_text
from lm.normalisation import normalise

from .glyphs import undrawable
from .phrases import make_words, take_line, wrap_words

__all__ = ["made_up_line", "made_up_lines", "read_text_lines"]

#: Characters of a made-up line.
SHORTEST, LONGEST = 15, 55


def made_up_line(rng):
    """Return a line of running text, which may start and end inside a sentence."""
    words = make_words(rng, 24)
    words = words[int(rng.integers(0, 8)):]
    count = min(int(rng.integers(3, 10)), take_line(words, LONGEST))
    while len(" ".join(words[:count])) < SHORTEST:
        count += 1
    return " ".join(words[:count])


def made_up_lines(rng, count):
    """Return `count` consecutive lines of about the same length: the text of a page."""
    width = int(rng.integers(32, LONGEST - 4))
    words = make_words(rng, 14 * count)
    lines = []
    for _ in range(count):
        taken = take_line(words, width + int(rng.integers(-6, 5)))
        lines.append(" ".join(words[:taken]))
        words = words[taken:]
    return lines


def read_text_lines(path, rng, report):
    """Cut the user's text into lines of three to nine words.

    Parameters
    ----------
    path : str
        UTF-8 text.
    rng : numpy.random.Generator
    report : SkipReport
        Takes the lines with characters that cannot be drawn.

    Returns
    -------
    list of str
    """
    words = normalise(read_text(path, MissingDataError(
        f"{path}: cannot be read; there is no such text file"))).split()
    lines = []
    for number, text in enumerate(wrap_words(words, rng)):
        missing = undrawable(text)
        if missing:
            report.add(f"{os.path.basename(path)}#{number}", "cannot be drawn",
                       " ".join(f"{c!r} (U+{ord(c):04X})" for c in missing) + f" in {text!r}")
        else:
            lines.append(text)
    if not lines:
        raise DataError(f"{path}: holds no text that can be drawn")
    return lines
