import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from lm.base.errors import ConfigError, DataError, MissingDataError
from lm.lexicon import Lexicon
from lm.training import NgramConfig, train_ngram

LETTERS = "abéß\U0001d4d0"
words = st.text(LETTERS, min_size=1, max_size=8)


def write(path, text):
    path.write_text(text, "utf-8", newline="")
    return str(path)


@settings(max_examples=200, deadline=None)
@given(st.sets(words, min_size=1, max_size=40), words, st.integers(1, 2))
def test_candidates_are_all_words_so_near(known, word, edits):
    lexicon = Lexicon({w: len(w) for w in known})
    reach = edits if len(word) >= 5 else 1
    expected = {w for w in known if 0 < Levenshtein.distance(w, word) <= reach}
    found = lexicon.candidates(word, edits)
    assert set(found) == expected and len(found) == len(expected)
    assert found == sorted(found, key=lambda w: (-len(w), w))


def test_candidates_of_a_larger_lexicon():
    known = {a + b + c + "a" * n for a in LETTERS for b in LETTERS for c in LETTERS
             for n in range(5)}
    lexicon = Lexicon(dict.fromkeys(known, 1))
    for word in ("abé", "aaaaaaa", "ßabaaaaa", "x", "", "abéx"):
        for edits in (1, 2):
            reach = edits if len(word) >= 5 else 1
            assert lexicon.candidates(word, edits) == sorted(
                w for w in known if 0 < Levenshtein.distance(w, word) <= reach)


def test_candidates_can_be_changed_by_the_caller():
    lexicon = Lexicon({"chat": 2, "char": 1})
    lexicon.candidates("chas").clear()
    assert lexicon.candidates("chas") == ["chat", "char"]
    assert lexicon.candidates("chat") == ["char"]
    with pytest.raises(ConfigError, match="max_edits must be 1 or 2, not 3"):
        lexicon.candidates("chat", 3)


def test_frequencies_of_a_list(tmp_path):
    path = write(tmp_path / "w.tsv", "Le\t5\r\nle\t1\n\naujourd'hui\t2\n1974\t1e0\n🤕\t7\n")
    lexicon = Lexicon.read(path)
    assert lexicon.words == ("le", "aujourd", "hui", "0000") and len(lexicon) == 4
    assert lexicon.log_prob("le") == pytest.approx(math.log(6 / 11))
    assert "hui" in lexicon and "Le" not in lexicon and "🤕" not in lexicon
    assert lexicon.unlisted == pytest.approx(math.log(0.5 / 11))
    assert lexicon.unlisted >= lexicon.log_prob("b") > lexicon.log_prob("zut")
    rare = Lexicon({"le": 1e9, "oh": 1.0})
    assert rare.log_prob("b") == rare.log_prob("zut") == rare.unlisted


@pytest.mark.parametrize("row", ["mot", "mot 3", "mot\tx", "mot\t", "\t3", "mot\t3\t4", "mot\t0",
                                 "mot\t-1", "mot\tnan", "mot\tinf"])
def test_a_malformed_row_is_named(tmp_path, row):
    path = write(tmp_path / "w.tsv", f"le\t2\n{row}\n")
    with pytest.raises(DataError, match=r"w\.tsv, line 2: expected a word, a tab"):
        Lexicon.read(path)


def test_a_text_is_counted(tmp_path):
    lexicon = Lexicon.read([write(tmp_path / "t.txt", "L'homme,\nl'homme l'an 12\n")])
    assert lexicon.words == ("l", "homme", "00", "an")
    assert lexicon.log_prob("l") == pytest.approx(math.log(3 / 7))


def test_a_model_gives_its_unigrams(tmp_path, no_tools):
    pytest.importorskip("kenlm")
    text = write(tmp_path / "t.txt", "Le chat, le chien\nle chat dort\n")
    for order in (1, 2):
        model = train_ngram(NgramConfig(corpus=(text,), output=str(tmp_path / "m"), order=order))
        for source in (str(tmp_path / "m"), str(tmp_path / "m.arpa")):
            lexicon = Lexicon.read(source)
            assert set(lexicon.words) == {"le", "chat", "chien", "dort"}
        assert lexicon.words[0] == "le" and Lexicon.from_ngram(model).words == lexicon.words
    train_ngram(NgramConfig(corpus=(text,), output=str(tmp_path / "c"), unit="character"))
    with pytest.raises(DataError, match="a model of characters; a lexicon takes words"):
        Lexicon.read(str(tmp_path / "c"))


def test_lexicons_are_merged_by_weight(tmp_path):
    paths = [write(tmp_path / "a.tsv", "un\t3\ndeux\t1\n"), write(tmp_path / "b.txt", "deux")]
    assert math.exp(Lexicon.read(paths).log_prob("un")) == pytest.approx(3 / 8)
    merged = Lexicon.read(paths, weights=[3, 1])
    assert math.exp(merged.log_prob("deux")) == pytest.approx((3 / 4 + 1) / 4)
    assert merged.words == ("un", "deux")
    for weights in ([1], [1, 0], [1, math.inf]):
        with pytest.raises(ConfigError, match="2 lexicons need as many weights"):
            Lexicon.read(paths, weights)


def test_nothing_to_read(tmp_path):
    with pytest.raises(MissingDataError, match="none.tsv: no such"):
        Lexicon.read(str(tmp_path / "none.tsv"))
    with pytest.raises(MissingDataError, match="none.txt: no such"):
        Lexicon.read(str(tmp_path / "none.txt"))
    for name, text in (("e.tsv", "🤕\t3\n"), ("e.txt", "?!\n"), ("n.tsv", "")):
        with pytest.raises(DataError, match=f"{name}: holds no words"):
            Lexicon.read(write(tmp_path / name, text))
    (tmp_path / "l.tsv").write_bytes(b"a\t1\n\xff\t2\n")
    with pytest.raises(DataError, match="l.tsv, line 2: not UTF-8"):
        Lexicon.read(str(tmp_path / "l.tsv"))
    with pytest.raises(ConfigError, match="no lexicon"):
        Lexicon.read([])
    with pytest.raises(DataError, match="at least one word"):
        Lexicon({})
