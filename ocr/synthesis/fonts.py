"""Handwriting TrueType fonts, where there are any."""

import os
from functools import lru_cache

from PIL import ImageFont

from lm.base.errors import ConfigError, DataError, MissingDataError

__all__ = ["system_fonts", "find_fonts", "font_of", "covers"]

#: Parts of the file names of handwriting fonts, mostly of Debian's fonts-* packages.
HANDWRITING_FONTS = (
    "breip.", "dancingscript-regular", "dkghandwriting", "ecolier", "ec_cour", "femkeklaver",
    "humor-sans", "kristi", "rufscript", "bwht", "caveat", "patrickhand", "indieflower",
    "shadowsintolight", "homemadeapple", "reeniebeanie", "comingsoon", "architectsdaughter")


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
def font_of(path, size):
    try:
        return ImageFont.truetype(path, size)
    except OSError as error:
        raise DataError(f"{path}: not a readable font ({error})") from None


@lru_cache(maxsize=65536)
def _has(path, character):
    font = font_of(path, 40)
    drawn = bytes(font.getmask(character))
    # A missing character is drawn as the font's box, like this code point of no character.
    return any(drawn) and drawn != bytes(font.getmask("\U0010fffe"))


def covers(path, text):
    """Tell whether a font file has all characters of a text."""
    return all(character.isspace() or _has(path, character) for character in text)
