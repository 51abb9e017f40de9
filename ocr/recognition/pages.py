"""From images to what is written in them, and where: lines, logits, text, positions.

Works with any recogniser (`Recogniser`, `OnnxRecogniser`) and needs neither a command line nor
MXNet.
"""

import functools
import os
from dataclasses import dataclass

import numpy as np

from lm.base.errors import ConfigError

from ..correction import build_pipeline
from ..layout import LayoutConfig, TextLine, as_grey, can_find_lines, crop, find_lines, whole_image
from .tuned import pipeline_of, tuned_mark

__all__ = ["PageReader", "PageReading", "LineReading", "WordReading", "CharacterReading",
           "Alternative", "LINES", "recognise"]

#: How the lines of an image are found.
LINES = ("auto", "one", "find")
#: Crops that are read together, where several images are.
_AT_ONCE = 64


@dataclass(frozen=True)
class CharacterReading:
    """A character; the sides of its cell lie half way to its neighbours.

    Attributes
    ----------
    text : str
    confidence : float
        0..1.
    polygon : tuple of (float, float)
        Four corners in pixels of the image, from the upper left clockwise as written.
    """

    text: str
    confidence: float
    polygon: tuple

    @property
    def box(self):
        """(left, top, right, bottom) around the polygon."""
        xs, ys = zip(*self.polygon)
        return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True)
class WordReading(CharacterReading):
    """A word: as a character, and its ``characters``."""

    characters: tuple = ()


@dataclass(frozen=True)
class Alternative:
    """Another reading of a line."""

    text: str
    confidence: float


@dataclass(frozen=True)
class LineReading:
    """A line and what was read there.

    Attributes
    ----------
    line : TextLine
    text : str
    confidence : float
        0..1, as the pipeline gives it: once tuned, the probability that all of it is right.
    certainty : float
        0..1: how sure the network is of its own reading, character by character (geometric
        mean). It does not depend on the pipeline and is what garbage is told by.
    low_confidence : bool
        Whether `certainty` is below the reader's threshold, or ink was read as nothing.
    characters : tuple of CharacterReading
        Spaces included.
    words : tuple of WordReading
    alternatives : tuple of Alternative
        Best first, without the reading itself.
    """

    line: TextLine
    text: str
    confidence: float
    certainty: float
    low_confidence: bool
    characters: tuple = ()
    words: tuple = ()
    alternatives: tuple = ()


@dataclass(frozen=True)
class PageReading:
    """What was read in an image of ``width`` x ``height`` pixels: ``lines``, in order."""

    width: int
    height: int
    lines: tuple

    @property
    def text(self):
        """The lines' texts, one a row."""
        return "\n".join(line.text for line in self.lines)


