"""How far confidences can be trusted: reliability of words and lines, table and diagram."""

import html
import os
from dataclasses import dataclass
from typing import Optional

import numpy as np
from rapidfuzz.distance import Levenshtein

from lm.base.errors import ConfigError, DataError
from lm.base.files import atomic_path, write_text
from lm.base.settings import to_mapping

from ..decoding.calibration import log_odds
from ..image.fonts import label_font
from ..text import tidy
from .gallery import _STYLE
from .report import aligned

__all__ = ["word_outcomes", "line_outcomes", "ReliabilityBin", "Kept", "Reliability",
           "CalibrationSummary", "CalibrationReport"]


def word_outcomes(reference, hypothesis):
    """Compare a reading's words with the reference's.

    Both are taken to Unicode NFC, cut at whitespace and aligned by Levenshtein distance. A word
    too many is wrong; a word of the reference that was not read has no confidence and is not
    counted.

    Parameters
    ----------
    reference : str
    hypothesis : Hypothesis
        Its `words` are what is judged.

    Returns
    -------
    list of (float, bool)
        Confidence and whether it is right, one for each word of the reading, in order.

    Raises
    ------
    DataError
        A confidence outside 0..1, or NaN; the message names the word.
    """
    # A word of the reading ends at a space only; other whitespace may stand within it.
    tokens = [(index, token) for index, word in enumerate(hypothesis.words)
              for token in tidy(word.text).split()]
    right = {index: True for index, _ in tokens}
    truth = tidy(reference).split()
    for tag, _, _, start, end in Levenshtein.opcodes(truth, [token for _, token in tokens]):
        if tag != "equal":
            right.update((index, False) for index, _ in tokens[start:end])
    words = [hypothesis.words[index] for index in right]
    return [(_confidence(word.confidence, f"word {word.text!r}"), correct)
            for word, correct in zip(words, right.values())]


def line_outcomes(reference, hypothesis):
    """Return [(confidence, whether the whole line is right)]; errors as `word_outcomes`."""
    correct = tidy(reference) == tidy(hypothesis.text)
    return [(_confidence(hypothesis.confidence, f"line {hypothesis.text!r}"), correct)]


def _confidence(value, where):
    if not 0 <= value <= 1:
        raise DataError(f"{where}: confidence {value} is not in 0..1")
    return float(value)


@dataclass(frozen=True)
class ReliabilityBin:
    """The outcomes with `low` <= confidence < `high` (in the last bin <= `high`).

    Attributes
    ----------
    low, high : float
    count : int
    confidence : float or None
        Mean; None in an empty bin.
    accuracy : float or None
        Share that is right.
    """

    low: float
    high: float
    count: int
    confidence: Optional[float]
    accuracy: Optional[float]


@dataclass(frozen=True)
class Kept:
    """What stays when only confidences of at least `threshold` are kept.

    Attributes
    ----------
    threshold : float
    share : float or None
        Of all outcomes; None where there are none.
    accuracy : float or None
        Share of the kept that is right; None where none is kept.
    """

    threshold: float
    share: Optional[float]
    accuracy: Optional[float]


@dataclass(frozen=True)
class Reliability:
    """Scores of confidences; None where a score has no meaning (no outcomes), never NaN.

    Attributes
    ----------
    count : int
    accuracy : float or None
        Share that is right.
    confidence : float or None
        Mean.
    ece : float or None
        Expected calibration error: |accuracy - mean confidence| of the bins, weighted by count.
    brier : float or None
        Mean squared difference of confidence and correctness.
    log_loss : float or None
        Mean, in nats, of confidences clipped as `Calibrator` clips them.
    auc : float or None
        Area under the ROC curve: how often a right one has a higher confidence than a wrong
        one (a tie counts half). None when all are right or all are wrong.
    bins : tuple of ReliabilityBin
    kept : tuple of Kept
    """

    count: int
    accuracy: Optional[float]
    confidence: Optional[float]
    ece: Optional[float]
    brier: Optional[float]
    log_loss: Optional[float]
    auc: Optional[float]
    bins: tuple
    kept: tuple


@dataclass(frozen=True)
class CalibrationSummary:
    """`Reliability` of the words and of the lines."""

    words: Reliability
    lines: Reliability


