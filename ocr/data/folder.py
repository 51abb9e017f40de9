"""A folder of images whose labels are in their file names."""

import os
import re
from typing import Literal, Union

from lm.base.errors import ConfigError, DataError, MissingDataError
from lm.normalisation import normalise

from ..base.randomness import generator
from .base import LineDataset, LineSample, SkipReport
from .options import CASES, Case, OnError, Seed

__all__ = ["open_folder", "divide", "Split", "ENDINGS"]

#: Splits of a folder.
Split = Literal["train", "validation", "test", "all"]

#: What an image's file name ends in; files of other endings are not looked at.
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")


# Seconds for the label of one name.
_PATIENCE = 1


def _label_rule(label):
    """Return a function from a file's name to its label, or None where it has none."""
    if label == "stem":
        return lambda name: os.path.splitext(name)[0]
    if label == "prefix":
        return lambda name: re.split("[_.]", name, maxsplit=1)[0]
    # Unlike re, it can be told to give up: some expressions take longer than anyone can wait.
    try:
        import regex
    except ImportError:
        raise ConfigError("a regular expression as folder label needs the package regex: "
                          "pip install regex") from None
    try:
        pattern = regex.compile(label)
    except regex.error as error:
        raise ConfigError(f"folder label {label!r}: not a regular expression ({error})") from None
    if pattern.groups != 1:
        raise ConfigError(f"folder label {label!r}: expected stem, prefix or a regular "
                          f"expression with one group; it has {pattern.groups}")

    def search(name):
        try:
            found = pattern.search(name, timeout=_PATIENCE)
        except (TimeoutError, MemoryError):
            raise ConfigError(f"folder label {label!r}: takes more than {_PATIENCE} s to search "
                              f"{name!r}; repeats within repeats are to be avoided") from None
        return found and found[1]

    return search


def _image_files(path, nested):
    """Return the relative paths of all images, with ``/``, sorted by code point."""
    if not os.path.isdir(path):
        raise MissingDataError(f"{path}: no such folder of images")

    def refuse(error):
        raise DataError(f"{error.filename}: cannot be read ({error.strerror})")

    files = []
    for folder, folders, names in os.walk(path, onerror=refuse):
        inside = os.path.relpath(folder, path)
        for name in names:
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
                file = name if inside == "." else os.path.join(inside, name)
                files.append(file.replace(os.sep, "/"))
        if not nested:
            break
        folders[:] = [f for f in folders if not f.startswith(".")]
    if not files:
        raise DataError(f"{path}: holds no images ({', '.join(ENDINGS)})"
                        + ("" if nested else "; nested folders are not looked into"))
    return sorted(files)


def _part(name, value, count):
    """Return how many of `count` files the setting `value` stands for."""
    if isinstance(value, float) and 0 < value < 1:
        return round(value * count)
    if value == 0:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"folder {name} is {value!r}; expected a number of files or a share "
                          "between 0 and 1")
    return value


def divide(count, validation, test, seed):
    """Divide the positions 0..count-1 of a sorted list of files.

    The positions are put into a random order that follows from `seed` and `count` alone: that
    of ``numpy.random.Generator(Philox(SeedSequence(seed))).permutation(count)``. The first of
    them are the test split, the next the validation split, the rest is for training; so the
    test split stays when the number of validation files changes. A file that is added to or
    removed from the folder changes the division.

    Parameters
    ----------
    count : int
    validation, test : int or float
        A number of files, or a share between 0 and 1 of `count`, rounded.
    seed : int
        0 or more.

    Returns
    -------
    dict of str to list of int
        Sorted positions for "train", "validation", "test" and "all".

    Raises
    ------
    ConfigError
        A number out of range, or nothing is left for training.
    """
    last = _part("test", test, count)
    middle = last + _part("validation", validation, count)
    if middle >= count:
        raise ConfigError(f"folder: {last} test and {middle - last} validation files leave "
                          f"nothing of {count} to train on")
    order = generator(seed).permutation(count).tolist()
    return {"train": sorted(order[middle:]), "validation": sorted(order[last:middle]),
            "test": sorted(order[:last]), "all": list(range(count))}


def open_folder(path: str, split: Split = "all", label: str = "stem", case: Case = "keep",
                validation: Union[int, float] = 0.1, test: Union[int, float] = 0,
                seed: Seed = 1, nested: bool = False, on_error: OnError = "skip") -> LineDataset:
    """Open a folder of images that are named after what they show.

    Parameters
    ----------
    path : str
        Folder; of its files those that end in one of `ENDINGS` and do not start with a dot.
    split : {"train", "validation", "test", "all"}
        Which of the images, divided at random.
    label : str
        "stem": the file's name without ending; "prefix": what stands before its first ``_``
        or ``.``; or a regular expression with one group, which is searched for in the name
        with ending and without folders. Several files may have one label.
    case : {"keep", "lower", "upper"}
        What becomes of the label's letters.
    validation, test : int or float
        How many files, or which share of them, make the split. `divide` says which: it depends
        on `seed` and on the sorted list of all image files, also of those skipped later.
    seed : int
        0 or more.
    nested : bool
        Look into folders inside the folder, too.
    on_error : {"skip", "raise"}
        What happens to a file without a label, to what is no file (a pipe, a device), and to an
        image that cannot be read.

    Returns
    -------
    LineDataset
        Ids are the paths inside the folder, in sorted order.

    Raises
    ------
    MissingDataError
        No such folder.
    ConfigError
        An unknown split or case, a bad `label`, or numbers that do not go together.
    DataError
        No images, none in this split, or any bad file when ``on_error="raise"``.
    """
    find_label = _label_rule(label)
    files = _image_files(path, nested)
    chosen = divide(len(files), validation, test, seed)[split]
    if not chosen:
        raise DataError(f"{path}: no file for the split {split!r}; set {split} to a number of "
                        "files or a share")
    report, samples = SkipReport(on_error), []
    for file in (files[i] for i in chosen):
        image = os.path.join(path, *file.split("/"))
        try:
            file.encode()
        except UnicodeEncodeError:
            report.add(ascii(file), "name is not UTF-8", ascii(image))
            continue
        if not os.path.isfile(image):
            report.add(file, "no file", f"{image}: a pipe, a device or a broken link")
            continue
        found = find_label(file.rsplit("/", 1)[-1])
        text = normalise(CASES[case](found or ""))
        if not text.strip():
            report.add(file, "no label", f"{image}: {label!r} finds none in the name")
            continue
        samples.append(LineSample(file, text, image))
    name = os.path.basename(os.path.abspath(path))
    return LineDataset(f"folder {name}", split, samples, report)
