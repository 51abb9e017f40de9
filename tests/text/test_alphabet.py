import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.base.errors import AlphabetError, UnknownNameError
from ocr.text.alphabet import Alphabet


def test_presets_hold_what_they_promise():
    assert len(Alphabet.preset("iam")) == 79
    assert "\\" not in Alphabet.preset("iam")
    assert len(Alphabet.preset("ascii")) == 95
    with pytest.raises(UnknownNameError, match="ascii, iam"):
        Alphabet.preset("klingon")


@given(st.text(min_size=1))
def test_round_trip(text):
    text = unicodedata.normalize("NFC", text)
    alphabet = Alphabet.from_texts([text])
    indices = alphabet.encode(text)
    assert alphabet.decode(indices) == text
    assert all(0 <= i < alphabet.blank for i in indices)
    assert Alphabet.from_dict(alphabet.to_dict()) == alphabet


def test_decomposed_text_is_taken_to_nfc():
    alphabet = Alphabet.from_texts(["é"])
    assert alphabet.encode("e\u0301") == [0]
    with pytest.raises(AlphabetError, match="NFC"):
        Alphabet(["\u212b"])


def test_unknown_characters():
    alphabet = Alphabet("ab?", replacement="?")
    with pytest.raises(AlphabetError, match=r"'é' \(U\+00E9\) at position 1"):
        alphabet.encode("aé")
    assert alphabet.encode("aéb", unknown="replace") == [0, 2, 1]
    assert alphabet.encode("aéb", unknown="drop") == [0, 1]
    assert alphabet.unknown("axbyx") == ["x", "y"]
    with pytest.raises(AlphabetError, match="known: strict, replace, drop"):
        alphabet.encode("a", unknown="guess")
    with pytest.raises(AlphabetError, match="no replacement"):
        Alphabet("ab").encode("x", unknown="replace")


def test_blank_is_the_last_class():
    alphabet = Alphabet("abc")
    assert (alphabet.blank, alphabet.num_classes) == (3, 4)
    with pytest.raises(AlphabetError, match="index 3"):
        alphabet.decode([3])


@pytest.mark.parametrize("characters", [[], ["ab"], ["a", "a"], [""], [7]])
def test_malformed(characters):
    with pytest.raises(AlphabetError):
        Alphabet(characters)


def test_file_round_trip(tmp_path):
    path = tmp_path / "characters.txt"
    path.write_bytes(" \r\na\r\né\r\n\u2028\r\n".encode())
    assert Alphabet.from_file(path).characters == (" ", "a", "é", "\u2028")
    path.write_text("a\nbc\n")
    with pytest.raises(AlphabetError, match="line 2: 'bc'"):
        Alphabet.from_file(path)
    with pytest.raises(AlphabetError, match="no such file"):
        Alphabet.from_file(tmp_path / "missing.txt")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(AlphabetError, match="not JSON"):
        Alphabet.from_file(tmp_path / "broken.json")
