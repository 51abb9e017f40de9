"""Captchas drawn when they are asked for, by the package ``captcha``.

Everything follows from the seed: text and image of line i depend on (seed, split, i) alone, not
on the order in which, or the process from which, they are asked for.
"""

import importlib.util
import string
import threading
from functools import lru_cache
from typing import Annotated, Literal, Union

import numpy as np

from lm.base.errors import ConfigError
from lm.base.settings import Range
from lm.normalisation import normalise

from ..base.randomness import generator
from ..data.base import LineSample
from ..data.lazy import LazyLines
from ..data.options import CASES, Case, Count, Seed

__all__ = ["Captchas", "open_captcha", "SPLITS"]

#: Splits by name; the numbers are part of the seeds.
SPLITS = {"train": 0, "validation": 1, "test": 2}

_Side = Annotated[int, Range(48)]

# What a generator is for; part of its seed.
_TEXT, _IMAGE = range(2)


class _Draws(threading.local):
    """The three functions of `secrets` that the package calls, from a seeded generator."""

    rng = None

    def randbelow(self, limit):
        return int(self.rng.integers(limit))

    def randbits(self, count):
        return int(self.rng.integers(1 << count))

    def choice(self, items):
        return items[self.randbelow(len(items))]


@lru_cache(maxsize=1)
def _package():
    """Return a copy of the module ``captcha.image`` of our own, with its version.

    The package draws from `secrets`, which cannot be seeded. In the copy `secrets` is a
    `_Draws`; the module that others import, and every global random state, stay as they are.
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        spec = importlib.util.find_spec("captcha.image")
        found = version("captcha")
    except (ModuleNotFoundError, PackageNotFoundError):
        spec = None
    if spec is None:
        raise ConfigError("the data source 'captcha' needs the package captcha: "
                          "pip install captcha")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "secrets"):
        raise ConfigError(f"captcha {found} is too old: pip install 'captcha>=0.7'")
    module.secrets = _Draws()
    return module, found


def _draw(text, rng, width, height):
    module, _ = _package()
    module.secrets.rng = rng
    # A new one each time: fonts are not safe to share between threads.
    return np.array(module.ImageCaptcha(width, height).generate_image(text).convert("L"))


def _check_characters(characters):
    """Return the characters as a tuple; `ConfigError` for any that cannot stand in a captcha."""
    module, _ = _package()
    characters = tuple(characters)
    font = module.ImageCaptcha().truefonts[0]
    # Code points that are no characters are drawn as the font's box for what it lacks.
    lacking = bytes(font.getmask("\uffff"))
    for c in characters:
        if len(c) != 1 or normalise(c) != c or not c.isprintable() or c.isspace():
            raise ConfigError(f"captcha characters: {c!r} is not a single printable character")
        if bytes(font.getmask(c)) == lacking:
            raise ConfigError(f"captcha characters: the font has no {c!r} (U+{ord(c):04X})")
    if len(characters) < 2 or len(set(characters)) != len(characters):
        raise ConfigError("captcha characters: expected at least two, none of them twice")
    return characters


class Captchas(LazyLines):
    """Captchas, drawn at each call of `image`; made by `open_captcha`.

    ``sample.extra`` holds ``index``, the line's number, and ``drawn``, the text as it is drawn,
    its case kept.
    """

    def __init__(self, split, codes, characters, seed, width, height, case, stream):
        self.codes, self.characters = codes, characters
        self.seed, self.width, self.height, self.case = seed, width, height, case
        super().__init__("captcha", split, np.arange(len(codes)), stream=stream)
        self._number = SPLITS[split]

    def make_sample(self, number):
        """Return the sample of line `number`."""
        drawn = "".join(self.characters[k] for k in self.codes[number])
        return LineSample(f"captcha-{self.split}-{number:07d}", normalise(CASES[self.case](drawn)),
                          extra={"index": number, "drawn": drawn})

    def image(self, index):
        """Draw sample `index`; uint8, (height, width), dark on light."""
        extra = self.samples[index].extra
        rng = generator(self.seed, _IMAGE, self._number, extra["index"])
        return _draw(extra["drawn"], rng, self.width, self.height)

    def image_size(self, index):
        """Return (height, width), the same for all."""
        return self.height, self.width

    def image_key(self, index):
        """Return all that the pixels of sample `index` follow from."""
        import PIL

        extra = self.samples[index].extra
        return ":".join(str(part) for part in (
            "captcha", _package()[1], PIL.__version__, self.seed, self._number, extra["index"],
            self.width, self.height, extra["drawn"]))


def open_captcha(split: Literal["train", "validation", "test"] = "train", lines: Count = 1000,
                 length: Count = 4,
                 characters: Union[str, tuple[str, ...]] = string.digits + string.ascii_letters,
                 width: _Side = 160, height: _Side = 70, case: Case = "keep", seed: Seed = 1,
                 stream: bool = False) -> Captchas:
    """Draw captchas with the package ``captcha``.

    Parameters
    ----------
    split : {"train", "validation", "test"}
        Splits share no random numbers; short texts may occur in several.
    lines : int
        How many in this split. A longer split begins with the shorter one's lines.
    length : int
        Characters of each.
    characters : str or list of str
        What each character is drawn from, evenly; digits and letters of both cases by default.
    width, height : int
        In pixels. The letters are 42 to 56 pixels high whatever the size.
    case : {"keep", "lower", "upper"}
        Of the label; the image keeps both cases.
    seed : int
        0 or more.
    stream : bool
        Draw the images anew in each epoch instead of keeping all of them: takes about two
        milliseconds an image and no memory.

    Returns
    -------
    Captchas
        The same on every machine with the same versions of captcha, Pillow and NumPy.

    Raises
    ------
    ConfigError
        An unknown split or case, a number out of range, characters that cannot be drawn, or
        the package is not installed.
    """
    characters = _check_characters(characters)
    # Row i takes the i-th numbers of the stream, however many rows there are.
    codes = generator(seed, _TEXT, SPLITS[split]).integers(
        len(characters), size=(lines, length), dtype=np.uint16)
    return Captchas(split, codes, characters, seed, width, height, case, stream)
