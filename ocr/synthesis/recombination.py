"""New lines out of the ink of real ones: their letters cut apart and put together anew.

A recogniser finds where in each line its characters stand; pieces of several characters, all of
one writer, then make up a text that nobody wrote. A network that trains on such lines too sees
more words, in real ink, than the transcripts have. After StackMix (Shonenkov et al. 2021,
arXiv:2108.11667), with pieces of one writer only, cut and joined upright.
"""

import hashlib
import json
import os
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from lm.base.errors import ConfigError, DataError, DecodingError, MissingDataError
from lm.base.files import atomic_path, read_text, write_json, write_text
from lm.normalisation import normalise

from ..base.randomness import generator
from ..data import SkipReport
from ..image import standardise
from ..image.cleaning import deslant, slant_angle
from ..text.ctc import align, log_softmax

__all__ = ["CutLine", "Scrapbook", "cut_line", "cut_lines", "read_texts", "write_recombined"]

#: Longest piece, in characters, and the shortest that a piece's own limit may be.
LONGEST, SHORTEST = 8, 2
#: Texts tried for one line until a writer has the characters of one.
TRIES = 30
#: Grey levels from paper to ink.
CONTRAST = 200
#: Tells a folder written by this module, and of what.
MARKER, FORMAT = ".recombined.json", "ocr-recombined-1"
#: By how much a line may be scaled to be as large as the writer's others.
MOST_SCALING = 1.8


@dataclass(frozen=True)
class CutLine:
    """A line of real handwriting, its letters upright, and where they may be cut.

    Attributes
    ----------
    text : str
    ink : numpy.ndarray
        uint8, (height, width): paper 0, ink about 200, slant undone.
    edges : numpy.ndarray
        int, (len(text) + 1,): the columns between which each character stands.
    usable : numpy.ndarray
        bool, (len(text),): whether the recogniser found the character.
    slant : int
        The slant that was undone, in degrees.
    middle : float
        The row about which the ink lies.
    """

    text: str
    ink: np.ndarray
    edges: np.ndarray
    usable: np.ndarray
    slant: int
    middle: float

    @property
    def pitch(self):
        """Columns a character."""
        return max(float(self.edges[-1] - self.edges[0]), 1.0) / len(self.text)


def _cut_columns(ink, first, last):
    """Return the column with the least ink of each range, of equals that nearest its middle."""
    dark = np.convolve(ink.astype(np.float64).mean(0), (0.25, 0.5, 0.25), "same")
    cuts = []
    for left, right in zip(first, last):
        left = min(max(int(left), 0), ink.shape[1] - 1)
        right = min(max(int(right), left + 1), ink.shape[1])
        columns = np.arange(left, right)
        away = np.abs(columns - (left + right - 1) / 2) / (right - left)
        cuts.append(int(columns[np.argmin(dark[columns] + 4 * away)]))
    return np.maximum.accumulate(cuts)


def cut_line(ink, text, label, logits, blank, frame_pixels, preprocess, least_confidence=0.2,
             scale=1.0):
    """Find where a line's characters stand and cut between them.

    Parameters
    ----------
    ink : numpy.ndarray
        uint8, (height, width), as `ocr.image.prepare_line` makes it.
    text : str
    label : sequence of int
        The text's class indices.
    logits : numpy.ndarray
        (frames, classes), of this line.
    blank : int
    frame_pixels : float
        Columns of the network's input a frame.
    preprocess : PreprocessConfig
    least_confidence : float
        Characters whose highest posterior is less are not used.
    scale : float
        Columns of `ink` for each column of the line as the network read it, margins aside.

    Returns
    -------
    CutLine

    Raises
    ------
    DecodingError
        The text has more characters than the line has frames.
    """
    scores = log_softmax(logits)
    frames, _ = align(scores, label, blank)
    starts, ends = (np.array(side, float) for side in zip(*frames))
    sure = np.array([np.exp(scores[start:end, c].max()) for (start, end), c in zip(frames, label)])
    slant = slant_angle(255 - ink)
    level = standardise(ink, replace(preprocess, scaling="ink"))
    level = (np.minimum(level, 1.25) * CONTRAST).round().astype(np.uint8)
    upright = deslant(level, slant) if slant else level
    # `deslant` widens both sides alike; the middle row keeps its place between them.
    shift = (upright.shape[1] - ink.shape[1]) / 2
    centres = ((starts + ends) / 2 * frame_pixels - preprocess.margin) * scale + shift
    pitch = float(np.median(np.diff(centres))) if len(centres) > 1 else float(ink.shape[0]) / 2
    left = np.concatenate([[centres[0] - pitch], centres[:-1] + 1])
    left = np.append(left, centres[-1] + 1)
    right = np.append(centres, centres[-1] + pitch)
    rows = (upright.astype(np.float64).mean(1)) ** 2
    middle = float((rows * np.arange(len(rows))).sum() / max(rows.sum(), 1e-9))
    return CutLine(text, upright, _cut_columns(upright, left, right), sure >= least_confidence,
                   slant, middle)


