"""How far confidences can be trusted: reliability of words and lines, table and diagram."""

import html
import io
import os
from dataclasses import dataclass
from typing import Optional

import numpy as np
from rapidfuzz.distance import Levenshtein

from lm.base.errors import ConfigError, DataError
from lm.base.files import atomic_path, write_text
from lm.base.settings import to_mapping

from ..decoding.calibration import log_odds
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
        figure = _figure(self.summary(), title)
        if ending == ".png":
            with atomic_path(path) as temporary:
                figure.savefig(temporary, format="png", dpi=200)
        elif ending == ".svg":
            write_text(path, _svg(figure))
        else:
            name = html.escape(title)
            write_text(path, "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\">"
                             "<meta name=\"viewport\" content=\"width=device-width\">"
                             f"<title>{name}</title><style>{_STYLE}svg{{max-width:100%;"
                             f"height:auto}}</style><h1>{name}</h1>{_svg(figure)}"
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


def _figure(summary, title):
    """The diagram as a matplotlib figure: a column for words, one for lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.6), layout="constrained")
    figure.suptitle(title, parse_math=False)
    figure.supxlabel("Bars: share right. Dots: at the bin's mean confidence; below the diagonal is "
                     "too sure. Grey: share of all.", fontsize="small", color="dimgray")
    axes = figure.subplots(2, 2, sharex=True, height_ratios=(6, 1))
    for (top, strip), name, part in zip(axes.T, ("words", "lines"), (summary.words, summary.lines)):
        bins = [b for b in part.bins if b.count]
        bars = {"x": [b.low for b in bins], "width": [b.high - b.low for b in bins],
                "align": "edge", "edgecolor": "white"}
        top.bar(height=[b.accuracy for b in bins], color="lightsteelblue", **bars)
        top.plot([0, 1], [0, 1], color="dimgray", linewidth=1)
        top.plot([b.confidence for b in bins], [b.accuracy for b in bins], "o", color="firebrick")
        auc = "-" if part.auc is None else f"{part.auc:.3f}"
        top.set(xlim=(0, 1), ylim=(0, 1))
        top.set_title(f"{part.count} {name}, {_percent(part.accuracy)}% right\n"
                      f"ECE {_percent(part.ece)}%, AUC {auc}", loc="left", fontsize="medium")
        top.grid(axis="y", color="gainsboro")
        top.set_axisbelow(True)
        strip.bar(height=[b.count / part.count for b in bins], color="darkgray", **bars)
        strip.set(xlabel="confidence", yticks=[])
    return figure


def _svg(figure):
    """The figure as an SVG element, its text as text."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "ocr"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    content = buffer.getvalue()
    return content[content.index("<svg"):]
