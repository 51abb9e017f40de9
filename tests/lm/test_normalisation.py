import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.base.errors import ConfigError, UnknownNameError
from lm.normalisation import RULES, Normaliser, check_rules, normalise, parse_rules
from ocr.text import alphabet

# Any text, and text thick with what the rules touch.
texts = st.text(st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from("aEéÉİΣς ,.;:!?()'\"‘’“”«»‹›′″–—−-\u0301\u0307\u0323\u0345\t\n\u00a0\u202f"
                    "\u2003\u037e\u0340\u1fef≠가ᄀ")))
subsets = st.lists(st.sampled_from(list(RULES)), unique=True)


@given(texts, subsets)
def test_twice_is_once_in_any_order_of_names(text, rules):
    once = Normaliser(rules)(text)
    assert Normaliser(rules)(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert Normaliser(sorted(rules))(text) == once


@given(texts)
def test_without_rules_it_is_nfc(text):
    assert Normaliser()(text) == normalise(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("rule, text, expected", [
    ("quotes", "l’été ‘a’ “b” „c‟ «d» ‹e› 5′ 3″ ʼ´", "l'été 'a' \"b\" \"c\" \"d\" 'e' 5' 3\" ''"),
    ("dashes", "a‐b‑c‒d–e—f―g−h-i", "a-b-c-d-e-f-g-h-i"),
    ("spaces", " a\u00a0b\u202f\u2009c\td \n", "a b c d"),
    ("punctuation", "Oui , ( peut-être ) ; ou ? non !  a .", "Oui, (peut-être); ou? non!  a."),
    ("accents", "Élève garçon naïf œuvre Ångström", "Eleve garcon naif œuvre Angstrom"),
    ("accents", "e\u0301", "e"),
    ("unpunctuated", "L’an (1914) : $5, c’est-à-dire «a_b» − 3 % !",
     "Lan 1914  5 cestàdire ab  3  "),
    ("case", "ÉTÉ Straße", "été straße"),
])
def test_each_rule(rule, text, expected):
    normaliser = Normaliser([rule])
    assert normaliser(text) == expected
    # And nothing but it: other characters stay.
    assert normaliser("abc 12") == "abc 12"


def test_rules_work_together():
    rules = [rule for rule in RULES if rule != "unpunctuated"]
    assert Normaliser(rules)(" « L’Été » ,\u00a0( Où ? ) — ") == '" l\'ete ", (ou?) -'


def test_names():
    assert parse_rules("dashes, quotes,quotes") == ("quotes", "dashes")
    assert parse_rules("") == check_rules([]) == ()
    assert Normaliser(["spaces", "case"]).rules == ("case", "spaces")
    for call in (lambda: parse_rules("quotes,comma"), lambda: Normaliser(["comma"])):
        with pytest.raises(UnknownNameError, match="'comma'; known: accents, unpunctuated, case"):
            call()
    with pytest.raises(ConfigError, match="expected a list"):
        Normaliser("quotes")


def test_the_alphabets_normalise_is_this_one():
    assert alphabet.normalise is normalise