class CalibrationReport:
    """Collects outcomes of readings and scores their confidences.

    Parameters
    ----------
    bins : int
        Of equal width, over 0..1.
    thresholds : sequence of float
        Confidences for which the share kept and its accuracy are reported.

    Attributes
    ----------
    word_outcomes, line_outcomes : list of (float, bool)
        Confidence, and whether it was right.

    Raises
    ------
    ConfigError
        No bins, or a threshold outside 0..1.

    Examples
    --------
    >>> from ocr.decoding import Hypothesis, Span
    >>> report = CalibrationReport()
    >>> report.update("ab", Hypothesis("ab", 0.0, 0.75, words=(Span("ab", 0, 2, 0.75),)))
    >>> report.summary().words.ece
    0.25
    """

    def __init__(self, bins=10, thresholds=(0.5, 0.8, 0.9, 0.95, 0.99)):
        if bins < 1:
            raise ConfigError("calibration: bins must be at least 1")
        for threshold in thresholds:
            if not 0 <= threshold <= 1:
                raise ConfigError(f"calibration: threshold {threshold} is not in 0..1")
        self.bins, self.thresholds = int(bins), tuple(float(t) for t in thresholds)
        self.reset()

    def reset(self):
        """Forget all outcomes."""
        self.word_outcomes, self.line_outcomes = [], []

    def update(self, reference, hypothesis):
        """Add one line: its truth (str) and its best `Hypothesis`."""
        line = line_outcomes(reference, hypothesis)
        self.word_outcomes += word_outcomes(reference, hypothesis)
        self.line_outcomes += line

    def update_many(self, references, hypotheses):
        """Add lines; `DataError` when the two lists are not equally long."""
        references, hypotheses = list(references), list(hypotheses)
        if len(references) != len(hypotheses):
            raise DataError(f"{len(references)} references for {len(hypotheses)} readings")
        for reference, hypothesis in zip(references, hypotheses):
            self.update(reference, hypothesis)

    def summary(self):
        """Return a `CalibrationSummary`."""
        return CalibrationSummary(*(_reliability(outcomes, self.bins, self.thresholds)
                                    for outcomes in (self.word_outcomes, self.line_outcomes)))

    def to_dict(self):
        """Return the summary as a JSON-ready dict."""
        return to_mapping(self.summary())

    def table(self):
        """Return scores, bins and thresholds as aligned plain text; "-" where there is none."""
        summary = self.summary()
        both = (summary.words, summary.lines)
        scores = [["", "count", "right %", "confidence %", "ECE %", "Brier", "log loss", "AUC"]]
        for name, part in zip(("words", "lines"), both):
            scores.append([name, str(part.count), _percent(part.accuracy),
                           _percent(part.confidence), _percent(part.ece), _number(part.brier),
                           _number(part.log_loss), _number(part.auc)])
        bins = [["confidence", "words", "mean %", "right %", "lines", "mean %", "right %"]]
        for pair in zip(*(part.bins for part in both)):
            bins.append([f"{pair[0].low:.2f}-{pair[0].high:.2f}"]
                        + [cell for b in pair for cell in (
                            str(b.count), _percent(b.confidence), _percent(b.accuracy))])
        kept = [["at least", "words kept %", "right %", "lines kept %", "right %"]]
        for pair in zip(*(part.kept for part in both)):
            kept.append([f"{pair[0].threshold:g}"] + [
                cell for k in pair for cell in (_percent(k.share), _percent(k.accuracy))])
        return "\n\n".join("\n".join(aligned(rows)) for rows in (scores, bins, kept))

    def save_diagram(self, path, title="Reliability of confidences"):
        """Draw accuracy over confidence, for words and for lines.

        Parameters
        ----------
        path : str
            Ends in .png, .svg or .html (the page also holds the table; nothing is loaded from
            elsewhere).
        title : str

        Raises
        ------
        ConfigError
            Another ending.
        """
        ending = os.path.splitext(path)[1].lower()
        if ending not in (".png", ".svg", ".html"):
            raise ConfigError(f"{path}: a diagram's name ends in .png, .svg or .html")
        shapes = _shapes(self.summary(), title)
        if ending == ".png":
            with atomic_path(path) as temporary:
                _draw(shapes).save(temporary, "PNG")
        elif ending == ".svg":
            write_text(path, _svg(shapes) + "\n")
        else:
            name = html.escape(title)
            write_text(path, "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\">"
                             "<meta name=\"viewport\" content=\"width=device-width\">"
                             f"<title>{name}</title><style>{_STYLE}svg{{max-width:100%;"
                             f"height:auto}}</style><h1>{name}</h1>{_svg(shapes)}"
                             f"<pre>{html.escape(self.table())}</pre></html>\n")


def _reliability(outcomes, bins, thresholds):
    confidence, correct = np.array(outcomes, np.float64).reshape(-1, 2).T
    count = len(correct)
    edges = np.arange(bins + 1) / bins
    place = np.searchsorted(edges[1:-1], confidence, side="right")
    parts = tuple(
        ReliabilityBin(float(edges[i]), float(edges[i + 1]), int(inside.sum()),
                       _mean(confidence[inside]), _mean(correct[inside]))
        for i in range(bins) for inside in [place == i])
    kept = tuple(Kept(t, _mean(confidence >= t), _mean(correct[confidence >= t]))
                 for t in thresholds)
    if not count:
        return Reliability(0, None, None, None, None, None, None, parts, kept)
    ece = sum(b.count * abs(b.accuracy - b.confidence) for b in parts if b.count) / count
    odds = log_odds(confidence)
    return Reliability(count, _mean(correct), _mean(confidence), ece,
                       _mean((confidence - correct) ** 2),
                       _mean(np.logaddexp(0, odds) - correct * odds),
                       _auc(confidence, correct == 1), parts, kept)


