"""Word forms: what word models for correction count, so that few words are unknown.

"L'homme, né en 1974" is l homme né en 0000: punctuation and apostrophes end a word and are left
out, case is folded, and every digit is 0. Half of the words that a model split at spaces does
not know are known words beside a comma, or numbers.
"""

import re
import unicodedata

__all__ = ["is_word_character", "fold", "word_forms", "word_form_spans"]

# Letters and digits; the underscore, which \w has, is punctuation.
_FORM = re.compile(r"[^\W_]+")
_DIGIT = re.compile(r"\d")


def is_word_character(character):
    """Tell whether a character belongs to a word form: a letter or a digit of any script."""
    return character.isalnum()


def fold(word):
    """Return the form that is counted for a run of letters and digits: lower case, digits 0."""
    if word.isascii():
        return _DIGIT.sub("0", word.lower())
    # The lower case of some letters (of the Turkish İ) brings a mark that is no letter.
    lower = unicodedata.normalize("NFC", word.lower())
    return _DIGIT.sub("0", "".join(c for c in lower if not unicodedata.combining(c)))


def word_forms(text):
    """Return the word forms of one line of text, in NFC.

    Examples
    --------
    >>> word_forms("L'homme, né en 1974")
    ['l', 'homme', 'né', 'en', '0000']
    """
    return [fold(word) for word in _FORM.findall(unicodedata.normalize("NFC", text))]


def word_form_spans(text):
    """Return (start, end) of each run of letters and digits in `text`, which is in NFC."""
    return [match.span() for match in _FORM.finditer(text)]
