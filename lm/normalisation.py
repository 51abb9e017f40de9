"""Text normalisation, in one place for corpora, transcripts, alphabets and scores.

All text is kept in Unicode NFC. Beyond that nothing is changed unless it is asked for, by the
names in `RULES`:

=============  =====================================================================
accents        combining marks are struck: é becomes e, ç becomes c
case           lower case
quotes         typographic quotes, guillemets, primes and apostrophes become ' and "
dashes         hyphens, en and em dashes and minus signs become -
spaces         whitespace of any kind and number (no-break and narrow spaces, tabs)
               becomes one space; none at the ends
punctuation    no whitespace before , . ; : ! ? and ) nor after ( as in natural text:
               IAM's tokenised transcripts have it there
unpunctuated   punctuation and ASCII's other marks are struck, as Flor's scores may have it
=============  =====================================================================
"""

import re
import string
import unicodedata

from .base.errors import ConfigError, UnknownNameError

__all__ = ["RULES", "Normaliser", "check_rules", "normalise", "parse_rules"]

_QUOTES = {**dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u2035\u2039\u203a\u02bc\u00b4", "'"),
           **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb", '"')}
_DASHES = dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-")
_LOOSE = re.compile(r"\s+(?=[,.;:!?)])|(?<=\()\s+")


def normalise(text):
    """Return `text` in Unicode NFC, the form every transcript and alphabet is kept in."""
    return unicodedata.normalize("NFC", text)


def _accents(text):
    decomposed = unicodedata.normalize("NFD", text)
    return normalise("".join(c for c in decomposed if not unicodedata.combining(c)))


def _strike_punctuation(text):
    # What the later rules make punctuation of goes as well.
    return normalise("".join(c for c in text if c not in string.punctuation and c not in _QUOTES
                             and c not in _DASHES and unicodedata.category(c)[0] != "P"))


def _translate(table):
    table = str.maketrans(table)
    return lambda text: text.translate(table)


#: Rules by name, in the order in which they are applied.
RULES = {
    "accents": _accents,
    "unpunctuated": _strike_punctuation,
    "case": str.lower,
    "quotes": _translate(_QUOTES),
    "dashes": _translate(_DASHES),
    "spaces": lambda text: " ".join(text.split()),
    "punctuation": lambda text: _LOOSE.sub("", text),
}


def check_rules(rules):
    """Return the names of rules in the order of `RULES`, each once.

    Raises
    ------
    UnknownNameError
        No such rule; the message lists the known ones.
    ConfigError
        A string where names are wanted.
    """
    if isinstance(rules, str):
        raise ConfigError(f"expected a list of normalisation rules, not {rules!r}")
    rules = tuple(rules)
    for rule in rules:
        if rule not in RULES:
            raise UnknownNameError(f"unknown normalisation rule {rule!r}; "
                                   f"known: {', '.join(RULES)}")
    return tuple(name for name in RULES if name in rules)


def parse_rules(text):
    """Return the rules that a list such as ``"quotes,dashes"`` names; see `check_rules`."""
    return check_rules(filter(None, (name.strip() for name in text.split(","))))


class Normaliser:
    """Brings text to NFC and applies rules; doing it twice changes nothing more.

    Parameters
    ----------
    rules : sequence of str
        Names in `RULES`; the order does not matter.

    Raises
    ------
    UnknownNameError, ConfigError
        As `check_rules`.

    Examples
    --------
    >>> Normaliser(["quotes", "punctuation"])("Is it ‘here’ ?")
    "Is it 'here'?"
    """

    def __init__(self, rules=()):
        self.rules = check_rules(rules)
        self._steps = [RULES[name] for name in self.rules]

    def __call__(self, text):
        """Return the normalised `text`."""
        text = normalise(text)
        for step in self._steps:
            text = step(text)
        return normalise(text) if self._steps else text

    def character(self, character: str) -> str:
        """Return what becomes of a character within a text; it stays where that is not one."""
        # A space alone would be one at a text's end.
        changed = self(f"x{character}x")[1:-1]
        return changed if len(changed) == 1 else character

    def __repr__(self):
        return f"Normaliser({list(self.rules)!r})"
