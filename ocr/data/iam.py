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
import re
from dataclasses import dataclass, field
from functools import lru_cache
from html import unescape as html_unescape
from html.entities import html5
from xml.parsers import expat

from lm.base.errors import ConfigError, DataError, MissingDataError
from lm.base.files import read_text
from lm.normalisation import normalise

from .base import LineDataset, LineSample, SkipReport

__all__ = ["open_iam", "unescape", "OFFICIAL_SPLITS", "AACHEN_SPLITS"]

HOME_PAGE = "https://fki.tic.heia-fr.ch/databases/iam-handwriting-database"

#: Number of ``-``-separated parts in an id of each mode.
DEPTHS = {"form": 2, "line": 3, "word": 4}
ANNOTATIONS = ("xml", "ascii")
SEGMENTATIONS = ("all", "ok", "err")

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

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_NESTED_AMPERSAND = re.compile(r"&(?:(?:amp|AMP|#0*38|#[xX]0*26);)+")


def _character(entity):
    # html.unescape would also take a known name off the front of an unknown one.
    name = entity.group()
    return html_unescape(name) if name[1] == "#" or name[1:] in html5 else name


def unescape(text):
    """Undo HTML escaping however often it was applied.

    IAM's XML attributes are escaped twice (``&amp;quot;``), a few even more often. Only
    complete entities, with their semicolon, are replaced; a lone ``&`` stays.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    while True:
        # Any depth of &amp;amp;... in one step, so that a hostile text costs no more.
        plain = _NESTED_AMPERSAND.sub("&", text)
        plain = _ENTITY.sub(_character, plain)
        if plain == text:
            return text
        text = plain


@dataclass
class _Item:
    """One annotated form, line or word before it is filtered."""

    id: str
    text: str
    writer: str
    segmentation: str
    where: str
    extra: dict = field(default_factory=dict)


def _ascii_flags(root):
    """Return {line id: "ok" or "err"} of ``ascii/lines.txt``; empty when it is not there."""
    if not os.path.isfile(os.path.join(root, "ascii", "lines.txt")):
        return {}
    return {cells[0]: _segmentation(cells[1], where)
            for where, cells in _ascii_rows(root, "lines.txt")}


def _missing(path, what, archive):
    return MissingDataError(
        f"{path}: not there; {what} of the IAM Handwriting Database should lie at this place "
        f"(unpack {archive}, given out after registration at {HOME_PAGE})")


def _lines_of(path, missing):
    """Yield (line number, line) of the text file `path`; `missing` is raised when not there."""
    # Not splitlines(): U+0085 and the like may stand inside a transcript.
    for number, line in enumerate(read_text(path, missing).split("\n"), 1):
        yield number, line.rstrip("\r")


# -- ascii/*.txt ------------------------------------------------------------------------------

#: Columns of the tables, as the error for a malformed row names them.
_COLUMNS = {
    "lines.txt": "id, ok|err, grey level, components, x, y, width, height, transcript",
    "words.txt": "id, ok|err, grey level, x, y, width, height, tag, transcript",
    "forms.txt": "id, writer, sentences, all|prt, lines, good lines, words, good words"}


def _ascii_rows(root, name):
    """Yield (where, cells) of ``ascii/NAME``; the last cell takes the rest of its row."""
    path = os.path.join(root, "ascii", name)
    missing = _missing(path, f"the annotation table {name}", "ascii.tgz")
    for number, row in _lines_of(path, missing):
        # Only a first `#` makes a comment: transcripts hold it too.
        if row.startswith("#") or not row.strip():
            continue
        where = f"{path}, line {number}"
        expected = _COLUMNS[name].count(",") + 1
        cells = row.split(None, expected - 1)
        if len(cells) != expected:
            raise DataError(f"{where}: expected {_COLUMNS[name]}; found {row!r}")
        yield where, cells


def _integers(cells, where, what):
    try:
        return tuple(int(cell) for cell in cells)
    except ValueError:
        raise DataError(f"{where}: {what} should be whole numbers, found "
                        f"{' '.join(cells)!r}") from None


def _segmentation(flag, where):
    # The comment at the head of words.txt says "er", its rows say "err".
    known = {"ok": "ok", "err": "err", "er": "err"}
    if flag not in known:
        raise DataError(f"{where}: segmentation is {flag!r}; expected ok or err")
    return known[flag]


def _ascii_text(transcript):
    return normalise(unescape(transcript.replace("|", " "))).strip()


def _check_id(id, depth, where):
    parts = id.split("-")
    if len(parts) != depth or not all(parts):
        raise DataError(f"{where}: {id!r} is no IAM id of {depth} parts")
    return id


def _parent(id, depth):
    return "-".join(id.split("-")[:depth])


def _ascii_writers(root, required):
    """Return {form id: (writer, where, extra)}; empty when forms.txt may be missing and is."""
    path = os.path.join(root, "ascii", "forms.txt")
    if not required and not os.path.isfile(path):
        return {}
    writers = {}
    for where, cells in _ascii_rows(root, "forms.txt"):
        form = _check_id(cells[0], 2, where)
        counts = _integers((cells[2], *cells[4:]), where, "the counts")
        writers[form] = cells[1], where, {"form": form, "word_segmentation": cells[3],
                                          "lines": counts[1]}
    return writers


def _ascii_items(root, mode):
    writers = _ascii_writers(root, mode == "form")

    def writer(id):
        return writers.get(_parent(id, 2), (None,))[0]

    if mode == "word":
        for where, cells in _ascii_rows(root, "words.txt"):
            id = _check_id(cells[0], 4, where)
            level, = _integers(cells[2:3], where, "the grey level")
            extra = {"form": _parent(id, 2), "line": _parent(id, 3), "grey_level": level,
                     "box": _integers(cells[3:7], where, "the box"), "tag": cells[7]}
            yield _Item(id, _ascii_text(cells[8]), writer(id),
                        _segmentation(cells[1], where), where, extra)
        return
    lines = []
    for where, cells in _ascii_rows(root, "lines.txt"):
        id = _check_id(cells[0], 3, where)
        level, _ = _integers(cells[2:4], where, "the grey level and the components")
        extra = {"form": _parent(id, 2), "grey_level": level,
                 "box": _integers(cells[4:8], where, "the box")}
        lines.append(_Item(id, _ascii_text(cells[8]), writer(id),
                           _segmentation(cells[1], where), where, extra))
    if mode == "line":
        yield from lines
        return
    of_form = {}
    for line in sorted(lines, key=lambda line: line.id):
        of_form.setdefault(line.extra["form"], []).append(line)
    for form, (name, where, extra) in writers.items():
        yield _form_item(form, name, of_form.get(form, []), where, extra)


def _form_item(form, writer, lines, where, extra):
    flag = "ok" if all(line.segmentation == "ok" for line in lines) else "err"
    return _Item(form, "\n".join(line.text for line in lines), writer, flag, where,
                 {**extra, "lines": len(lines)})


# -- xml/*.xml --------------------------------------------------------------------------------

class _FormReader:
    """Reads one ``xml/FORM.xml`` into line and word items; knows its line numbers."""

    def __init__(self, path, flags):
        self.path = path
        self.flags = flags
        self.form = None
        self.writer = None
        self.lines = []
        self.words = []
        self._inside = False
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.EntityDeclHandler = self._entity

    def read(self):
        try:
            with open(self.path, "rb") as source:
                self._parser.ParseFile(source)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror})") from None
        except (expat.ExpatError, LookupError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{self.path}, line {self._parser.CurrentLineNumber}: "
                            f"malformed XML ({error})") from None
        if self.form is None:
            raise DataError(f"{self.path}: holds no <form>")
        for item in (*self.lines, *self.words):
            item.extra["box"] = _hull(item.extra.pop("boxes"))
        return self

    def _where(self):
        return f"{self.path}, line {self._parser.CurrentLineNumber}"

    def _entity(self, *_):
        raise DataError(f"{self._where()}: declares an entity; IAM's files do not")

    def _attribute(self, attributes, name, element):
        if name not in attributes:
            raise DataError(f"{self._where()}: <{element}> without {name}")
        return attributes[name]

    def _start(self, element, attributes):
        if element == "form":
            self.form = _check_id(self._attribute(attributes, "id", element), 2, self._where())
            self.writer = attributes.get("writer-id")
        elif element == "handwritten-part":
            self._inside = True
        elif self._inside and element == "line":
            line = self._item(attributes, element, 3, "", {"form": self.form})
            flag = attributes.get("segmentation") or self.flags().get(line.id, "ok")
            line.segmentation = _segmentation(flag, self._where())
            self.lines.append(line)
            if "threshold" in attributes:
                level, = _integers([attributes["threshold"]], self._where(), "the threshold")
                self.lines[-1].extra["grey_level"] = level
        elif self._inside and element == "word":
            if not self.lines:
                raise DataError(f"{self._where()}: <word> outside a <line>")
            line = self.lines[-1]
            extra = {"form": self.form, "line": line.id, "tag": attributes.get("tag")}
            # IAM judges the segmentation of a line as a whole.
            self.words.append(self._item(attributes, element, 4, line.segmentation, extra))
        elif self._inside and element == "cmp" and self.words:
            values = [self._attribute(attributes, name, element)
                      for name in ("x", "y", "width", "height")]
            box = _integers(values, self._where(), "the box")
            self.words[-1].extra["boxes"].append(box)
            self.lines[-1].extra["boxes"].append(box)

    def _end(self, element):
        if element == "handwritten-part":
            self._inside = False

    def _item(self, attributes, element, depth, flag, extra):
        if self.form is None:
            raise DataError(f"{self._where()}: <{element}> outside a <form>")
        id = _check_id(self._attribute(attributes, "id", element), depth, self._where())
        text = normalise(unescape(self._attribute(attributes, "text", element))).strip()
        return _Item(id, text, self.writer, flag, self._where(), {**extra, "boxes": []})


def _hull(boxes):
    """Return the (x, y, width, height) around all `boxes`; None without any."""
    if not boxes:
        return None
    left, top = min(b[0] for b in boxes), min(b[1] for b in boxes)
    right, bottom = max(b[0] + b[2] for b in boxes), max(b[1] + b[3] for b in boxes)
    return left, top, right - left, bottom - top


def _xml_items(root, mode, forms, report):
    """Yield the items of the files of `forms` (None: of all files)."""
    folder = os.path.join(root, "xml")
    if os.path.isdir(os.path.join(folder, "xml")):
        folder = os.path.join(folder, "xml")
    if not os.path.isdir(folder):
        raise _missing(folder, "the folder of annotations", "xml.tgz")
    names = sorted(name for name in os.listdir(folder) if name.endswith(".xml"))
    flags = lru_cache(maxsize=None)(lambda: _ascii_flags(root))
    if not names:
        raise _missing(os.path.join(folder, "a01-000u.xml"), "one annotation file a form",
                       "xml.tgz")
    for name in names:
        if forms is not None and name[:-len(".xml")] not in forms:
            continue
        try:
            reader = _FormReader(os.path.join(folder, name), flags).read()
        except DataError as error:
            report.add(name[:-len(".xml")], "malformed XML", str(error))
            continue
        if mode == "form":
            yield _form_item(reader.form, reader.writer, reader.lines, reader.path,
                             {"form": reader.form})
        else:
            yield from reader.lines if mode == "line" else reader.words


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
        missing = _missing(paths[0], f"the id list of {split}", f"{OFFICIAL_FOLDER}.zip")
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
    for number, row in _lines_of(path, MissingDataError(f"{path}: no such list of ids")):
        id = row.strip()
        if not id or id.startswith("#"):
            continue
        if id.endswith(".png"):
            id = id[:-len(".png")]
        wanted.setdefault(_parent(id, DEPTHS[mode]), (id, f"{path}, line {number}"))
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
        nested = (_parent(id, 1), _parent(id, 2), id + ".png")
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

def _check_choice(name, value, known):
    if value not in known:
        raise ConfigError(f"IAM {name} is {value!r}; known: {', '.join(known)}")


def _select(items, wanted, mode):
    """Return the items that `wanted` selects, and the keys that selected none."""
    if wanted is None:
        return list(items), set()
    depths = range(2, DEPTHS[mode] + 1)
    chosen, unused = [], set(wanted)
    for item in items:
        keys = [key for key in (_parent(item.id, depth) for depth in depths) if key in wanted]
        unused.difference_update(keys)
        if keys:
            chosen.append(item)
    return chosen, unused


def open_iam(root, mode="line", split="official/train", annotations="xml", segmentation="all",
             split_folder=None, alphabet=None, on_error="skip", check_images=False):
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
    alphabet : Alphabet, optional
        Samples with characters outside it are left out (a form's newlines aside).
    on_error : {"skip", "raise"}
        What becomes of a listed id without annotation, a malformed XML file, an empty
        transcript, a missing image or a character outside the alphabet: counted and listed in
        ``dataset.report``, or fatal.
    check_images : bool
        Decode every image now, so that broken ones are found at opening.

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
    root = os.fspath(root)
    _check_choice("mode", mode, DEPTHS)
    _check_choice("annotations", annotations, ANNOTATIONS)
    _check_choice("segmentation", segmentation, SEGMENTATIONS)
    report = SkipReport(on_error)
    if not os.path.isdir(root):
        raise _missing(root, "the folder", "its archives")
    list_path = _split_file(root, split, split_folder)
    wanted = None if list_path is None else _wanted(list_path, mode)
    if annotations == "xml":
        forms = None if wanted is None else {_parent(key, 2) for key in wanted}
        items = _xml_items(root, mode, forms, report)
    else:
        items = _ascii_items(root, mode)
    items, unused = _select(items, wanted, mode)
    for key in sorted(unused):
        id, where = wanted[key]
        report.add(id, "unknown id", f"{where}: no such {mode} in the {annotations} annotations")
    items = [item for item in items if segmentation in ("all", item.segmentation)]
    samples = _samples(items, _ImageFinder(root, mode), alphabet, report)
    name = f"iam-{mode} ({annotations}, {segmentation})"
    dataset = LineDataset(name, split, samples, report)
    return dataset.drop_unreadable() if check_images else dataset


def _samples(items, finder, alphabet, report):
    """Return the usable items as `LineSample`; the others go to `report`."""
    samples, absent, seen = [], [], {}
    for item in items:
        if item.id in seen:
            raise DataError(f"{item.where}: the id {item.id!r} stands at {seen[item.id]} too")
        seen[item.id] = item.where
        if not item.text.strip():
            report.add(item.id, "empty transcript", item.where)
            continue
        unknown = [] if alphabet is None else alphabet.unknown(item.text.replace("\n", ""))
        if unknown:
            report.add(item.id, "outside the alphabet", f"{item.where}: "
                       + " ".join(f"{c!r} (U+{ord(c):04X})" for c in unknown))
            continue
        path = finder.find(item.id)
        if path is None:
            absent.append(item.id)
            continue
        samples.append(LineSample(item.id, item.text, path, item.writer,
                                  {**item.extra, "segmentation": item.segmentation}))
    if absent and not samples:
        # Nothing at all: the archive lies elsewhere, which is no matter of single images.
        raise _missing(finder.usual(absent[0]), f"one of {len(absent)} images", finder.archive)
    for id in absent:
        report.add(id, "missing image", f"{finder.usual(id)} is not there")
    return samples
