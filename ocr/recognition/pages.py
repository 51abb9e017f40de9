"""From images to what is written in them, and where: lines, logits, text, positions.

Works with any recogniser (`Recogniser`, `OnnxRecogniser`) and needs neither a command line nor
MXNet.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Optional, Union, cast

import numpy as np

from lm.base.errors import ConfigError, DataError, OCRError
from lm.base.plugins import Stage

from ..correction import build_pipeline
from ..layout import (
    LineFinder,
    TextLine,
    as_grey,
    build_finder,
    can_find_lines,
    crop,
    is_single_line,
    turned_back,
    whole_image,
)
from .inputs import ImageSource, image_of
from .readings import (
    LOW_CONFIDENCE,
    Alternative,
    CharacterReading,
    LineReading,
    PageReading,
    WordReading,
)

__all__ = ["LINES", "PageReader"]

#: How the lines of an image are found.
LINES = ("auto", "one", "find")
#: Crops that are read together, where several images are.
_AT_ONCE = 64
#: A page of whose characters the network is less sure may lie on its side or head ...
_DOUBTFUL = 0.75
#: ... and does, where it is surer by this much of some of its lines once they are turned.
_SURER, _SAMPLE, _SMALL = 0.07, 8, 1000


@dataclass(frozen=True)
class _Opened:
    """A page whose lines are known and cut out."""

    source: ImageSource
    grey: np.ndarray
    lines: list
    crops: list
    #: Whether the lines were looked for, so that the page may be turned.
    found: bool


#: A line finder, or what `build_finder` makes one of.
Finder = Union[str, Stage, LineFinder]


def _finder(finder, ways):
    """Return the `LineFinder`, or None where an image is taken for a line."""
    if ways == "one" or ways == "auto" and not can_find_lines(finder):
        return None
    return finder if isinstance(finder, LineFinder) else build_finder(finder)


class PageReader:
    """Reads images: finds lines, cuts them out, recognises, decodes, tells positions.

    Parameters
    ----------
    recogniser : LineRecogniser
    pipeline : Pipeline or Decoder, optional
        What reads its lines best by default (`LineRecogniser.pipeline`).
    finder : str, Stage or LineFinder
        What finds lines: a name of `ocr.layout.LINE_FINDERS`, with settings (`finder_stage`).
    lines : {"auto", "one", "find"}
        "one": the image is a line; "find": lines are looked for; "auto": looked for where
        what the finder needs is installed, else the image is a line.
    low_confidence : float
        Confidence, 0..1, below which a line is flagged.
    n_best : int
        Readings a line, where the decoder has several.
    batch_size : int
    turn : bool
        Whether pages on their side or head are turned to be read, where lines are found.

    Raises
    ------
    ConfigError
        A setting out of range, or lines are to be found without what the finder needs.
    """

    def __init__(self, recogniser, pipeline=None, finder: Finder = "classical",
                 lines: str = "auto", low_confidence: float = LOW_CONFIDENCE, n_best: int = 1,
                 batch_size: int = 16, turn: bool = True):
        if lines not in LINES:
            raise ConfigError(f"unknown way {lines!r} to the lines; known: {', '.join(LINES)}")
        if not 0 <= low_confidence <= 1:
            raise ConfigError(f"low_confidence is {low_confidence!r}; expected 0 to 1")
        self.recogniser, self.finder = recogniser, _finder(finder, lines)
        self.ways, self.turn = lines, turn
        self.low_confidence, self.n_best, self.batch_size = low_confidence, n_best, batch_size
        self.pipeline = pipeline or build_pipeline(recogniser.pipeline, recogniser.alphabet)

    def lines_of(self, image) -> list[TextLine]:
        """Return the `TextLine` of each line of an image, as this reader finds them."""
        return [whole_image(image)] if self._is_line(image) else self.finder.find(image)

    def _is_line(self, image):
        return self.finder is None or self.ways == "auto" and is_single_line(image)

    def read(self, image, lines: Optional[list[TextLine]] = None) -> PageReading:
        """Read one image.

        Parameters
        ----------
        image : ImageSource, numpy.ndarray or PIL.Image.Image
            As for `ocr.layout.as_grey`.
        lines : list of TextLine, optional
            Where its lines are; found by default.

        Returns
        -------
        PageReading
            Without lines for a blank page.
        """
        # Raised errors are none of its results.
        return cast(PageReading, next(self.read_all([(image, lines)])))

    def read_all(self, pages: Iterable[tuple[Any, Any]], errors: str = "raise"
                 ) -> Iterator[Union[PageReading, OCRError]]:
        """Read several images; lines of different images share batches.

        Parameters
        ----------
        pages : iterable of (image, lines)
            As for `read`; taken as they are needed. Lines may also be a function of the grey
            image that gives them.
        errors : {"raise", "return"}
            What is done about a page that cannot be read.

        Yields
        ------
        PageReading, or the OCRError of a page
            One for each page, in order.
        """
        waiting, crops = [], 0
        for image, lines in pages:
            try:
                waiting.append(self._open(image, lines))
                crops += len(waiting[-1].crops)
            except OCRError as error:
                if errors == "raise":
                    raise
                waiting.append(error)
            if crops >= _AT_ONCE:
                yield from self._finish(waiting, errors)
                waiting, crops = [], 0
        yield from self._finish(waiting, errors)

    def _open(self, image, lines):
        source = image if isinstance(image, ImageSource) else image_of(image, "")
        image = source.load()
        try:
            grey = as_grey(image)
        except DataError as error:
            raise DataError(f"{source.title}: {error}" if source.title else str(error)) from None
        if callable(lines):
            lines = lines(grey)
        found = lines is None and not self._is_line(grey)
        if lines is None:
            lines = self.finder.find(grey) if found else [whole_image(grey)]
        return _Opened(source, grey, lines, [crop(grey, line) for line in lines], found)

    def _finish(self, waiting, errors):
        pages = [page for page in waiting if isinstance(page, _Opened)]
        try:
            read = iter(self._read(pages))
        except OCRError:
            if errors == "raise":
                raise
            # One of them it is; each for itself tells which.
            read = iter([self._alone(page) for page in pages])
        for page in waiting:
            yield next(read) if isinstance(page, _Opened) else page

    def _alone(self, page):
        try:
            return self._read([page])[0]
        except OCRError as error:
            return type(error)(f"{page.source.title}: {error}")

    def _read(self, pages):
        """Return the readings of opened pages, turned where that makes them readable."""
        logits = self._logits([one for page in pages for one in page.crops])
        at, parts = 0, []
        for index, page in enumerate(pages):
            part = logits[at:at + len(page.lines)]
            at += len(page.lines)
            if page.found and self.turn and (turned := self._turned(page, part)) is not None:
                pages[index], part = turned
            parts.append(part)
        decoded = self._decode([one for part in parts for one in part])
        readings, at = [], 0
        for page, part in zip(pages, parts):
            height, width = page.grey.shape
            readings.append(PageReading(width, height, tuple(
                self._line(*one) for one in zip(page.lines, part, decoded[at:])),
                page.source.name, page.source.page, page.source))
            at += len(part)
        return readings

    def _logits(self, crops):
        return self.recogniser.logits_of_images(crops, self.batch_size) if crops else []

    def _decode(self, logits):
        return self.pipeline.decode(logits, n_best=self.n_best) if len(logits) else []

    def _turned(self, page, logits):
        """Return (page, logits) read the way round that it was written; None as it lies."""
        sure = _certainty_of(logits, self.recogniser.alphabet.blank)
        height, width = page.grey.shape
        # What is as wide as a line is no page on its side.
        if sure >= _DOUBTFUL or width > 4 * height:
            return None
        on_side = np.rot90(page.grey)
        # To tell the direction, lines found in a small picture are enough.
        found = _longest(self.finder.quick(_SMALL).find(on_side))
        side = [crop(on_side, line) for line in found]
        upright = [crop(page.grey, line) for line in _longest(page.lines)]
        # Half a turn needs no other lines, but the same the other way round.
        ways = {2: [one[::-1, ::-1] for one in upright], 1: side,
                3: [one[::-1, ::-1] for one in side]}
        surest = {quarters: _certainty_of(self._logits(list(map(np.ascontiguousarray, crops))),
                                          self.recogniser.alphabet.blank)
                  for quarters, crops in ways.items() if crops}
        quarters = max(surest, key=surest.get, default=0)
        if not quarters or surest[quarters] < sure + _SURER:
            return None
        grey = np.ascontiguousarray(np.rot90(page.grey, quarters))
        lines = self.lines_of(grey)
        crops = [crop(grey, line) for line in lines]
        back = [turned_back(line, quarters, page.grey.shape[::-1]) for line in lines]
        return _Opened(page.source, page.grey, back, crops, True), self._logits(crops)

    def assemble(self, size: tuple[int, int], lines: list[TextLine], logits) -> PageReading:
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
        width, height = map(int, size)
        return PageReading(width, height, tuple(
            self._line(*one) for one in zip(lines, logits, self._decode(logits))))

    def _line(self, line, logits, hypotheses):
        best = hypotheses[0]
        characters = self._characters(line, best, len(logits))
        words = _words(characters, best, self._calibrated())
        total = sum(len(word.text) for word in words)
        confidence = sum(len(word.text) * word.confidence for word in words) / total if total \
            else float(best.confidence)
        return LineReading(line, best.text, confidence,
                           confidence < self.low_confidence or not best.text, characters, words,
                           _alternatives(best, hypotheses[1:], confidence))

    def _calibrated(self):
        """Tell whether the pipeline's words come with the probability that they are right."""
        return bool(getattr(getattr(self.pipeline, "config", None), "calibration", None))

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


