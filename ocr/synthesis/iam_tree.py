"""Writes synthetic handwriting as a folder in the IAM Handwriting Database's own format."""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from typing import Annotated, Optional

import numpy as np
from PIL import Image

from lm.base.errors import ConfigError, DataError
from lm.base.settings import Range, check_options

from ..base.randomness import generator
from ..data.base import SkipReport
from ..data.iam import OFFICIAL_FOLDER, OFFICIAL_SPLITS
from ..data.iam_items import unescape
from ..data.options import Count, Paths, Seed
from .fonts import find_fonts
from .source_text import made_up_lines, read_text_lines
from .strokes import make_style, render_line

__all__ = ["WrittenTree", "write_iam_tree", "escape"]

#: Tells a folder written by this module; it holds the settings.
MARKER = ".synthetic.json"
_ENTRIES = {MARKER, "ascii", "xml", "lines", "words", "forms", "aachen", OFFICIAL_FOLDER}

# Shares of the writers; the rest is train.
_OFFICIAL = (("official/validation1", .08), ("official/validation2", .08), ("official/test", .14))
_AACHEN = (("validation", .10), ("test", .20))

# What a generator is for; part of its seed, and unlike those of single synthetic lines.
_WRITER, _TEXT, _IMAGE, _SHARE, _PAGE = range(100, 105)

MARGIN, GAP = 40, 12

#: Pixels from the tallest to the lowest letter.
Height = Annotated[int, Range(16)]


def escape(text):
    """Escape `text` twice for an XML attribute, as IAM's files have it."""
    for _ in range(2):
        for character, entity in (("&", "&amp;"), ('"', "&quot;"), ("<", "&lt;"), (">", "&gt;")):
            text = text.replace(character, entity)
    return text


@dataclass(frozen=True)
class WrittenTree:
    """What `write_iam_tree` wrote: counts, and how many lines each official split has."""

    forms: int
    lines: int
    err_lines: int
    words: int
    writers: int
    splits: dict
    skipped: int

    def __str__(self):
        splits = ", ".join(f"{name} {count}" for name, count in self.splits.items())
        text = (f"{self.forms} forms, {self.lines} lines ({self.err_lines} err), {self.words} "
                f"words by {self.writers} writers; {splits}")
        return text + (f"; {self.skipped} lines of the text could not be written"
                       if self.skipped else "")


@dataclass
class _Word:
    id: str
    text: str
    box: tuple


@dataclass
class _Line:
    id: str
    text: str
    flag: str
    grey: int
    box: tuple
    image: np.ndarray
    words: list


@dataclass
class _Form:
    id: str
    writer: str
    lines: list = field(default_factory=list)
    page: Optional[np.ndarray] = None


