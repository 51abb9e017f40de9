import math

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.base.errors import DataError, UnknownNameError
from ocr.text.metrics import TextMetric, confusions, paired_bootstrap, tokenise_words

LINES = st.lists(st.tuples(st.text("ab é", min_size=1, max_size=12).filter(str.strip),
                           st.text("ab é", max_size=12)), min_size=1, max_size=8)


@given(LINES)
def test_equals_jiwer(pairs):
    references, hypotheses = ([p[i].strip() for p in pairs] for i in (0, 1))
    metric = TextMetric()
    metric.update_many(references, hypotheses)
    summary = metric.summary(bootstrap=0)
    assert summary.cer == pytest.approx(jiwer.cer(references, hypotheses))
    # jiwer splits at single spaces.
    squeezed = [[" ".join(t.split()) for t in texts] for texts in (references, hypotheses)]
    assert summary.wer == pytest.approx(jiwer.wer(*squeezed))
    assert summary.ser == np.mean([a != b for a, b in zip(references, hypotheses)])


def test_corpus_level_not_mean_over_lines():
    metric = TextMetric()
    metric.update_many(["a", "bbbbbbbbb"], ["x", "bbbbbbbbb"])
    assert metric.summary(bootstrap=0).cer == 0.1
    metric.reset()
    metric.update("abcd", "abcd")
    assert metric.summary(bootstrap=0).ser == 0


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
