import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from lm.wordforms import fold, is_word_character, word_form_spans, word_forms

texts = st.text(st.one_of(st.characters(exclude_categories=["Cs"]),
                          st.sampled_from("aé’'-_ \u00a01٣²İß,.")))


def test_word_forms():
    assert word_forms("L'homme, né en 1974 !") == ["l", "homme", "né", "en", "0000"]
    assert word_forms("vingt-et-un snake_case 3,5") == [
        "vingt", "et", "un", "snake", "case", "0", "0"]
    assert word_forms(" ... ") == []


def test_decomposed_text_is_composed_first():
    assert word_forms(unicodedata.normalize("NFD", "Été")) == ["été"]


def test_digits_of_any_script():
    assert fold("N٣1") == "n00"


@given(texts)
def test_forms_are_the_folded_spans(text):
    text = unicodedata.normalize("NFC", text)
    spans = word_form_spans(text)
    assert word_forms(text) == [fold(text[start:end]) for start, end in spans]
    inside = {i for start, end in spans for i in range(start, end)}
    assert inside == {i for i, c in enumerate(text) if is_word_character(c)}


@given(texts)
def test_folding_twice_changes_nothing(text):
    assert [fold(form) for form in word_forms(text)] == word_forms(text)