def _words(characters, hypothesis, calibrated):
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
        calibrated = False
    if not calibrated:
        known = map(_sobered, known)
    return tuple(
        WordReading("".join(c.text for c in group), float(confidence),
                    (group[0].polygon[0], group[-1].polygon[1], group[-1].polygon[2],
                     group[0].polygon[3]), group)
        for group, confidence in zip(groups, known))


def _sobered(confidence):
    """Halve the log-odds: so much too sure is a network, as the tuned ones are found to be."""
    odds = max(confidence, 1e-12) / max(1 - confidence, 1e-12)
    return odds ** 0.5 / (1 + odds ** 0.5)


def _alternatives(best, others, confidence):
    """Return what else was read, as much less sure than the best as the search ranks it lower."""
    seen, found = {best.text}, []
    for other in others:
        if other.text not in seen:
            seen.add(other.text)
            found.append(Alternative(
                other.text, confidence * float(np.exp(min(other.score - best.score, 0.0)))))
    return tuple(sorted(found, key=lambda one: -one.confidence))


def _longest(lines):
    return sorted(lines, key=lambda line: -line.size[0])[:_SAMPLE]


def _certainty_of(logits, blank):
    """Mean over lines of `_certainty`; 0 of none, and of lines without a character."""
    return float(np.mean([_certainty(line, blank) for line in logits])) if len(logits) else 0.0


def _certainty(logits, blank):
    """Geometric mean of the highest posterior of each character of the best path; 0 of none.

    Unlike the readings' confidence it takes no decoding.
    """
    from ..text.ctc import log_softmax

    scores = log_softmax(np.asarray(logits, np.float32))
    if not len(scores):
        return 0.0
    best = scores.argmax(axis=1)
    starts = np.flatnonzero(np.diff(best, prepend=-1))
    highest = np.maximum.reduceat(scores.max(axis=1), starts)[best[starts] != blank]
    return float(np.exp(highest.mean())) if len(highest) else 0.0
