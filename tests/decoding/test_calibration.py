import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.base.errors import ConfigError, DataError
from ocr.decoding import Hypothesis, Span
from ocr.decoding.calibration import CLIP, Calibrator, log_odds

OUTCOMES = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=30)
IDENTITY = Calibrator(1.0, 0.0, 1.0, 0.0)


def sample(count, slope=1.0, offset=0.0, seed=0):
    """Confidences, and outcomes that are right as often as slope and offset make of them."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.02, 0.98, count)
    probability = 1 / (1 + np.exp(-slope * log_odds(confidence) - offset))
    return np.column_stack([confidence, rng.uniform(size=count) < probability])


def log_loss(probabilities, outcomes):
    return -sum(math.log(p if correct else 1 - p)
                for p, (_, correct) in zip(probabilities, outcomes))


def test_log_odds():
    assert log_odds([0.5, 0.75]) == pytest.approx([0, math.log(3)])
    assert log_odds([0, 1]) == pytest.approx([-log_odds(1 - CLIP), log_odds(1 - CLIP)])
    for wrong in (-0.1, 1.01, math.nan):
        with pytest.raises(DataError, match=r"confidence .* is not in 0\.\.1"):
            log_odds([0.5, wrong])


@given(OUTCOMES, OUTCOMES, st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_fitted_maps_are_monotone_probabilities(words, lines, confidences):
    calibrator = Calibrator.fit(words, lines)
    assert calibrator.word_slope >= 0 and calibrator.line_slope >= 0
    for probability in (calibrator.word_probability, calibrator.line_probability):
        values = probability(np.sort(confidences))
        assert np.isfinite(values).all() and (0 <= values).all() and (values <= 1).all()
        assert (np.diff(values) >= -1e-12).all()


@given(OUTCOMES.filter(bool))
def test_fitting_does_not_raise_the_log_loss_on_its_own_data(outcomes):
    confidences = [confidence for confidence, _ in outcomes]
    calibrator = Calibrator.fit(outcomes, [])
    before = log_loss(IDENTITY.word_probability(confidences), outcomes)
    after = log_loss(np.clip(calibrator.word_probability(confidences), 1e-12, 1 - 1e-12), outcomes)
    assert after <= before + 1e-6
    assert (calibrator.line_slope, calibrator.line_offset) == (1, 0)


@given(OUTCOMES)
def test_the_fit_is_a_minimum(outcomes):
    calibrator = Calibrator.fit([], outcomes)
    odds = log_odds([c for c, _ in outcomes])
    correct = np.array([float(y) for _, y in outcomes])

    def objective(slope, offset):
        u = slope * odds + offset
        return (np.sum(np.logaddexp(0, u) - correct * u)
                + 0.05 * ((slope - 1) ** 2 + offset ** 2))

    best = objective(calibrator.line_slope, calibrator.line_offset)
    for slope, offset in ((1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3), (1e-3, -1e-3)):
        if calibrator.line_slope + slope >= 0:
            assert objective(calibrator.line_slope + slope,
                             calibrator.line_offset + offset) >= best - 1e-9


@pytest.mark.parametrize("slope, offset", [(1.0, 0.0), (0.6, -1.0), (2.0, 0.5)])
def test_finds_the_map_that_made_the_data(slope, offset):
    calibrator = Calibrator.fit(sample(20_000, slope, offset), sample(20_000, 1.0, 1.0))
    assert calibrator.word_slope == pytest.approx(slope, abs=0.06)
    assert calibrator.word_offset == pytest.approx(offset, abs=0.08)
    assert calibrator.line_offset == pytest.approx(1, abs=0.08)


def test_misleading_confidences_give_the_share_that_is_right():
    # The surer the wronger: no order can be kept but none at all.
    outcomes = [(0.9, False)] * 60 + [(0.2, True)] * 40
    calibrator = Calibrator.fit(outcomes, outcomes)
    assert calibrator.word_slope == 0 == calibrator.line_slope
    assert calibrator.word_probability([0.01, 0.99]) == pytest.approx([0.4, 0.4], abs=0.005)


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("count", [1, 500])
@pytest.mark.parametrize("confidence", [0.0, 0.7, 1.0])
def test_all_right_or_all_wrong(right, count, confidence):
    calibrator = Calibrator.fit([(confidence, right)] * count, [])
    probability = float(calibrator.word_probability(confidence))
    assert 0 < probability < 1
    before = float(IDENTITY.word_probability(confidence))
    assert probability >= before if right else probability <= before
    if count == 500:
        assert abs(probability - right) < 0.01


def test_few_outcomes_move_little():
    one = Calibrator.fit([(0.6, False)], [])
    assert 0.1 < float(one.word_probability(0.6)) < 0.5
    assert Calibrator.fit([], []) == IDENTITY == Calibrator.fit(np.zeros((0, 2)), ())


def test_apply():
    characters = (Span("a", 0, 1, 0.9), Span(" ", 1, 2, 0.8), Span("b", 2, 4, 0.5))
    words = (Span("a", 0, 1, 0.9), Span("b", 2, 4, 0.5))
    raw = Hypothesis("a b", -2.0, 0.7, characters, words, -1.5, -0.5)
    done = Calibrator(0.5, -1.0, 2.0, 1.0).apply(raw)
    joint = 0.7 ** 3
    assert done.confidence == pytest.approx(1 / (1 + math.exp(-1) / (joint / (1 - joint)) ** 2))
    assert [w.confidence for w in done.words] == pytest.approx(
        [1 / (1 + math.e / 3), 1 / (1 + math.e)])
    assert [(w.text, w.start, w.end) for w in done.words] == [("a", 0, 1), ("b", 2, 4)]
    assert done.characters == characters and raw.words == words
    assert (done.text, done.score, done.logit_score, done.lm_score) == ("a b", -2.0, -1.5, -0.5)
    assert all(type(c) is float for c in (done.confidence, done.words[0].confidence))
    same = IDENTITY.apply(raw)
    assert same.confidence == pytest.approx(joint)
    longer = Hypothesis("abcd", 0.0, 0.7)
    assert IDENTITY.apply(longer).confidence < same.confidence
    assert [w.confidence for w in same.words] == pytest.approx([0.9, 0.5])
    empty = Calibrator(0.5, -1.0, 2.0, 1.0).apply(Hypothesis("", 0.0, 1.0))
    assert empty.words == () and 0.99 < empty.confidence <= 1
    with pytest.raises(DataError, match="confidence nan"):
        IDENTITY.apply(Hypothesis("a", 0.0, math.nan))


def test_json_round_trip():
    calibrator = Calibrator.fit(sample(200, 0.7), sample(50, 1.3, -2, seed=1))
    assert Calibrator.from_dict(json.loads(json.dumps(calibrator.to_dict()))) == calibrator


GOOD = {"word_slope": 1.0, "word_offset": 0.5, "line_slope": 2, "line_offset": 0.0}


@pytest.mark.parametrize("value, message", [
    (None, "calibration: the setting 'word_slope' is missing"),
    ([1, 0, 1, 0], "calibration: expected a mapping"),
    ({k: v for k, v in GOOD.items() if k != "line_slope"}, "'line_slope' is missing"),
    ({**GOOD, "temperature": 1}, "unknown setting 'calibration.temperature'"),
    ({**GOOD, "word_slope": "steep"}, "calibration.word_slope: expected float"),
    ({**GOOD, "word_slope": None}, "calibration.word_slope: expected float"),
    ({**GOOD, "word_slope": -0.1}, "word_slope must not be negative"),
    ({**GOOD, "line_offset": math.nan}, "line_offset must be finite"),
    ({**GOOD, "line_slope": math.inf}, "line_slope must be finite")])
def test_malformed_settings(value, message):
    with pytest.raises(ConfigError, match=message):
        Calibrator.from_dict(value)
    assert Calibrator.from_dict(GOOD).line_slope == 2


@pytest.mark.parametrize("outcomes, message", [
    ([0.5, 0.6], r"line outcomes: an array of shape \(2,\)"),
    ([(0.5, True, 1)], r"shape \(1, 3\)"), ([(0.5, True), (0.5,)], "line outcomes: not pairs"),
    ([(0.5, "yes")], "line outcomes: not pairs"), ([(0.5, 2)], "must be true or false"),
    ([(0.5, math.nan)], "must be true or false"), ([(1.5, True)], "line outcomes: confidence 1.5")])
def test_malformed_outcomes(outcomes, message):
    with pytest.raises(DataError, match=message):
        Calibrator.fit([(0.5, True)], outcomes)