class PageReader:
    """Reads images: finds lines, cuts them out, recognises, decodes, tells positions.

    Parameters
    ----------
    recogniser : LineRecogniser
    pipeline : Pipeline or Decoder, optional
        What reads its lines best by default (`LineRecogniser.pipeline`).
    layout : LayoutConfig, optional
    lines : {"auto", "one", "find"}
        "one": the image is a line; "find": lines are looked for; "auto": looked for where
        scikit-image is installed, else the image is a line.
    low_confidence : float
        Threshold of certainty, 0..1, below which a line is flagged.
    n_best : int
        Readings a line, where the decoder has several.
    batch_size : int

    Raises
    ------
    ConfigError
        A setting out of range, or lines are to be found without scikit-image.
    """

    def __init__(self, recogniser, pipeline=None, layout=None, lines="auto", low_confidence=0.75,
                 n_best=1, batch_size=16):
        if lines not in LINES:
            raise ConfigError(f"unknown way {lines!r} to the lines; known: {', '.join(LINES)}")
        if lines == "find" and not can_find_lines():
            raise ConfigError("finding lines needs scikit-image: pip install 'ocr[layout]'")
        if not 0 <= low_confidence <= 1:
            raise ConfigError(f"low_confidence is {low_confidence!r}; expected 0 to 1")
        self.recogniser, self.layout = recogniser, layout or LayoutConfig()
        self.finds = lines == "find" or lines == "auto" and can_find_lines()
        self.low_confidence, self.n_best, self.batch_size = low_confidence, n_best, batch_size
        self.pipeline = pipeline or build_pipeline(recogniser.pipeline, recogniser.alphabet)

    def lines_of(self, image):
        """Return the `TextLine` of each line of an image, as this reader finds them."""
        return find_lines(image, self.layout) if self.finds else [whole_image(image)]

    def read(self, image, lines=None):
        """Read one image.

        Parameters
        ----------
        image : numpy.ndarray or PIL.Image.Image
            As for `ocr.layout.as_grey`.
        lines : list of TextLine, optional
            Where its lines are; found by default.

        Returns
        -------
        PageReading
            Without lines for a blank page.
        """
        return next(self.read_all([(image, lines)]))

    def read_all(self, pages):
        """Read several images; lines of different images share batches.

        Parameters
        ----------
        pages : iterable of (image, list of TextLine or None)
            As for `read`; taken as they are needed.

        Yields
        ------
        PageReading
            One for each page, in order.
        """
        waiting, crops = [], []
        for image, lines in pages:
            grey = as_grey(image)
            lines = self.lines_of(grey) if lines is None else list(lines)
            waiting.append((grey.shape[::-1], lines))
            crops += [crop(grey, line) for line in lines]
            if len(crops) >= _AT_ONCE:
                yield from self._finish(waiting, crops)
                waiting, crops = [], []
        yield from self._finish(waiting, crops)

    def _finish(self, waiting, crops):
        logits = self.recogniser.logits_of_images(crops, self.batch_size) if crops else []
        at = 0
        for size, lines in waiting:
            yield self.assemble(size, lines, logits[at:at + len(lines)])
            at += len(lines)

    def assemble(self, size, lines, logits):
        """Decode the logits of a page's lines and put its reading together.

        Parameters
        ----------
        size : tuple of int
            (width, height) of the image.
        lines : list of TextLine
        logits : list of numpy.ndarray
            (frames, classes), of each line's crop (`ocr.image.crop`).

        Returns
        -------
        PageReading
        """
        decoded = self.pipeline.decode(logits, n_best=self.n_best) if lines else []
        return PageReading(*map(int, size), tuple(
            self._line(line, scores, hypotheses)
            for line, scores, hypotheses in zip(lines, logits, decoded)))

    def _line(self, line, logits, hypotheses):
        best = hypotheses[0]
        certainty = _certainty(logits, self.recogniser.alphabet.blank)
        characters = self._characters(line, best, len(logits))
        alternatives = tuple(Alternative(h.text, float(h.confidence)) for h in hypotheses[1:]
                             if h.text != best.text)
        return LineReading(line, best.text, float(best.confidence), certainty,
                           certainty < self.low_confidence or not best.text, characters,
                           _words(characters, best), alternatives)

    def _characters(self, line, hypothesis, frames):
        from ..decoding import Span

        spans = hypothesis.characters
        if len(spans) != len(hypothesis.text):
            # A corrector that knows of no positions: evenly along the line.
            cuts = np.linspace(0, frames, len(hypothesis.text) + 1)
            spans = [Span(c, a, b, hypothesis.confidence)
                     for c, a, b in zip(hypothesis.text, cuts, cuts[1:])]
        if not spans:
            return ()
        edges = _cell_edges(spans, frames)
        width, height = line.size
        # The network marks a spot within a character; the cells between the spots are it.
        columns = [self.recogniser.columns_of(Span("", a, b, 0.0), (height, width), frames)
                   for a, b in zip(edges, edges[1:])]
        return tuple(
            CharacterReading(span.text, float(span.confidence), _corners(line, left, right))
            for span, (left, right) in zip(spans, columns))