def _form_ids(count):
    """Return `count` ids like IAM's: a01-000u, a01-003, ..., a02-000u, ..."""
    per_group = max(10, -(-count // 156))
    if per_group > 333:
        raise ConfigError(f"{count} forms are more than IAM's ids can number (51948)")
    ids = []
    for form in range(count):
        group, place = divmod(form, per_group)
        letter, number = divmod(group, 6)
        ids.append(f"{chr(97 + letter)}{number + 1:02d}-{3 * place:03d}{'' if place else 'u'}")
    return ids


def _share_out(writers, shares, rest, rng):
    """Return {split: set of writer numbers}; every split gets at least one."""
    order = [int(writer) for writer in rng.permutation(writers)]
    parts, start = {}, 0
    for name, share in shares:
        size = max(1, round(share * writers))
        parts[name] = set(order[start:start + size])
        start += size
    return {rest: set(order[start:]), **parts}


def _tokens(text, rng):
    """Cut a line into words; now and then two stay together, as in IAM's ``M Ps``."""
    tokens = text.split()
    if len(tokens) > 2 and rng.random() < .03:
        place = int(rng.integers(len(tokens) - 1))
        tokens[place:place + 2] = [" ".join(tokens[place:place + 2])]
    return tokens


def _hull(boxes):
    left, top = min(b[0] for b in boxes), min(b[1] for b in boxes)
    return (left, top, max(b[0] + b[2] for b in boxes) - left,
            max(b[1] + b[3] for b in boxes) - top)


def _bad_cut(box, width, rng):
    """Return a word's box as a failed segmentation would have it, inside the line."""
    left = int(np.clip(box[0] + rng.integers(-40, 41), 0, width - 8))
    return left, box[1], max(4, min(box[2] // 2, width - left)), box[3]


def _draw_form(id, writer, texts, style, seed, number, settings):
    """Draw a form's lines and lay them on a page."""
    form = _Form(id, f"{writer:03d}")
    page_rng = generator(seed, _PAGE, number)
    drawn = [render_line(text, style, generator(seed, _IMAGE, number, place), settings["height"])
             for place, text in enumerate(texts)]
    height = sum(d.image.shape[0] + GAP for d in drawn) + 2 * MARGIN
    width = max(d.image.shape[1] for d in drawn) + 2 * MARGIN
    form.page = np.full((height, width), np.uint8(style.paper) // 8 * 8 + 7, np.uint8)
    top = MARGIN
    for place, (text, line) in enumerate(zip(texts, drawn)):
        rows, columns = line.image.shape
        room = width - columns - 2 * MARGIN
        left = MARGIN + int(page_rng.integers(0, min(room, 24) + 1))
        form.page[top:top + rows, left:left + columns] = line.image
        err = page_rng.random() < settings["err_share"]
        words, first = [], 0
        for number_of_word, token in enumerate(_tokens(text, page_rng)):
            last = first + len(token.split())
            x, y, w, h = _hull(line.boxes[first:last])
            if err:
                x, y, w, h = _bad_cut((x, y, w, h), columns, page_rng)
            words.append(_Word(f"{id}-{place:02d}-{number_of_word:02d}", token,
                               (left + x, top + y, w, h)))
            first = last
        form.lines.append(_Line(f"{id}-{place:02d}", text, "err" if err else "ok",
                                int((style.ink + style.paper) / 2), (left, top, columns, rows),
                                line.image, words))
        top += rows + GAP
    return form


# -- writing ----------------------------------------------------------------------------------

def _save(image, folder, *parts):
    path = os.path.join(folder, *parts)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    # Noise hardly shrinks: a quick compression is nearly as small as the best.
    Image.fromarray(image).save(path, compress_level=3)


def _save_images(form, folder):
    block = form.id.split("-")[0]
    _save(form.page, folder, "forms", f"{form.id}.png")
    for line in form.lines:
        _save(line.image, folder, "lines", block, form.id, f"{line.id}.png")
        for word in line.words:
            x, y, width, height = word.box
            _save(form.page[y:y + height, x:x + width], folder, "words", block, form.id,
                  f"{word.id}.png")


def _xml(form):
    rows = ['<?xml version="1.0" encoding="UTF-8"?>',
            f'<form height="{form.page.shape[0]}" id="{form.id}" version="3.0" '
            f'width="{form.page.shape[1]}" writer-id="{form.writer}">', "<machine-printed-part>"]
    rows += [f'<machine-print-line text="{escape(line.text)}"/>' for line in form.lines]
    rows += ["</machine-printed-part>", "<handwritten-part>"]
    for line in form.lines:
        rows.append(f'<line id="{line.id}" segmentation="{line.flag}" '
                    f'text="{escape(line.text)}" threshold="{line.grey}">')
        for word in line.words:
            x, y, width, height = word.box
            rows.append(f'<word id="{word.id}" tag="{_tag(word.text)}" '
                        f'text="{escape(word.text)}"><cmp x="{x}" y="{y}" width="{width}" '
                        f'height="{height}"/></word>')
        rows.append("</line>")
    return "\n".join([*rows, "</handwritten-part>", "</form>", ""])


def _tag(text):
    return "CD" if text[0].isdigit() else "NN"


def _box(box):
    return " ".join(str(value) for value in box)


def _ascii_tables(forms):
    """Return {file name: rows} of the three tables."""
    tables = {"forms.txt": ["#--- forms.txt ---#", "#", "# format: a01-000u 000 2 prt 7 5 52 36",
                            "#"],
              "lines.txt": ["#--- lines.txt ---#", "#",
                            "# format: a01-000u-00 ok 154 19 408 746 1661 89 A|MOVE|to|stop", "#"],
              "words.txt": ["#--- words.txt ---#", "#",
                            "# format: a01-000u-00-00 ok 154 408 768 27 51 AT A", "#"]}
    for form in forms:
        words = [word for line in form.lines for word in line.words]
        good = [line for line in form.lines if line.flag == "ok"]
        sentences = max(1, sum(line.text.count(end) for line in form.lines for end in ".?!"))
        tables["forms.txt"].append(
            f"{form.id} {form.writer} {sentences} "
            f"{'all' if len(good) == len(form.lines) else 'prt'} {len(form.lines)} {len(good)} "
            f"{len(words)} {sum(len(line.words) for line in good)}")
        for line in form.lines:
            tables["lines.txt"].append(
                f"{line.id} {line.flag} {line.grey} {len(line.words)} {_box(line.box)} "
                + "|".join(word.text for word in line.words))
            for word in line.words:
                tables["words.txt"].append(f"{word.id} {line.flag} {line.grey} {_box(word.box)} "
                                           f"{_tag(word.text)} {word.text}")
    return tables


def _write(rows, folder, *parts):
    path = os.path.join(folder, *parts)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        out.write("".join(f"{row}\n" for row in rows))


def _texts(text_file, forms, lines_per_form, seed, report):
    """Return each form's list of lines."""
    if text_file is None:
        return [made_up_lines(generator(seed, _TEXT, form), lines_per_form)
                for form in range(forms)]
    pool = []
    for number, text in enumerate(read_text_lines(text_file, generator(seed, _TEXT), report)):
        # The tables separate words by |, and an entity would be unescaped in reading.
        if "|" in text or unescape(text) != text:
            report.add(f"{os.path.basename(text_file)}#{number}", "cannot be stored", text)
        else:
            pool.append(text)
    if len(pool) < forms * lines_per_form:
        raise DataError(f"{text_file}: {len(pool)} lines for {forms} forms of {lines_per_form}; "
                        "give a longer text or ask for fewer forms")
    return [pool[k * lines_per_form:(k + 1) * lines_per_form] for k in range(forms)]


def _check_target(folder):
    """Raise `DataError` unless `folder` is free or was written by this module."""
    if not os.path.lexists(folder):
        return
    if not os.path.isdir(folder) or os.path.islink(folder):
        raise DataError(f"{folder}: is no folder; not overwritten")
    entries = set(os.listdir(folder))
    if entries and (MARKER not in entries or entries - _ENTRIES):
        other = sorted(entries - _ENTRIES) or sorted(entries)
        raise DataError(f"{folder}: holds files that are not of a synthetic tree (such as "
                        f"{other[0]}); not overwritten")


def write_iam_tree(folder: str, forms: Count = 120,
                   lines_per_form: Annotated[int, Range(1, 99)] = 9,
                   writers: Annotated[int, Range(4)] = 40, seed: Seed = 1,
                   text_file: Optional[str] = None, height: Height = 64, fonts: Paths = "auto",
                   err_share: Annotated[float, Range(0, 1)] = .05,
                   progress: bool = True) -> WrittenTree:
    """Write synthetic handwriting in IAM's own format, to be read as the source "iam".

    The folder gets ``xml/`` (escaped twice), ``ascii/{lines,words,forms}.txt``, the images of
    ``lines/``, ``words/`` and ``forms/``, the official task's four lists and, in ``aachen/``,
    three form lists; writers are disjoint in both splits. It appears under its name only when
    it is whole.

    Parameters
    ----------
    folder : str
        New, empty, or written by this function before (then replaced).
    forms, lines_per_form : int
    writers : int
        At least four, at most as many as forms; form i is by writer i modulo `writers`.
    seed, text_file, height, fonts
        As for `ocr.synthesis.synthetic.open_synthetic`; the text must suffice for all lines.
    err_share : float
        Share of lines whose words are cut badly and that are flagged ``err``.
    progress : bool
        Show a progress bar on a terminal.

    Returns
    -------
    WrittenTree

    Raises
    ------
    ConfigError
        A number out of range.
    DataError
        The folder holds other files, or the text is too short.
    """
    from tqdm import tqdm

    settings = dict(forms=forms, lines_per_form=lines_per_form, writers=writers, seed=seed,
                    height=height, err_share=err_share)
    check_options(write_iam_tree, {"folder": os.fspath(folder), **settings}, "synth")
    if forms < writers:
        raise ConfigError(f"{forms} forms for {writers} writers; each needs one at least")
    folder = os.path.abspath(os.fspath(folder))
    _check_target(folder)
    files = find_fonts(fonts)
    report = SkipReport()
    texts = _texts(text_file, forms, lines_per_form, seed, report)
    ids = _form_ids(forms)
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    work = tempfile.mkdtemp(dir=os.path.dirname(folder), prefix=f".{os.path.basename(folder)}.")
    try:
        done = []
        for number in tqdm(range(forms), desc="forms", disable=None if progress else True):
            writer = number % writers
            style = make_style((seed, _WRITER, writer), files)
            form = _draw_form(ids[number], writer, texts[number], style, seed, number, settings)
            _save_images(form, work)
            _write([_xml(form).rstrip("\n")], work, "xml", f"{form.id}.xml")
            form.page = None
            for line in form.lines:
                line.image = None
            done.append(form)
        for name, rows in _ascii_tables(done).items():
            _write(rows, work, "ascii", name)
        counts = _write_splits(done, writers, seed, work)
        _write([json.dumps(settings)], work, MARKER)
        _publish(work, folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    lines = [line for form in done for line in form.lines]
    return WrittenTree(forms, len(lines), sum(line.flag == "err" for line in lines),
                       sum(len(line.words) for line in lines), writers, counts, len(report))


def _write_splits(forms, writers, seed, folder):
    """Write both splits' lists; returns {official split: number of lines}."""
    rng = generator(seed, _SHARE)
    counts = {}
    official = _share_out(writers, _OFFICIAL, "official/train", rng)
    for split, name in OFFICIAL_SPLITS.items():
        ids = [line.id for form in forms if int(form.writer) in official[split]
               for line in form.lines]
        _write(ids, folder, OFFICIAL_FOLDER, name)
        counts[split] = len(ids)
    for split, own in _share_out(writers, _AACHEN, "train", rng).items():
        _write([form.id for form in forms if int(form.writer) in own], folder, "aachen",
               f"{split}.txt")
    return counts


def _publish(work, folder):
    """Put the finished folder `work` in the place of `folder`."""
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(work, 0o777 & ~umask)
    if not os.path.isdir(folder):
        os.rename(work, folder)
        return
    old = tempfile.mkdtemp(dir=os.path.dirname(folder), prefix=f".{os.path.basename(folder)}.")
    os.rename(folder, os.path.join(old, "old"))
    os.rename(work, folder)
    shutil.rmtree(old)
