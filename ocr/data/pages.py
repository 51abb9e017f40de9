"""Pages with their ground truth as PAGE or ALTO XML, as eScriptorium and Transkribus export it.

One XML file describes one page: the image's name and, for each line, an outline, a baseline and
the text. Lines are cut out of the page when they are asked for. Any version (namespace) of
either format is read; elements are known by their local names.
"""

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal, Optional, Union

import numpy as np

from lm.base.errors import ConfigError, DataError, MissingDataError
from lm.base.files import read_text
from lm.base.settings import Range

from ..formats.parse import (
    TOLERANCE,
    AltoXml,
    PageXml,
    Unusable,
    line_distance,
    outline_of,
    parse_xml,
    tidy,
)
from ..image.cutting import TextLine, crop, line_of_polygon
from ..image.load import image_shape, load_grey
from .base import LineDataset, LineSample, SkipReport
from .folder import ENDINGS, Split, divide
from .options import OnError, Paths, Seed

__all__ = ["open_page", "open_alto", "PageLines"]

Crop = Literal["polygon", "box", "baseline"]
Writer = Literal["none", "page", "folder"]
_Share = Annotated[float, Range(0, 5)]

# Raise when other pixels are cut out for the same settings.
_CUT_VERSION = 2
# Root elements of files that lie among the pages of an export, and are none.
_COMPANIONS = ("mets", "TrpDocMetadata", "trpDocMetadata")


# -- finding pages ----------------------------------------------------------------------------

@dataclass(frozen=True)
class _File:
    """An XML file: its path, its name among the files, and its image (or None, with the name)."""

    path: str
    name: str
    image: str
    image_name: str


def _xml_files(path):
    """Return the paths of all XML files of a folder, or of a list of files and folders."""
    found = []
    for item in [path] if isinstance(path, str) else path:
        if os.path.isdir(item):
            inside = sorted(name for name in os.listdir(item)
                            if name.lower().endswith(".xml") and not name.startswith("."))
            if not inside:
                raise MissingDataError(f"{item}: holds no XML files; nested folders are not "
                                       "looked into")
            found += [os.path.join(item, name) for name in inside]
        elif os.path.isfile(item):
            found.append(item)
        else:
            raise MissingDataError(f"{item}: no such XML file or folder of them")
    if not found:
        raise ConfigError("the list of XML files is empty")
    # One file given twice is one page.
    return list(dict.fromkeys(os.path.normpath(file) for file in found))


def _find_image(xml, name, images):
    """Return the page image that an XML file names, or None."""
    folder = os.path.dirname(xml)
    stem = os.path.splitext(os.path.basename(xml))[0]
    if name:
        name = re.sub("^file:/*(?=/)", "", name.strip())
        base = re.split(r"[/\\]", name)[-1]
        # Transkribus keeps the XML in a folder inside that of the images.
        candidates = [os.path.join(folder, name), os.path.join(folder, base),
                      os.path.join(os.path.dirname(os.path.abspath(folder)), base)]
        if images is not None:
            candidates = [os.path.join(images, name), os.path.join(images, base)]
    else:
        candidates = [os.path.join(images or folder, stem + ending) for ending in ENDINGS]
    return next((c for c in candidates if os.path.isfile(c)), None)


def _pages(kind, path, images, report):
    """Return the `_File` of each page; files that are no pages of the format are left out."""
    paths = _xml_files(path)
    try:
        common = os.path.commonpath([os.path.dirname(os.path.abspath(p)) for p in paths])
    except ValueError:  # on several drives
        common = None
    files, owners = [], {}
    for xml in paths:
        name = os.path.basename(xml) if common is None else os.path.relpath(
            os.path.abspath(xml), common).replace(os.sep, "/")
        try:
            root = parse_xml(xml, until=kind.body)
        except DataError as error:
            report.add(name, "malformed XML", str(error))
            continue
        if root.name != kind.root:
            if root.name not in _COMPANIONS:
                report.add(name, "another format", f"{xml}: its root is <{root.name}>, "
                                                   f"not <{kind.root}>")
            continue
        image_name = kind.image_name(root)
        image = _find_image(xml, image_name, images)
        key = os.path.realpath(image) if image else (os.path.dirname(xml), image_name or name)
        # Else the lines of one page could stand in two splits.
        if key in owners:
            report.add(name, "repeated page", f"{xml}: its image {image or image_name} is that "
                                              f"of {owners[key]}")
            continue
        owners[key] = xml
        files.append(_File(xml, os.path.splitext(name)[0], image, image_name))
    return files