def _mean(values):
    return float(np.mean(values)) if len(values) else None


def _auc(confidence, correct):
    """Mann-Whitney's statistic from mean ranks; None when one class is missing."""
    right = int(correct.sum())
    wrong = len(correct) - right
    if not right or not wrong:
        return None
    _, place, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[place][correct].sum() - right * (right + 1) / 2) / (right * wrong))


def _percent(value):
    return "-" if value is None else f"{100 * value:.2f}"


def _number(value):
    return "-" if value is None else f"{value:.4f}"


# The diagram is a list of shapes, drawn by Pillow or written as SVG:
# ("box", x, y, width, height, colour), ("line", x, y, x, y, colour), ("dot", x, y, colour) and
# ("text", x, y, text, size, anchor, colour), the anchor l, m or r at the baseline.
_WIDTH, _HEIGHT, _SIDE, _STRIP, _RADIUS = 800, 560, 300, 50, 3.5
_ANCHORS = {"l": "start", "m": "middle", "r": "end"}


def _shapes(summary, title):
    shapes = [("box", 0, 0, _WIDTH, _HEIGHT, "white"),
              ("text", 60, 34, title, 17, "l", "black"),
              ("text", 60, 544, "Bars: share right. Dots: at the bin's mean confidence; below the "
               "diagonal is too sure. Grey: share of all.", 12, "l", "dimgray")]
    for left, name, part in ((60, "words", summary.words), (450, "lines", summary.lines)):
        shapes += _panel(left, 96, name, part)
    return shapes


def _panel(left, top, name, part):
    bottom, strip = top + _SIDE, top + _SIDE + 36 + _STRIP
    auc = "-" if part.auc is None else f"{part.auc:.3f}"
    shapes = [("text", left, top - 32, f"{part.count} {name}, {_percent(part.accuracy)}% right",
               13, "l", "black"),
              ("text", left, top - 14, f"ECE {_percent(part.ece)}%, AUC {auc}", 13, "l", "black")]
    for tick in range(0, 11, 2):
        at = _SIDE * tick / 10
        shapes += [("line", left, bottom - at, left + _SIDE, bottom - at, "gainsboro"),
                   ("text", left - 6, bottom - at + 4, f"{tick / 10:g}", 11, "r", "dimgray"),
                   ("text", left + at, bottom + 16, f"{tick / 10:g}", 11, "m", "dimgray")]
    dots = []
    for b in part.bins:
        if b.count:
            x, width = left + _SIDE * b.low + 1, _SIDE * (b.high - b.low) - 2
            height, share = _SIDE * b.accuracy, _STRIP * b.count / part.count
            shapes += [("box", x, bottom - height, width, height, "lightsteelblue"),
                       ("box", x, strip - share, width, share, "darkgray")]
            dots.append(("dot", left + _SIDE * b.confidence, bottom - height, "firebrick"))
    return shapes + [("line", left, bottom, left + _SIDE, top, "dimgray"),
                     ("line", left, strip, left + _SIDE, strip, "dimgray"),
                     ("text", left + _SIDE / 2, strip + 18, "confidence", 12, "m", "dimgray"),
                     *dots]


def _draw(shapes, scale=2):
    """The shapes as a Pillow image, so many pixels a unit."""
    from PIL import Image, ImageDraw

    canvas = Image.new("RGB", (_WIDTH * scale, _HEIGHT * scale))
    draw = ImageDraw.Draw(canvas)
    for kind, x, y, *rest, colour in shapes:
        x, y = x * scale, y * scale
        if kind == "box":
            width, height = (v * scale for v in rest)
            if min(width, height) >= 1:
                draw.rectangle([x, y, x + width - 1, y + height - 1], fill=colour)
        elif kind == "line":
            draw.line([x, y, *(v * scale for v in rest)], fill=colour, width=scale)
        elif kind == "dot":
            r = _RADIUS * scale
            draw.ellipse([x - r, y - r, x + r, y + r], fill=colour)
        else:
            text, size, anchor = rest
            draw.text((x, y), text, fill=colour, font=label_font(size * scale), anchor=anchor + "s")
    return canvas


def _svg(shapes):
    parts = []
    for kind, x, y, *rest, colour in shapes:
        if kind == "box":
            parts.append(f'<rect x="{x:g}" y="{y:g}" width="{max(rest[0], 0):g}" '
                         f'height="{rest[1]:g}" fill="{colour}"/>')
        elif kind == "line":
            parts.append(f'<line x1="{x:g}" y1="{y:g}" x2="{rest[0]:g}" y2="{rest[1]:g}" '
                         f'stroke="{colour}"/>')
        elif kind == "dot":
            parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{_RADIUS:g}" fill="{colour}"/>')
        else:
            text, size, anchor = rest
            parts.append(f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" '
                         f'text-anchor="{_ANCHORS[anchor]}">{html.escape(text)}</text>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
            f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">{"".join(parts)}</svg>')