def _cell_edges(spans, frames):
    """Return where each character's cell begins, and where the last ends, in frames."""
    starts = np.array([span.start for span in spans], float)
    ends = np.array([span.end for span in spans], float)
    middles = (starts + ends) / 2
    # The outer characters reach as far outwards as half the usual step.
    half = float(np.median(np.diff(middles))) / 2 if len(spans) > 1 else 1.0
    first = max(0.0, min(starts[0], middles[0] - half))
    last = min(float(frames), max(ends[-1], middles[-1] + half))
    edges = np.concatenate([[first], (ends[:-1] + starts[1:]) / 2, [max(last, first)]])
    return np.maximum.accumulate(edges)


def _corners(line, left, right):
    height = line.size[1]
    points = line.to_page([(left, 0), (right, 0), (right, height), (left, height)])
    return tuple((round(float(x), 1), round(float(y), 1)) for x, y in points)


def _words(characters, hypothesis):
    """Group characters at spaces; confidences are the hypothesis', calibrated maybe."""
    groups, current = [], []
    for character in (*characters, None):
        if character is not None and character.text != " ":
            current.append(character)
        elif current:
            groups.append(tuple(current))
            current = []
    known = [word.confidence for word in hypothesis.words]
    if len(known) != len(groups):
        known = [float(np.exp(np.mean([np.log(max(c.confidence, 1e-30)) for c in group])))
                 for group in groups]
    return tuple(
        WordReading("".join(c.text for c in group), float(confidence),
                    (group[0].polygon[0], group[-1].polygon[1], group[-1].polygon[2],
                     group[0].polygon[3]), group)
        for group, confidence in zip(groups, known))


def _certainty(logits, blank):
    """Geometric mean of the highest posterior of each character of the best path.

    1 for no characters: nothing is doubtful about an empty line but that it is empty.
    """
    from ..text.ctc import log_softmax

    scores = log_softmax(np.asarray(logits, np.float32))
    if not len(scores):
        return 1.0
    best = scores.argmax(axis=1)
    starts = np.flatnonzero(np.diff(best, prepend=-1))
    highest = np.maximum.reduceat(scores.max(axis=1), starts)[best[starts] != blank]
    return float(np.exp(highest.mean())) if len(highest) else 1.0


def recognise(image, model=None, decoder=None, lines="auto", n_best=1):
    """Read one image; a model stays open for the next.

    Parameters
    ----------
    image : str, path-like, numpy.ndarray or PIL.Image.Image
        A file, or as for `ocr.layout.as_grey`.
    model : str or path-like, optional
        A file of ``ocr train`` or ``ocr export``, or the name of a shipped model; the default
        one where it is not given.
    decoder : str, optional
        Such as "greedy" or "beam-char+spelling"; what reads best by default (see
        `ocr.recognition.tuned.best_name`).
    lines : {"auto", "one", "find"}
        As for `PageReader`.
    n_best : int
        Readings a line, where the decoder has several.

    Returns
    -------
    PageReading

    Raises
    ------
    OCRError
        The image, the model or the decoder cannot be used.

    Examples
    --------
    >>> import ocr
    >>> print(ocr.recognise("photo.jpg").text)  # doctest: +SKIP
    """
    from ..checkpoints.shipped import model_path
    from ..image.load import load_grey

    path = os.path.abspath(model_path(model))
    if isinstance(image, (str, os.PathLike)):
        image = load_grey(image)
    changed = os.stat(path).st_mtime_ns, tuned_mark(path)
    reader = _open_reader(path, changed, decoder, lines, n_best)
    return reader.read(image)


@functools.lru_cache(maxsize=4)
def _open_reader(path, changed, decoder, lines, n_best):
    """Open a model; `changed` makes a rewritten file, or one tuned anew, another one."""
    from .opening import open_recogniser

    recogniser = open_recogniser(path)
    pipeline = build_pipeline(pipeline_of(path, decoder), recogniser.alphabet)
    return PageReader(recogniser, pipeline, lines=lines, n_best=n_best)