def _listed(value, option):
    """Return the names of a list of pages, or None where the option is a number or share."""
    if value is None or isinstance(value, (int, float)):
        return None
    if isinstance(value, (list, tuple)):
        return [str(name) for name in value]
    content = read_text(value, MissingDataError(
        f"{value}: no such list of pages ({option}); it should hold one name of an XML file or "
        "image a row"))
    rows = [row.strip() for row in content.split("\n")]
    return [row for row in rows if row and not row.startswith("#")]


def _of_split(files, split, train, validation, test, seed, where, report):
    """Return the files of a split, and how they were chosen in words."""
    lists = {name: names for name, value in
             (("train", train), ("validation", validation), ("test", test))
             if (names := _listed(value, name)) is not None}
    if split == "all":
        return files, "all"
    if not lists:
        chosen = divide(len(files), validation, test, seed)[split]
        if not chosen:
            raise DataError(f"{where}: no page for the split {split!r}; set {split} to a number "
                            "of pages or a share")
        return ([files[i] for i in chosen],
                f"{split} (validation {validation}, test {test} of pages, seed {seed})")
    if split not in lists:
        raise ConfigError(f"pages are listed for {', '.join(lists)}; {split} needs a list, too")
    by_name = {}
    for file in files:
        image = re.split(r"[/\\]", file.image_name or "")[-1]
        for name in {file.name, file.name + ".xml", os.path.basename(file.path), image,
                     os.path.basename(file.name), os.path.splitext(image)[0]} - {""}:
            by_name.setdefault(name, set()).add(file)
    chosen = {}
    for name, names in lists.items():
        for entry in names:
            found = by_name.get(entry.replace("\\", "/"), set())
            if len(found) > 1:
                raise DataError(f"the page {entry!r} of {name} could be "
                                + " or ".join(sorted(f.path for f in found)))
            if not found:
                if name == split:
                    report.add(entry, "unknown page", f"listed for {name}; no such page among "
                                                      f"the XML files of {where}")
                continue
            file, = found
            if chosen.setdefault(file, name) != name:
                raise DataError(f"the page {entry!r} stands in {chosen[file]} and in {name}")
    return [file for file in files if chosen.get(file) == split], split


# -- cutting lines out ------------------------------------------------------------------------

@lru_cache(maxsize=2)
def _load_page(path, size, time):
    page = load_grey(path)
    page.flags.writeable = False
    return page


def _cut(line, bounds, polygon, baseline, scale, size):
    """Return the `TextLine`, its box (x, y, width, height), and whether the image cut it short."""
    across, down = scale
    left, top, right, bottom = bounds
    # Rounded first: 0.1 + 0.2 must not cost or win a pixel.
    left, top = (int(np.floor(round(v, 6))) for v in (left * across, top * down))
    right, bottom = (int(np.ceil(round(v, 6))) for v in (right * across, bottom * down))
    if right <= left or bottom <= top:
        raise Unusable("empty outline", f"{line.where}: the outline has no area")
    width, height = size
    box = (max(left, 0), max(top, 0), min(right, width), min(bottom, height))
    if box[2] <= box[0] or box[3] <= box[1]:
        raise Unusable("outside the page", f"{line.where}: ({left}, {top}) to ({right}, "
                                            f"{bottom}) on a page of {width} x {height}")
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    outline, baseline = (points and [(x * across, y * down) for x, y in points]
                         for points in (polygon, baseline))
    try:
        cut = line_of_polygon(outline or corners, baseline, 0, size)
    except DataError as error:
        raise Unusable("empty outline", f"{line.where}: {error}") from None
    return cut, (box[0], box[1], box[2] - box[0], box[3] - box[1]), box != (left, top, right,
                                                                              bottom)


