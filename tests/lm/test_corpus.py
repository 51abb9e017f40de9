import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.base.errors import (
    ConfigError,
    DataError,
    LanguageModelError,
    MissingDataError,
    UnknownNameError,
)
from lm.corpus import SPACE_TOKEN, UNITS, Corpus, tokenise
from lm.wordforms import word_forms


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def test_words():
    assert tokenise("  the\tcat \u00a0 sat ", "word") == (["the", "cat", "sat"], 0)


def test_characters_show_their_spaces():
    assert tokenise("a cat", "character")[0] == ["a", SPACE_TOKEN, "c", "a", "t"]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_word_forms(text):
    assert tokenise(text, "wordform") == (word_forms(text), 0)


def test_no_word_form_is_reserved(tmp_path):
    path = write(tmp_path / "a.txt", "the <s> of <UNK> </s>\n\na▁b\n\0x\n")
    with pytest.raises(LanguageModelError, match="line 4: holds a NUL"):
        list(Corpus([path], "wordform"))
    corpus = Corpus([path], "wordform", reserved="skip")
    assert list(corpus) == [["the", "s", "of", "unk", "s"], [], ["a", "b"], ["x"]]
    assert corpus.counts.skipped == 1


def test_lines_are_normalised_before_they_are_split(tmp_path):
    path = write(tmp_path / "a.txt", "L’ÉTÉ , un\u00a0jour\n–\n")
    rules = ["quotes", "punctuation", "dashes"]
    assert list(Corpus([path], normalise=rules)) == [["L'ÉTÉ,", "un", "jour"], ["-"]]
    assert list(Corpus([path], "character", normalise=[*rules, "accents"]))[0] == list(
        "L'ETE,▁un▁jour")
    assert list(Corpus([path]))[0] == ["L’ÉTÉ", ",", "un", "jour"]
    with pytest.raises(UnknownNameError, match="'quote'; known"):
        Corpus([path], normalise=["quote"])


def test_every_kind_of_whitespace_is_a_space_token():
    # As many blanks as gaps between words, but one of them is a tab.
    assert tokenise(" a  b\tc\r", "character")[0] == list("a▁▁b▁c")
    assert tokenise("a\u00a0b", "character")[0] == list("a▁b")


def test_nfc():
    decomposed = unicodedata.normalize("NFD", "déjà")
    assert tokenise(decomposed, "word")[0] == ["déjà"]
    assert tokenise(decomposed, "character")[0] == list("déjà")


@given(st.text(), st.sampled_from(UNITS))
def test_tokens_hold_nothing_that_separates_in_an_arpa_file(text, unit):
    tokens, _ = tokenise(text, unit, reserved="skip")
    for token in tokens:
        assert token and not any(c.isspace() or c == "\0" for c in token)
        assert token.encode("utf-8", "surrogatepass").split() == [
            token.encode("utf-8", "surrogatepass")]
        if unit == "character":
            assert len(token) == 1


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"],
                                      exclude_characters=SPACE_TOKEN), min_size=1), min_size=1))
def test_characters_give_the_text_back(words):
    text = unicodedata.normalize("NFC", " ".join(words))
    assert "".join(tokenise(text, "character")[0]).replace(SPACE_TOKEN, " ") == text


@pytest.mark.parametrize("word", ["<s>", "</s>", "<unk>", "<UNK>"])
def test_reserved_words(word, tmp_path):
    path = write(tmp_path / "a.txt", f"fine\nthe {word} here\n")
    with pytest.raises(LanguageModelError, match=f"a.txt, line 2: the word '{word}'"):
        list(Corpus([path]))
    corpus = Corpus([path], reserved="skip")
    assert list(corpus) == [["fine"], ["the", "here"]]
    assert corpus.counts.skipped == 1
    # A part of a word, or in characters, it is harmless.
    assert tokenise(f"x{word}", "word") == ([f"x{word}"], 0)
    assert "".join(tokenise(word, "character")[0]) == word


@pytest.mark.parametrize("text, unit, kept", [
    ("a▁b▁", "character", ["a", "b"]), ("a\0b", "word", ["ab"])])
def test_reserved_characters(text, unit, kept, tmp_path):
    path = write(tmp_path / "a.txt", f"\n\n{text}")
    with pytest.raises(LanguageModelError, match="a.txt, line 3"):
        list(Corpus([path], unit))
    corpus = Corpus([path], unit, reserved="skip", blank_lines="skip")
    assert list(corpus) == [kept]
    assert corpus.counts.skipped == len(text) - len("".join(kept))


def test_space_token_is_a_word_like_any_other_in_word_models():
    assert tokenise("a▁ ▁", "word") == (["a▁", "▁"], 0)


def test_lines_end_at_newlines_only(tmp_path):
    path = write(tmp_path / "a.txt", "\ufeffa\u2028b\x0cc\r\nd\re\n\nlast")
    corpus = Corpus([path])
    assert list(corpus) == [["a", "b", "c"], ["d", "e"], [], ["last"]]
    counts = corpus.counts
    assert (counts.sentences, counts.tokens, counts.blank, counts.longest) == (4, 6, 1, 3)


def test_blank_lines_may_be_skipped(tmp_path):
    corpus = Corpus([write(tmp_path / "a.txt", "a\n \n\nb\n")], blank_lines="skip")
    assert list(corpus) == [["a"], ["b"]]
    assert (corpus.counts.sentences, corpus.counts.blank) == (2, 2)


def test_several_files_and_several_passes(tmp_path):
    paths = [write(tmp_path / "a.txt", "a"), write(tmp_path / "b.txt", "b\n")]
    corpus = Corpus(paths)
    assert list(corpus) == list(corpus) == [["a"], ["b"]]
    assert corpus.counts.sentences == 2


def test_bad_utf8_names_file_and_line(tmp_path):
    path = write(tmp_path / "bad.txt", b"fine\nalso\nno\xff\n")
    with pytest.raises(DataError, match=r"bad.txt, line 3: not UTF-8 \(.* at byte 3"):
        list(Corpus([path]))


def test_missing_file_folder_and_choices(tmp_path):
    with pytest.raises(MissingDataError, match="none.txt"):
        Corpus([tmp_path / "none.txt"])
    with pytest.raises(DataError, match="cannot be read"):
        list(Corpus([tmp_path]))
    with pytest.raises(ConfigError, match="no text file"):
        Corpus([])
    with pytest.raises(ConfigError, match="unit must be one of word, character"):
        Corpus([tmp_path], unit="syllable")
