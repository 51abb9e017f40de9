from hypothesis import given
from hypothesis import strategies as st

from ocr.correction import plain_hypothesis, retext
from ocr.decoding import Hypothesis, Span

WORDS = st.text("ab é", max_size=12)


@given(WORDS, WORDS)
def test_another_text_keeps_what_is_the_same(old, new):
    hypothesis = Hypothesis(old, -1.0, 0.9, tuple(
        Span(c, 2 * i, 2 * i + 2, 0.9) for i, c in enumerate(old)))
    changed = retext(hypothesis, new)
    assert changed.text == new == "".join(s.text for s in changed.characters)
    ends = [0, *(s.end for s in changed.characters)]
    assert all(last <= s.start <= s.end <= 2 * len(old)
               for last, s in zip(ends, changed.characters))
    if old == new:
        assert changed is hypothesis
    else:
        assert "".join(w.text for w in changed.words) == "".join(new.split())


def test_a_replaced_stretch_shares_its_frames():
    spans = [Span("c", 0, 2, 0.9), Span("0", 4, 8, 0.3), Span("t", 9, 10, 0.8)]
    changed = retext(Hypothesis("c0t", -1.0, 0.5, tuple(spans)), "coat", score=-2.0)
    assert changed.characters == (spans[0], Span("o", 4, 6, 0.3), Span("a", 6, 8, 0.3), spans[2])
    assert changed.score == -2.0


def test_plain_strings_become_hypotheses():
    plain = plain_hypothesis("ab c", 0.25)
    assert [w.text for w in plain.words] == ["ab", "c"]
    assert {s.confidence for s in plain.characters} == {0.25}
    assert plain_hypothesis("").characters == ()
