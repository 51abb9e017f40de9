"""Synthetic handwriting: lines drawn when they are asked for, or a folder in IAM's format.

Everything follows from the seed: line i's text and image depend on (seed, split, i) alone, not
on the order in which, or the process from which, they are asked for.
"""

import zlib
from functools import lru_cache
from typing import Literal, Optional

from lm.base.errors import DataError

from ..base.randomness import generator
from ..data.base import LineDataset, LineSample, SkipReport
from ..data.options import Count, OnError, Paths, Seed
from .fonts import find_fonts
from .iam_tree import Height, WrittenTree, write_iam_tree
from .source_text import made_up_line, read_text_lines
from .strokes import RENDER_VERSION, make_style, render_line

__all__ = ["SyntheticLines", "open_synthetic", "write_iam_tree", "WrittenTree", "SPLITS"]

#: Splits by name; the numbers are part of the seeds.
SPLITS = {"train": 0, "validation1": 1, "validation2": 2, "test": 3}
#: Which split each of ten lines of the user's text belongs to.
_PATTERN = "train train validation1 train train test train validation2 train test".split()

# What a generator is for; part of its seed.
_WRITER, _TEXT, _IMAGE, _SHARE = range(4)


@lru_cache(maxsize=64)
def _checksum(path):
    with open(path, "rb") as source:
        return f"{zlib.crc32(source.read()):08x}"


def _own_lines(path, seed, split, report):
    """Return the lines of the user's text that belong to `split`, shuffled."""
    rng = generator(seed, _SHARE)
    lines = read_text_lines(path, rng, report)
    order = rng.permutation(len(lines))
    own = [lines[k] for place, k in enumerate(order) if _PATTERN[place % 10] == split]
    if not own:
        raise DataError(f"{path}: {len(lines)} lines are too few to share out over the splits; "
                        "at least 10 are needed")
    return own


class SyntheticLines(LineDataset):
    """Lines of synthetic handwriting, drawn at each call of `image`.

    Made by `open_synthetic`. ``sample.extra`` holds ``index``, the line's number, and
    ``writer_key``, the numbers of its split and writer.
    """

    def __init__(self, split, samples, report, seed, height, fonts):
        super().__init__("synthetic-line", split, samples, report)
        self.seed = seed
        self.height = height
        self.fonts = fonts

    def _style(self, sample):
        return make_style((self.seed, _WRITER, *sample.extra["writer_key"]), self.fonts)

    def image(self, index):
        """Draw sample `index`; uint8, (height, width), dark on light."""
        sample = self.samples[index]
        split, _ = sample.extra["writer_key"]
        rng = generator(self.seed, _IMAGE, split, sample.extra["index"])
        return render_line(sample.text, self._style(sample), rng, self.height).image

    def image_key(self, index):
        """Return all that the pixels of sample `index` follow from."""
        sample = self.samples[index]
        font = self._style(sample).font_file
        return ":".join(str(part) for part in (
            "synthetic", RENDER_VERSION, self.seed, *sample.extra["writer_key"],
            sample.extra["index"], self.height, font and _checksum(font), sample.text))


def open_synthetic(split: Literal["train", "validation1", "validation2", "test"] = "train",
                   lines: Count = 1000, writers: Count = 40, seed: Seed = 1,
                   text_file: Optional[str] = None, height: Height = 64, fonts: Paths = "auto",
                   on_error: OnError = "skip") -> SyntheticLines:
    """Make lines of synthetic handwriting.

    Parameters
    ----------
    split : {"train", "validation1", "validation2", "test"}
        Splits share neither writers nor lines of the user's text.
    lines, writers : int
        How many in this split; line i is by writer i modulo `writers`.
    seed : int
        0 or more.
    text_file : str, optional
        UTF-8 text to write, in lines of three to nine words. Of each ten lines six belong to
        train, one to each validation split and two to test; they are written again when there
        are fewer than `lines`. Made-up English by default.
    height : int
        Pixels from the tallest to the lowest letter of a writer of mean size; images are cut
        to their ink and a margin, so their heights vary about this.
    fonts : "auto", "hershey" or list of str
        Handwriting fonts that about a third of the writers use: those of the system when there
        are any, none, or these TrueType files. With "auto" images are the same only where the
        same fonts are installed.
    on_error : {"skip", "raise"}
        What becomes of lines that cannot be drawn.

    Returns
    -------
    SyntheticLines

    Raises
    ------
    ConfigError
        An unknown split or a number out of range, or Hershey-Fonts is not installed.
    MissingDataError, DataError
        The text file is not there, not UTF-8, or too short; or, with ``on_error="raise"``,
        a line cannot be used.
    """
    fonts = find_fonts(fonts)
    report = SkipReport(on_error)
    own = None if text_file is None else _own_lines(text_file, seed, split, report)
    number = SPLITS[split]
    samples = []
    for index in range(lines):
        id = f"synthetic-{split}-{index:06d}"
        text = own[index % len(own)] if own else made_up_line(
            generator(seed, _TEXT, number, index))
        writer = index % writers
        samples.append(LineSample(id, text, None, f"{split}-{writer:03d}",
                                  {"index": index, "writer_key": (number, writer)}))
    return SyntheticLines(split, samples, report, seed, height, fonts)