def cut_lines(recogniser, prepared, report=None, batch_size=16, least_confidence=0.2, drawn=None):
    """Cut a dataset's lines into characters.

    Parameters
    ----------
    recogniser : LineRecogniser
        Its lines have one height and no fixed width.
    prepared : PreparedLines
        Lines as `recogniser.prepare` makes them.
    report : SkipReport, optional
        Takes the lines that cannot be cut.
    batch_size : int
    least_confidence : float
        As for `cut_line`.
    drawn : PreparedLines, optional
        The same lines at another height, for the ink; what is recombined has this height.

    Returns
    -------
    dict of list of CutLine
        By writer; lines that name no writer count as one writer's.

    Raises
    ------
    ConfigError
        The recogniser reads boxes of one width.
    """
    if recogniser.preprocess.width is not None:
        raise ConfigError("lines are cut where a recogniser of whole lines finds their characters;"
                          " this one reads boxes of one width")
    report = report if report is not None else SkipReport()
    drawn = prepared if drawn is None else drawn
    writers = defaultdict(list)
    for index, logits in enumerate(recogniser.logits(prepared, batch_size)):
        sample = prepared.dataset.samples[index]
        text = " ".join(sample.text.split())
        if unknown := recogniser.alphabet.unknown(text):
            report.add(sample.id, "outside the alphabet", " ".join(map(repr, unknown)))
            continue
        if not text:
            report.add(sample.id, "empty transcript")
            continue
        try:
            line = cut_line(np.asarray(drawn[index]), text, recogniser.alphabet.encode(text),
                            logits, recogniser.alphabet.blank, recogniser.frame_pixels,
                            recogniser.preprocess, least_confidence,
                            drawn.widths[index] / prepared.widths[index])
        except DecodingError as error:
            report.add(sample.id, "longer than its frames", str(error))
            continue
        writers[sample.writer or ""].append(line)
    return dict(writers)


def _to_pitch(line, pitch):
    """Scale a line to `pitch` columns a character, its ink about the middle row."""
    from PIL import Image

    scale = float(np.clip(pitch / line.pitch, 1 / MOST_SCALING, MOST_SCALING))
    height, width = line.ink.shape
    new_width = max(round(width * scale), 1)
    # Output row y is taken from input row middle + (y - height / 2) / scale.
    matrix = (width / new_width, 0, 0, 0, 1 / scale, line.middle + 0.5 - height / 2 / scale)
    ink = Image.fromarray(line.ink).transform((new_width, height), Image.AFFINE, matrix,
                                              Image.BILINEAR, fillcolor=0)
    edges = np.round(line.edges * (new_width / width)).astype(int)
    return replace(line, ink=np.asarray(ink), edges=edges, middle=height / 2)


class Scrapbook:
    """The pieces of one writer's lines.

    Parameters
    ----------
    lines : list of CutLine
    """

    def __init__(self, lines):
        pitch = float(np.median([line.pitch for line in lines]))
        self.lines = [_to_pitch(line, pitch) for line in lines]
        self.slant = float(np.median([line.slant for line in lines]))
        self._places = defaultdict(list)
        for number, line in enumerate(self.lines):
            for start in range(len(line.text)):
                for length in range(1, LONGEST + 1):
                    end = start + length
                    if end > len(line.text) or not line.usable[end - 1]:
                        break
                    if line.edges[end] > line.edges[end - 1]:
                        self._places[line.text[start:end]].append((number, start))
        self.characters = {piece for piece in self._places if len(piece) == 1}

    def covers(self, text):
        """Tell whether there is a piece for every character."""
        return self.characters.issuperset(text)

    def pieces(self, text, rng):
        """Share a text out over pieces: the longest that fits, up to a limit drawn for each.

        Returns
        -------
        list of (int, int, int)
            Line, first character, and the one after the last.
        """
        chosen, place = [], 0
        while place < len(text):
            limit = min(int(rng.integers(SHORTEST, LONGEST + 1)), len(text) - place)
            for length in range(limit, 0, -1):
                if found := self._places.get(text[place:place + length]):
                    break
            else:
                raise DataError(f"this writer has no {text[place]!r}")
            number, start = found[int(rng.integers(len(found)))]
            chosen.append((number, start, start + length))
            place += length
        return chosen

    def write(self, text, rng):
        """Put a text together.

        Parameters
        ----------
        text : str
            All its characters must be there; see `covers`.
        rng : numpy.random.Generator

        Returns
        -------
        numpy.ndarray
            uint8, (height, width): dark ink on white.

        Raises
        ------
        DataError
            The writer lacks a character.
        """
        parts = []
        for number, start, end in self.pieces(text, rng):
            line = self.lines[number]
            parts.append(line.ink[:, line.edges[start]:line.edges[end]])
        ink = np.concatenate(parts, 1)
        return 255 - (deslant(ink, -self.slant) if self.slant else ink)