class PageLines(LineDataset):
    """Lines cut out of page images; made by `open_page` and `open_alto`.

    ``sample.path`` is the page's image. ``sample.extra`` holds ``page``, ``region`` and
    ``line`` (ids), ``box`` (x, y, width, height in pixels of the page), ``clipped`` where the
    page ended before the outline did, and PAGE's ``custom`` or ALTO's ``tags``.
    """

    def __init__(self, name, split, samples, report, cuts):
        super().__init__(name, split, samples, report)
        self._cuts = cuts

    def line(self, index: int) -> TextLine:
        """Return where sample `index` is on its page."""
        return self._cuts[self.samples[index].id]

    def image(self, index):
        """Return sample `index`'s image: uint8 grey, (height, width); raises `DataError`."""
        path, line = self.samples[index].path, self.line(index)
        try:
            stat = os.stat(path)
        except OSError:
            raise DataError(f"{path}: no such image") from None
        # Lines are mostly asked for page by page.
        page = _load_page(path, stat.st_size, stat.st_mtime_ns)
        if line.box[2] > page.shape[1] or line.box[3] > page.shape[0]:
            raise DataError(f"{path}: the page has another size than when it was opened")
        return crop(page, line)

    def image_size(self, index):
        """Return the (height, width) of sample `index`'s image, without reading it."""
        return self.line(index).size[::-1]

    def image_key(self, index):
        """Return the page's path, size and time, and where the line is cut out."""
        line = self.line(index)
        return (f"{super().image_key(index)}:{_CUT_VERSION}:{line.frame}:{line.angle}:"
                f"{line.polygon}")


def _scale(file, stated):
    """Return ((across, down) pixels a unit, the image's size)."""
    if file.image is None:
        raise Unusable("missing image", f"{file.path}: its image {file.image_name or ''!r} is "
                                         "not there" + ("" if file.image_name else
                                                        ", nor is one named like the XML file"))
    try:
        height, width = image_shape(file.image)
    except DataError as error:
        raise Unusable("unreadable image", str(error)) from None
    if stated is None:
        return (1.0, 1.0), (width, height)
    if min(stated) < 1:
        raise Unusable("no page size", f"{file.path}: the page is {stated[0]:g} x {stated[1]:g}")
    across, down = width / stated[0], height / stated[1]
    if abs(across / down - 1) > TOLERANCE:
        raise Unusable("another size", f"{file.path}: the page is {stated[0]:g} x {stated[1]:g} "
                                        f"in shape, its image {file.image} {width} x {height}")
    return (across, down), (width, height)


def _read_page(kind, file, crop, ascent, descent, report):
    """Yield (line of the XML, `TextLine`, box, clipped) of the usable lines of a file."""
    try:
        root = parse_xml(file.path)
        scale, size = _scale(file, kind.size(root, file.path))
    except DataError as error:
        report.add(file.name, "malformed XML", str(error))
        return
    except Unusable as error:
        report.add(file.name, error.reason, error.detail)
        return
    lines, seen = [], set()
    for number, (node, region) in enumerate(kind.lines(root), 1):
        name = node.get("id") or node.get("ID") or f"line{number}"
        where = f"{file.path}, line {node.line}: {name}"
        try:
            if name in seen:
                raise Unusable("repeated id", f"{where}: stands twice in the file")
            seen.add(name)
            line = kind.read(node, region, where)
        except Unusable as error:
            report.add(f"{file.name}/{name}", error.reason, error.detail)
            continue
        line.id = name
        lines.append(line)
    # Lines without text tell the distance of lines as well.
    distance = line_distance(lines)
    for line in lines:
        line.text = tidy(line.text)
        try:
            if not line.text:
                raise Unusable("empty transcript", line.where)
            # A box is taken as it stands, whatever the line within it does.
            cut = _cut(line, *outline_of(line, crop, ascent, descent, distance),
                       None if crop == "box" else line.baseline, scale, size)
        except Unusable as error:
            report.add(f"{file.name}/{line.id}", error.reason, error.detail)
        else:
            yield line, *cut


def _open(kind, path, split, crop, ascent, descent, train, validation, test, seed,
          images, writer, on_error):
    if not ascent + descent:
        raise ConfigError(f"{kind.name}: ascent and descent are both 0")
    report = SkipReport(on_error)
    where = path if isinstance(path, str) else "the list"
    files = _pages(kind, path, images, report)
    if not files:
        raise DataError(f"{where}: no page could be read; {report}")
    chosen, split = _of_split(files, split, train, validation, test, seed, where, report)
    samples, cuts = [], {}
    for file in chosen:
        author = {"none": None, "page": file.name,
                  "folder": os.path.basename(os.path.dirname(os.path.abspath(file.path)))}[writer]
        for line, cut, box, clipped in _read_page(kind, file, crop, ascent, descent, report):
            id = f"{file.name}/{line.id}"
            extra = {"page": file.name, "region": line.region, "line": line.id, "box": box,
                     **({"clipped": True} if clipped else {}), **line.extra}
            samples.append(LineSample(id, line.text, file.image, author, extra))
            cuts[id] = cut
    return PageLines(f"{kind.name}-line ({crop})", split, samples, report, cuts)


