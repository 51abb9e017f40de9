"""The IAM Handwriting Database, from files already on disk.

The folder (`root`) holds what the owner's archives unpack to::

    xml/a01-000u.xml                        xml.tgz
    ascii/{lines,words,forms}.txt           ascii.tgz
    lines/a01/a01-000u/a01-000u-00.png      lines.tgz
    words/a01/a01-000u/a01-000u-00-00.png   words.tgz
    forms/a01-000u.png                      formsA-D.tgz, formsE-H.tgz, formsI-Z.tgz
    largeWriterIndependentTextLineRecognitionTask/{trainset,validationset1,...}.txt

Only what the chosen mode, annotation and split need has to be there.

Two things change scores and are therefore part of a dataset's name:

* ``annotations="ascii"`` gives IAM's tokenised text: its tokens are separated by ``|``, which
  is read as a space, so that a space stands before most punctuation (``tomorrow .``). The
  lines of ``annotations="xml"`` are written as on paper (``tomorrow.``).
* ``segmentation="all"`` keeps the lines whose cutting into words failed (``err``). Their
  images and transcripts are sound, and the published split sizes count them.
"""

import os
from typing import Literal, Optional

from lm.base.errors import ConfigError, DataError, MissingDataError

from .base import LineDataset, LineSample, SkipReport
from .iam_ascii import ascii_items
from .iam_items import HOME_PAGE, lines_of, missing_data, parent
from .iam_xml import xml_items
from .options import OnError

__all__ = ["open_iam", "OFFICIAL_FOLDER", "OFFICIAL_SPLITS", "AACHEN_SPLITS"]

#: Number of ``-``-separated parts in an id of each mode.
DEPTHS = {"form": 2, "line": 3, "word": 4}

OFFICIAL_FOLDER = "largeWriterIndependentTextLineRecognitionTask"
#: The four files of the official split; they are never merged.
OFFICIAL_SPLITS = {"official/train": "trainset.txt", "official/validation1": "validationset1.txt",
                   "official/validation2": "validationset2.txt", "official/test": "testset.txt"}
#: The Aachen (RWTH) split is passed around as form lists under several names.
AACHEN_SPLITS = {
    "aachen/train": ("train.txt", "train.uttlist", "train.lst", "tr.lst", "train.ln"),
    "aachen/validation": ("validation.txt", "validation.uttlist", "valid.txt", "val.txt",
                          "validation.lst", "va.lst", "val.lst", "val.ln"),
    "aachen/test": ("test.txt", "test.uttlist", "test.lst", "te.lst", "test.ln"),
}


# -- splits -----------------------------------------------------------------------------------

def _split_file(root, split, split_folder):
    """Return the id list of `split`, or None for all."""
    if split == "all":
        return None
    if split.startswith("file:"):
        path = split[len("file:"):]
        if not os.path.isfile(path):
            raise MissingDataError(f"{path}: no such list of ids; it should hold one id of a "
                                   "form, line or word a row")
        return path
    if split in OFFICIAL_SPLITS:
        name = OFFICIAL_SPLITS[split]
        folders = [split_folder] if split_folder else [
            os.path.join(root, OFFICIAL_FOLDER), os.path.join(root, "splits", OFFICIAL_FOLDER)]
        paths = [os.path.join(folder, name) for folder in folders]
        missing = missing_data(paths[0], f"the id list of {split}", f"{OFFICIAL_FOLDER}.zip")
    elif split in AACHEN_SPLITS:
        folders = [split_folder] if split_folder else [
            os.path.join(root, "aachen"), os.path.join(root, "splits", "aachen")]
        paths = [os.path.join(folder, name)
                 for folder in folders for name in AACHEN_SPLITS[split]]
        missing = MissingDataError(
            f"{paths[0]}: not there; the lists of the Aachen (RWTH) split do not come with IAM "
            f"({HOME_PAGE}) but with the papers that use it: put its three lists, one form id a "
            "row, into this folder or give theirs as split_folder (also read: "
            f"{', '.join(AACHEN_SPLITS[split][1:])})")
    else:
        known = ", ".join((*OFFICIAL_SPLITS, *AACHEN_SPLITS, "all", "file:PATH"))
        raise ConfigError(f"unknown IAM split {split!r}; known: {known}")
    for path in paths:
        if os.path.isfile(path):
            return path
    raise missing


def _wanted(path, mode):
    """Return {key: (id as listed, where)} of an id list; keys are cut to the mode's depth.

    A line's id thus selects, in form mode, the form it stands on; ids of forms keep their own
    depth and select all that stands on the form.
    """
    wanted = {}
    for number, row in lines_of(path, MissingDataError(f"{path}: no such list of ids")):
        id = row.strip()
        if not id or id.startswith("#"):
            continue
        if id.endswith(".png"):
            id = id[:-len(".png")]
        wanted.setdefault(parent(id, DEPTHS[mode]), (id, f"{path}, line {number}"))
    if not wanted:
        raise DataError(f"{path}: holds no ids")
    return wanted


# -- images -----------------------------------------------------------------------------------

