import math

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.base.errors import DataError, UnknownNameError
from ocr.text import metrics, tidy
from ocr.text.metrics import TextMetric, confusions, paired_bootstrap, tokenise_words

LINES = st.lists(st.tuples(st.text("ab é", min_size=1, max_size=12).filter(str.strip),
                           st.text("ab é", max_size=12)), min_size=1, max_size=8)


@given(LINES)
def test_equals_jiwer(pairs):
    references, hypotheses = ([" ".join(p[i].split()) for p in pairs] for i in (0, 1))
    metric = TextMetric()
    metric.update_many(references, hypotheses)
    summary = metric.summary(bootstrap=0)
    assert summary.cer == pytest.approx(jiwer.cer(references, hypotheses))
    assert summary.wer == pytest.approx(jiwer.wer(references, hypotheses))
    assert summary.ser == np.mean([a != b for a, b in zip(references, hypotheses)])


def test_corpus_level_not_mean_over_lines():
    metric = TextMetric()
    metric.update_many(["a", "bbbbbbbbb"], ["x", "bbbbbbbbb"])
    assert metric.summary(bootstrap=0).cer == 0.1
    metric.reset()
    metric.update("abcd", "abcd")
    assert metric.summary(bootstrap=0).ser == 0


@pytest.mark.parametrize("truth, reading", [
    ("une  ligne ", "une ligne"), ("une ligne", " une   ligne"), ("  ", "")])
def test_spaces_are_folded_in_truths_as_in_readings(truth, reading):
    metric = TextMetric()
    metric.update("mot", "mot")
    metric.update(truth, reading)
    summary = metric.summary(bootstrap=0)
    assert (summary.cer, summary.wer, summary.ser) == (0, 0, 0)
    assert confusions([truth], [reading]) == []


def test_other_white_space_is_a_character():
    assert tidy(" a\u00a0 b\t") == "a\u00a0 b\t"


def test_a_bootstrap_of_many_lines_is_drawn_in_pieces(monkeypatch):
    rows = np.random.default_rng(0).integers(0, 9, (500, 5))
    whole = metrics._resample(rows, 200, seed=3)
    monkeypatch.setattr(metrics, "_DRAWN", 1300)
    assert (metrics._resample(rows, 200, seed=3) == whole).all()
    counts = np.random.default_rng(3).multinomial(500, np.full(500, 1 / 500), size=200)
    assert (whole[:, :-1] == counts @ rows).all()


def test_composed_and_decomposed_are_the_same():
    metric = TextMetric()
    metric.update("\u00e9", "e\u0301")
    assert metric.summary(bootstrap=0).cer == 0


def test_tokenisations():
    assert tokenise_words("l'été, (vite)!", "space") == ["l'été,", "(vite)!"]
    assert tokenise_words("l'été, (vite)!", "words-punctuation") == ["l'été", ",", "(", "vite",
                                                                     ")", "!"]
    metrics = [TextMetric(t) for t in ("space", "words-punctuation")]
    for metric in metrics:
        metric.update("un mot.", "un mot,")
    assert [m.summary(bootstrap=0).wer for m in metrics] == [1 / 2, 1 / 3]
    with pytest.raises(UnknownNameError, match="known: space, words-punctuation"):
        TextMetric("nltk")


def test_empty_references():
    metric = TextMetric()
    metric.update("", "two")
    summary = metric.summary()
    assert math.isnan(summary.cer) and summary.character_edits == 3 and summary.ser == 1
    metric.update("abc", "abc")
    assert metric.summary(bootstrap=0).cer == 1.0
    with pytest.raises(DataError, match="1 references for 2 readings"):
        metric.update_many(["a"], ["a", "b"])


@given(LINES, st.integers(0, 5))
def test_intervals_hold_the_extremes(pairs, seed):
    metric = TextMetric()
    metric.update_many(*zip(*pairs))
    summary = metric.summary(bootstrap=200, seed=seed)
    rows = metric.line_counts()
    low, high = summary.cer_interval
    per_line = rows[:, 0] / rows[:, 1]
    assert per_line.min() - 1e-9 <= low <= high <= per_line.max() + 1e-9
    assert summary == metric.summary(bootstrap=200, seed=seed)


def test_intervals_narrow_with_more_lines():
    def width(copies):
        metric = TextMetric()
        metric.update_many(["abcd", "abcd"] * copies, ["abcd", "abxx"] * copies)
        low, high = metric.summary().cer_interval
        assert low <= 0.25 <= high
        return high - low

    assert width(200) < width(10) / 2


def test_paired_bootstrap():
    references = ["abcdefgh"] * 60
    worse = ["abcdefxx"] * 60
    mixed = ["abcdefgx"] * 30 + ["abcdefxx"] * 30
    result = paired_bootstrap(references, worse, mixed)["cer"]
    assert result["difference"] == pytest.approx(-1 / 16)
    assert result["interval"][1] < 0 and result["p"] < 0.05
    assert result["relative"] == pytest.approx(-0.25)
    assert -0.5 < result["relative_interval"][0] < -0.25 < result["relative_interval"][1] < 0
    faultless = paired_bootstrap(references, references, worse)["cer"]
    assert faultless["relative"] is None and faultless["difference"] == pytest.approx(0.25)
    same = paired_bootstrap(references, worse, worse)["wer"]
    assert same["difference"] == 0 and same["p"] == 1
    with pytest.raises(DataError, match="no lines"):
        paired_bootstrap([], [], [])


def test_confusions():
    found = confusions(["aab", "ab", "b"], ["aac", "cb", "bd"])
    assert {(c["truth"], c["read"]): c["count"] for c in found} == {
        ("b", "c"): 1, ("a", "c"): 1, ("", "d"): 1}
    assert sum(c["share"] for c in found) == pytest.approx(1)
    assert confusions(["ab"], ["b"]) == [{"truth": "a", "read": "", "count": 1, "share": 1.0}]
    assert confusions(["a"], ["a"]) == []