def open_page(path: Paths, split: Split = "all", crop: Crop = "polygon",
              ascent: _Share = 0.75, descent: _Share = 0.3,
              train: Optional[Paths] = None, validation: Union[int, float, Paths] = 0.1,
              test: Union[int, float, Paths] = 0, seed: Seed = 1, images: Optional[str] = None,
              writer: Writer = "none", on_error: OnError = "skip") -> PageLines:
    """Open pages with PAGE XML, line by line.

    Parameters
    ----------
    path : str or list of str
        Folder of XML files (not those inside its folders), or a list of files and folders.
        METS files among them are passed over. The image is sought where its name says, by its
        last part beside the XML file and one folder up; an XML file that names none goes with
        the image of its own name.
    split : {"train", "validation", "test", "all"}
        Of whole pages. Two XML files of one image are one page; the second is left out.
    crop : {"polygon", "box", "baseline"}
        How lines are cut out (`ocr.image.crop`, which cuts for reading as well). "polygon": by
        the line's outline, what is outside being painted over; "box": its bounding box as it is;
        "baseline": a band along the baseline, painted over outside. The first two take, where a
        line has no outline, its box (ALTO), else the band. A line that rises or falls by half a
        degree or more is turned level, but for "box". A pixel belongs to an outline when its
        centre does; a box from 10 to 20 is ten pixels wide.
    ascent, descent : float
        How far the band reaches above and below the baseline, as shares of the median distance
        between baselines of the page.
    train, validation, test : list of str or str, float or int
        Lists of pages, or files with one page a row: names of XML files or images, with or
        without ending; a page in two lists is an error. Where no list is given, `validation`
        and `test` are numbers of pages or shares and the rest is for training
        (`ocr.data.folder.divide`).
    seed : int
        Decides which pages go to which split, where they are not listed.
    images : str, optional
        Folder of the page images.
    writer : {"none", "page", "folder"}
        What stands for a line's writer: nothing, its page, or the folder of the XML file.
    on_error : {"skip", "raise"}
        What becomes of files that are malformed or of another format, missing images, unknown
        units, lines without text or a usable outline, and repeated ids and pages: counted and
        listed in ``dataset.report``, or fatal.

    Returns
    -------
    PageLines
        Ids are ``file/line id``. Of several readings (TextEquiv) that of the lowest index
        counts; a line without any takes those of its words. An outline that reaches beyond
        the page is clipped (``extra["clipped"]``). Where page and image differ in size, as
        for copies scaled down, coordinates are scaled.

    Raises
    ------
    MissingDataError
        No such folder, file or list.
    ConfigError
        An unknown or bad option.
    DataError
        No page can be read, none is in the split, a page is listed twice, or anything wrong
        when ``on_error="raise"``; the message names file and line.
    """
    return _open(PageXml, path, split, crop, ascent, descent, train, validation, test,
                 seed, images, writer, on_error)


def open_alto(path: Paths, split: Split = "all", crop: Crop = "polygon",
              ascent: _Share = 0.75, descent: _Share = 0.3,
              train: Optional[Paths] = None, validation: Union[int, float, Paths] = 0.1,
              test: Union[int, float, Paths] = 0, seed: Seed = 1, images: Optional[str] = None,
              writer: Writer = "none", on_error: OnError = "skip") -> PageLines:
    """Open pages with ALTO XML, line by line; everything is as for `open_page`.

    A line's text is its Strings: those between which an SP stands are set apart by a space, or
    all where the line has no SP. HYP adds its hyphen. Coordinates are in pixels, mm10 or
    inch1200; the latter two are scaled by the page's size in the same unit.
    """
    return _open(AltoXml, path, split, crop, ascent, descent, train, validation, test,
                 seed, images, writer, on_error)


# The options are told once; python -OO has no docstrings.
if open_alto.__doc__ and open_page.__doc__:
    open_alto.__doc__ += open_page.__doc__[open_page.__doc__.index("\n    Parameters\n"):]