class _ImageFinder:
    """Finds an id's image in IAM's own layout or a common variation of it."""

    def __init__(self, root, mode):
        self.mode = mode
        kinds = [f"{mode}s"]
        if mode == "form":
            kinds += ["formsA-D", "formsE-H", "formsI-Z"]
        # An archive unpacked into a folder of its own name lies one level deeper.
        folders = [os.path.join(root, *parts) for kind in kinds
                   for parts in ((kind,), (kind, kind))]
        self.folders = [folder for folder in folders if os.path.isdir(folder)]
        self.expected = folders[0]
        self.archive = f"{mode}s.tgz" if mode != "form" else \
            "formsA-D.tgz, formsE-H.tgz and formsI-Z.tgz"

    def _relative(self, id):
        nested = (parent(id, 1), parent(id, 2), id + ".png")
        flat = (id + ".png",)
        if self.mode == "form":
            return flat, nested, nested[::2]
        return nested, nested[1:], nested[::2], flat

    def usual(self, id):
        """Return where `id`'s image lies in IAM's own layout."""
        return os.path.join(self.expected, *self._relative(id)[0])

    def find(self, id):
        """Return the path of `id`'s image, or None."""
        for folder in self.folders:
            for parts in self._relative(id):
                path = os.path.join(folder, *parts)
                if os.path.isfile(path):
                    # The rest of the images most likely lies beside it.
                    self.folders.remove(folder)
                    self.folders.insert(0, folder)
                    return path
        return None


# -- the source -------------------------------------------------------------------------------

def _select(items, wanted, mode):
    """Return the items that `wanted` selects, and what of it selected none."""
    if wanted is None:
        return list(items), []
    depths = range(2, DEPTHS[mode] + 1)
    chosen, unused = [], set(wanted)
    for item in items:
        keys = [key for key in (parent(item.id, depth) for depth in depths) if key in wanted]
        unused.difference_update(keys)
        if keys:
            chosen.append(item)
    return chosen, [wanted[key] for key in sorted(unused)]


def open_iam(root: str, mode: Literal["line", "word", "form"] = "line",
             split: str = "official/train", annotations: Literal["xml", "ascii"] = "xml",
             segmentation: Literal["all", "ok", "err"] = "all",
             split_folder: Optional[str] = None, on_error: OnError = "skip") -> LineDataset:
    """Open IAM from files on disk.

    Parameters
    ----------
    root : str
        Folder that holds the unpacked archives (see the module's description).
    mode : {"line", "word", "form"}
        What one sample is. A form's text is that of its lines, joined by newlines.
    split : str
        ``official/train``, ``official/validation1``, ``official/validation2``,
        ``official/test`` (the Large Writer Independent Text Line Recognition Task);
        ``aachen/train``, ``aachen/validation``, ``aachen/test`` (form lists in
        ``root/aachen``); ``file:PATH``, the user's own list; or ``all``. A list holds one id a
        row. An id selects all that stands under it (a form's lines), or, when it is finer than
        the mode, what it stands on.
    annotations : {"xml", "ascii"}
        Where transcripts come from. With "ascii", punctuation is set off by spaces; writers
        come from ``ascii/forms.txt`` and are None without it.
    segmentation : {"all", "ok", "err"}
        Lines or words whose segmentation into words has this flag. In the XML a word has its
        line's flag; a line without one has that of ``ascii/lines.txt``, else "ok". A form is
        "ok" when all of its lines are.
    split_folder : str, optional
        Folder of the official or Aachen lists when they lie elsewhere.
    on_error : {"skip", "raise"}
        What becomes of a listed id without annotation, a malformed XML file, an empty
        transcript or a missing image: counted and listed in ``dataset.report``, or fatal.

    Returns
    -------
    LineDataset
        Ids are IAM's. ``sample.extra`` holds ``form``, ``segmentation`` and where known
        ``line``, ``tag``, ``grey_level``, ``box`` (x, y, width, height in pixels of the form),
        ``lines`` (of a form).

    Raises
    ------
    MissingDataError
        A file or folder is not there; the message says where it should lie and where IAM is
        obtained.
    DataError
        A malformed row of the ascii tables, an id that stands twice, or any bad file or sample
        when ``on_error="raise"``; the message names file and line.
    ConfigError
        An unknown mode, split, annotation or segmentation.
    """
    report = SkipReport(on_error)
    if not os.path.isdir(root):
        raise missing_data(root, "the folder", "its archives")
    list_path = _split_file(root, split, split_folder)
    wanted = None if list_path is None else _wanted(list_path, mode)
    if annotations == "xml":
        forms = None if wanted is None else {parent(key, 2) for key in wanted}
        items = xml_items(root, mode, forms, report)
    else:
        items = ascii_items(root, mode)
    items, unused = _select(items, wanted, mode)
    for id, where in unused:
        report.add(id, "unknown id", f"{where}: no such {mode} in the {annotations} annotations")
    items = [item for item in items if segmentation in ("all", item.segmentation)]
    samples = _samples(items, _ImageFinder(root, mode), report)
    return LineDataset(f"iam-{mode} ({annotations}, {segmentation})", split, samples, report)


def _samples(items, finder, report):
    """Return the usable items as `LineSample`; the others go to `report`."""
    samples, absent, seen = [], [], {}
    for item in items:
        if item.id in seen:
            raise DataError(f"{item.where}: the id {item.id!r} stands at {seen[item.id]} too")
        seen[item.id] = item.where
        if not item.text.strip():
            report.add(item.id, "empty transcript", item.where)
            continue
        path = finder.find(item.id)
        if path is None:
            absent.append(item.id)
            continue
        samples.append(LineSample(item.id, item.text, path, item.writer,
                                  {**item.extra, "segmentation": item.segmentation}))
    if absent and not samples:
        # Nothing at all: the archive lies elsewhere, which is no matter of single images.
        raise missing_data(finder.usual(absent[0]), f"one of {len(absent)} images", finder.archive)
    for id in absent:
        report.add(id, "missing image", f"{finder.usual(id)} is not there")
    return samples
