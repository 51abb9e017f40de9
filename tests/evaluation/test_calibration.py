import json
import math
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lm.base.errors import ConfigError, DataError
from ocr.decoding import Hypothesis, Span
from ocr.decoding.calibration import Calibrator
from ocr.evaluation.calibration import (
    CalibrationReport,
    _figure,
    line_outcomes,
    word_outcomes,
)

SVG = "{http://www.w3.org/2000/svg}"


def reading(text, confidences=(), line=0.5):
    """A hypothesis whose words have these confidences."""
    words = [word for word in text.split(" ") if word]
    confidences = confidences or [0.5] * len(words)
    return Hypothesis(text, 0.0, line, words=tuple(
        Span(word, 0, 1, confidence) for word, confidence in zip(words, confidences)))


def calibrated(report, calibrator):
    """A report of the same outcomes with calibrated confidences."""
    return filled(*([(float(probability(c)), right) for c, right in outcomes]
                    for probability, outcomes in (
                        (calibrator.word_probability, report.word_outcomes),
                        (calibrator.line_probability, report.line_outcomes))))


def filled(words=(), lines=(), **options):
    """A report of given outcomes."""
    report = CalibrationReport(**options)
    report.word_outcomes, report.line_outcomes = list(words), list(lines)
    return report


@pytest.mark.parametrize("reference, text, expected", [
    ("un petit mot", "un petit mot", [True, True, True]),
    ("un petit mot", "un petti mot", [True, False, True]),
    ("un petit mot", "un mot", [True, True]),
    ("un mot", "un gros mot", [True, False, True]),
    ("un mot", "unmot", [False]),
    ("  un\tmot ", "un mot", [True, True]),
    ("", "un mot", [False, False]), ("un mot", "", []), ("", "", [])])
def test_words_are_aligned(reference, text, expected):
    confidences = [0.1 * (i + 1) for i in range(len(expected))]
    assert word_outcomes(reference, reading(text, confidences)) == list(zip(confidences, expected))


def test_composed_forms_and_other_spaces():
    assert word_outcomes("\u00e9t\u00e9", reading("e\u0301te\u0301")) == [(0.5, True)]
    assert line_outcomes("\u00e9", reading("e\u0301")) == [(0.5, True)]
    # One word of the reading, two of the reference.
    assert word_outcomes("10\u00a0000 km", reading("10\u00a0000 km")) == [(0.5, True)] * 2
    assert word_outcomes("10\u00a0001 km", reading("10\u00a0000 km")) == [(0.5, False),
                                                                         (0.5, True)]
    assert word_outcomes("a", reading("\u00a0 a", [0.1, 0.9])) == [(0.9, True)]


@given(st.lists(st.sampled_from("abc"), max_size=6), st.lists(st.sampled_from("abc"), max_size=6))
def test_right_words_are_a_common_subsequence(reference, words):
    outcomes = word_outcomes(" ".join(reference), reading(" ".join(words)))
    assert len(outcomes) == len(words)
    rest = iter(reference)
    assert all(word in rest for word, (_, correct) in zip(words, outcomes) if correct)
    [(_, whole)] = line_outcomes(" ".join(reference), reading(" ".join(words)))
    assert whole == (words == reference)


@pytest.mark.parametrize("confidence", [-0.1, 1.5, math.nan])
def test_no_such_confidence(confidence):
    report = CalibrationReport()
    with pytest.raises(DataError, match=r"word 'mot': confidence .* is not in 0\.\.1"):
        report.update("un mot", reading("un mot", [0.5, confidence]))
    with pytest.raises(DataError, match="line 'un mot': confidence"):
        report.update("un mot", reading("un mot", line=confidence))
    assert report.word_outcomes == [] == report.line_outcomes