def read_texts(path):
    """Read the texts to put together, one a line; empty lines do not count."""
    content = read_text(path, MissingDataError(f"{path}: no such text file"))
    texts = [" ".join(normalise(line).split()) for line in content.split("\n")]
    if not (texts := [text for text in texts if text]):
        raise DataError(f"{path}: holds no text")
    return texts


def _claim(folder, writers, texts, seed):
    """Make the folder ours, unless it holds lines made of something else."""
    digest = hashlib.sha256(json.dumps([seed, texts]).encode())
    for name in sorted(writers):
        for line in writers[name]:
            digest.update(f"{name}\0{line.text}\0{line.edges.tolist()}{line.usable.tolist()}"
                          f"{line.slant}{line.ink.shape}".encode())
            digest.update(line.ink.tobytes())
    made_of = {"format": FORMAT, "made_of": digest.hexdigest()}
    marker = os.path.join(folder, MARKER)
    if os.path.exists(marker):
        with open(marker, encoding="utf-8") as source:
            if source.read() != json.dumps(made_of, indent=2) + "\n":
                raise DataError(f"{folder}: holds lines made of other lines or texts, with another "
                                "network or seed; name another folder, or delete it")
    elif os.path.exists(os.path.join(folder, "lines")):
        raise DataError(f"{folder}: holds a folder lines that was not made here")
    os.makedirs(folder, exist_ok=True)
    write_json(marker, made_of)
    os.makedirs(os.path.join(folder, "lines"), exist_ok=True)


def write_recombined(folder, writers, texts, lines, seed=1, report=None):
    """Write recombined lines as images and a table (``lines.tsv``: file, writer, text).

    Line i depends on (seed, i) and the inputs alone; images that are there are kept, so that a
    stopped run goes on where it was. The table is written at the end.

    Parameters
    ----------
    folder : str
    writers : dict of list of CutLine
        As `cut_lines` returns them.
    texts : list of str
        Each line takes one at random whose characters its writer has.
    lines : int
    seed : int
    report : SkipReport, optional
        Takes the lines for whose writer none of `TRIES` texts would do.

    Returns
    -------
    str
        Path of the table.

    Raises
    ------
    DataError
        No line to cut from, or a folder that holds something else.
    """
    from PIL import Image
    from tqdm import tqdm

    if not writers:
        raise DataError("no line could be cut")
    report = report if report is not None else SkipReport()
    names = sorted(writers)
    books = {name: Scrapbook(writers[name]) for name in names}
    _claim(folder, writers, texts, seed)
    rows = []
    for index in tqdm(range(lines), desc="recombining", unit="line", disable=None, leave=False):
        rng = generator(seed, index)
        name = names[int(rng.integers(len(names)))]
        book = books[name]
        for _ in range(TRIES):
            text = texts[int(rng.integers(len(texts)))]
            if book.covers(text):
                break
        else:
            report.add(f"{index:06d}", "characters that the writer has not", f"writer {name}")
            continue
        file = f"lines/{index:06d}.jpg"
        path = os.path.join(folder, file)
        if not os.path.exists(path):
            image = Image.fromarray(book.write(text, rng))
            with atomic_path(path) as temporary:
                image.save(temporary, "JPEG", quality=90)
        rows.append(f"{file}\t{name}\t{text}\n")
    table = os.path.join(folder, "lines.tsv")
    write_text(table, "file\twriter\ttext\n" + "".join(rows))
    return table