def test_scores_by_hand():
    words = [(0.95, True), (0.85, True), (0.9, False), (0.2, False), (0.25, True)]
    part = filled(words).summary().words
    assert (part.count, part.accuracy, part.confidence) == (5, 0.6, pytest.approx(0.63))
    assert [(b.count, b.confidence, b.accuracy) for b in part.bins if b.count] == [
        (2, pytest.approx(0.225), 0.5), (1, 0.85, 1.0), (2, pytest.approx(0.925), 0.5)]
    assert part.ece == pytest.approx((2 * 0.275 + 0.15 + 2 * 0.425) / 5)
    assert part.brier == pytest.approx(
        (0.05 ** 2 + 0.15 ** 2 + 0.9 ** 2 + 0.2 ** 2 + 0.75 ** 2) / 5)
    assert part.log_loss == pytest.approx(
        -sum(math.log(c if right else 1 - c) for c, right in words) / 5)
    # Pairs of a right and a wrong one in the right order: .95 both, .85 and .25 one each.
    assert part.auc == pytest.approx(4 / 6)
    kept = {k.threshold: (k.share, k.accuracy) for k in part.kept}
    assert kept == {0.5: (0.6, pytest.approx(2 / 3)), 0.8: (0.6, pytest.approx(2 / 3)),
                    0.9: (0.4, 0.5), 0.95: (0.2, 1.0), 0.99: (0.0, None)}


def test_bin_borders_belong_above():
    part = filled([(i / 10, True) for i in range(11)]).summary().words
    assert [b.count for b in part.bins] == [1] * 9 + [2]
    assert [b.low for b in part.bins] == [i / 10 for i in range(10)]
    assert [b.count for b in filled([(0.5, True)], bins=1).summary().words.bins] == [1]


@given(st.lists(st.tuples(st.sampled_from([0, 0.25, 0.5, 0.7, 1.0]), st.booleans()), max_size=12))
def test_scores_have_their_laws(outcomes):
    report = filled(outcomes, outcomes)
    part = report.summary().words
    assert part == report.summary().lines
    right, wrong = ([c for c, correct in outcomes if correct == kind] for kind in (True, False))
    if right and wrong:
        pairs = [(a > b) + (a == b) / 2 for a in right for b in wrong]
        assert part.auc == pytest.approx(np.mean(pairs))
    else:
        assert part.auc is None
    assert sum(b.count for b in part.bins) == part.count == len(outcomes)
    if outcomes:
        assert abs(part.accuracy - part.confidence) - 1e-9 <= part.ece <= 1
        # The bins average over what Brier's score squares.
        assert part.ece ** 2 <= part.brier + 1e-9
    shares = [k.share for k in part.kept]
    assert not outcomes or shares == sorted(shares, reverse=True)
    assert "NaN" not in json.dumps(report.to_dict()) and "nan" not in report.table()


def test_perfectly_calibrated_sample_and_its_repair():
    rng = np.random.default_rng(3)
    confidence = rng.uniform(size=40_000)
    outcomes = list(zip(confidence.tolist(), (rng.uniform(size=40_000) < confidence).tolist()))
    part = filled(outcomes).summary().words
    assert part.ece < 0.01 and part.brier == pytest.approx(1 / 6, abs=0.005)
    # Too sure of itself: the odds cubed.
    spoilt = [(c ** 3 / (c ** 3 + (1 - c) ** 3), correct) for c, correct in outcomes]
    report = filled(spoilt, spoilt)
    calibrator = Calibrator.fit(report.word_outcomes, report.line_outcomes)
    repaired = calibrated(report, calibrator).summary()
    for before, after in zip(*((s.words, s.lines) for s in (report.summary(), repaired))):
        assert before.ece > 0.1 and after.ece < 0.01
        assert after.log_loss < before.log_loss and after.brier < before.brier
        assert after.auc == pytest.approx(before.auc, abs=1e-4)
    assert report.word_outcomes == spoilt


DEGENERATE = {
    "nothing": ([], []), "no words": ([], [(1.0, False)]),
    "one line": ([(0.3, True)], [(0.3, True)]),
    "all right": ([(0.9, True)] * 9, [(1.0, True)] * 3),
    "all wrong": ([(1.0, False)] * 9, [(0.0, False)] * 3)}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_data(name, tmp_path):
    report = filled(*DEGENERATE[name])
    report = calibrated(report, Calibrator.fit(report.word_outcomes, report.line_outcomes))
    for part in (report.summary().words, report.summary().lines):
        scores = [part.accuracy, part.confidence, part.ece, part.brier, part.log_loss]
        assert part.auc is None
        assert all(s is None for s in scores) if not part.count else np.isfinite(scores).all()
    json.dumps(report.to_dict(), allow_nan=False)
    assert "nan" not in report.table()
    for ending in ("png", "svg", "html"):
        report.save_diagram(str(tmp_path / f"d.{ending}"))
    assert not re.search(r"\bnan\b", (tmp_path / "d.svg").read_text())


def test_lists_must_fit_and_reset():
    report = CalibrationReport()
    with pytest.raises(DataError, match="1 references for 2 readings"):
        report.update_many(["a"], [reading("a")] * 2)
    report.update("a", reading("a"))
    report.reset()
    assert report.summary().words.count == 0 == report.summary().lines.count


@pytest.mark.parametrize("options, message", [
    ({"bins": 0}, "bins must be at least 1"), ({"thresholds": [0.5, 1.2]}, "threshold 1.2")])
def test_settings(options, message):
    with pytest.raises(ConfigError, match=message):
        CalibrationReport(**options)


def test_table():
    table = filled([(0.95, True)] * 3 + [(0.15, False)], [(0.5, True)]).table()
    scores, bins, kept = (part.splitlines() for part in table.split("\n\n"))
    assert scores[2].split() == ["words", "4", "75.00", "75.00", "7.50", "0.0075", "0.0791",
                                 "1.0000"]
    assert scores[3].split()[-1] == "-"
    assert bins[3].split() == ["0.10-0.20", "1", "15.00", "0.00", "0", "-", "-"]
    assert kept[-1].split() == ["0.99", "0.00", "-", "0.00", "-"]
    assert kept[2].split() == ["0.5", "75.00", "100.00", "100.00", "100.00"]
    assert all(len({len(line) for line in part}) == 1 for part in (scores, bins, kept))


def test_to_dict_is_json():
    report = filled([(0.95, True), (0.4, False)], [(0.5, True)])
    value = report.to_dict()
    assert json.loads(json.dumps(value)) == value
    assert value["words"]["auc"] == 1.0 and value["lines"]["auc"] is None
    assert value["words"]["bins"][9] == {"low": 0.9, "high": 1.0, "count": 1, "confidence": 0.95,
                                         "accuracy": 1.0}
    assert value["lines"]["kept"][0] == {"threshold": 0.5, "share": 1.0, "accuracy": 1.0}


def test_diagrams(tmp_path):
    title = "<b> & \"é\""
    report = filled([(0.95, True)] * 3 + [(0.95, False), (0.15, False)], [(0.55, True)])
    for ending in ("png", "svg", "html"):
        report.save_diagram(str(tmp_path / f"d.{ending}"), title)
    root = ElementTree.parse(tmp_path / "d.svg").getroot()
    assert title in [t.text for t in root.iter(f"{SVG}text")]
    words, lines = _figure(report.summary(), title).axes[:2]
    dots = [[tuple(map(float, point)) for point in axes.lines[1].get_xydata()]
            for axes in (words, lines)]
    assert dots == [[(0.15, 0), (0.95, 0.75)], [(0.55, 1)]]
    assert [(bar.get_x(), bar.get_height()) for bar in words.patches] == [
        (pytest.approx(0.1), 0), (pytest.approx(0.9), 0.75)]
    page = (tmp_path / "d.html").read_text(encoding="utf-8")
    assert "<b>" not in page and page.count("<svg") == 1 and "confidence %" in page
    # Nothing is loaded from elsewhere.
    assert not re.search(r"src=|href=\"[^#]|url\([^#]", page)
    with Image.open(tmp_path / "d.png") as picture:
        assert picture.format == "PNG" and picture.size == (1600, 1120)
        assert {(178, 34, 34), (176, 196, 222), (169, 169, 169)} <= {
            colour[:3] for _, colour in picture.convert("RGB").getcolors(2 ** 20)}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.html", "d.png", "d.svg"]
    with pytest.raises(ConfigError, match=r"d\.pdf: a diagram's name ends in \.png"):
        report.save_diagram(str(tmp_path / "d.pdf"))
