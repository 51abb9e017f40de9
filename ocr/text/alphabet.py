"""The codec between text and class indices."""

import string
from collections import Counter

from lm.base.errors import AlphabetError, DataError, UnknownNameError
from lm.base.files import parse_json, read_text
from lm.normalisation import normalise

__all__ = ["Alphabet", "normalise", "PRESETS"]

#: Named alphabets. ``iam``: the 79 characters of the IAM transcripts (without the stray
#: backslash of the original notebook). ``ascii``: the 95 printable ASCII characters.
PRESETS = {
    "iam": " !\"#&'()*+,-./0123456789:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "ascii": string.printable[:95],
}

#: What `Alphabet.encode` may do with a character outside the alphabet.
UNKNOWN_MODES = ("strict", "replace", "drop")


class Alphabet:
    """Characters of a recogniser, in the order of its output classes; the blank comes last.

    Parameters
    ----------
    characters : iterable of str
        One NFC character each, without repeats.
    replacement : str, optional
        Character that stands for unknown ones in ``replace`` mode; it must be in the alphabet.

    Raises
    ------
    AlphabetError
        Empty, repeated, or not single NFC characters.

    Examples
    --------
    >>> alphabet = Alphabet("abc")
    >>> alphabet.encode("cab"), alphabet.blank, alphabet.num_classes
    ([2, 0, 1], 3, 4)
    """

    def __init__(self, characters, replacement=None):
        self.characters = tuple(characters)
        if not self.characters:
            raise AlphabetError("an alphabet needs at least one character")
        for character in self.characters:
            if not isinstance(character, str) or len(character) != 1:
                raise AlphabetError(f"{character!r} is not a single character")
            if normalise(character) != character:
                raise AlphabetError(f"{character!r} is not in Unicode NFC")
        self._index = {c: i for i, c in enumerate(self.characters)}
        if len(self._index) != len(self.characters):
            twice = sorted(c for c, n in Counter(self.characters).items() if n > 1)
            raise AlphabetError(f"characters stand twice in the alphabet: {''.join(twice)!r}")
        if replacement is not None and replacement not in self._index:
            raise AlphabetError(f"the replacement {replacement!r} is not in the alphabet")
        self.replacement = replacement

    # -- making one -----------------------------------------------------------------------

    @classmethod
    def from_texts(cls, texts, replacement=None):
        """Build from the characters that occur in `texts`, sorted by code point."""
        found = sorted(set().union(*(set(normalise(text)) for text in texts), set()))
        if not found:
            raise AlphabetError("the texts hold no characters to build an alphabet from")
        return cls(found, replacement)

    @classmethod
    def preset(cls, name):
        """Return the preset `name` ("iam" or "ascii")."""
        try:
            return cls(PRESETS[name])
        except KeyError:
            raise UnknownNameError(
                f"unknown alphabet {name!r}; known: {', '.join(sorted(PRESETS))}") from None

    @classmethod
    def from_file(cls, path):
        """Read one character a line (a space is a character), UTF-8, or a saved ``.json``."""
        try:
            content = read_text(path)
        except DataError as error:
            raise AlphabetError(str(error)) from None
        try:
            if str(path).endswith(".json"):
                return cls.from_dict(parse_json(content, "not an alphabet", error=AlphabetError))
            return cls(cls._rows(content))
        except AlphabetError as error:
            raise AlphabetError(f"{path}: {error}") from None

    @staticmethod
    def _rows(content):
        characters = []
        # Not splitlines(): it would break at characters that may be in an alphabet.
        rows = content.replace("\r\n", "\n").split("\n")
        if rows[-1] == "":
            rows.pop()
        for number, row in enumerate(rows, 1):
            if len(normalise(row)) != 1:
                raise AlphabetError(f"line {number}: {row!r} is not a single character")
            characters.append(normalise(row))
        return characters

    @classmethod
    def from_dict(cls, value):
        """Rebuild from `to_dict`'s result."""
        try:
            return cls(value["characters"], value.get("replacement"))
        except (TypeError, KeyError, AttributeError):
            raise AlphabetError("not a stored alphabet: no 'characters'") from None

    def to_dict(self):
        """Return a JSON-ready dict."""
        return {"characters": "".join(self.characters), "replacement": self.replacement}

    # -- using it -------------------------------------------------------------------------

    def __len__(self):
        return len(self.characters)

    def __contains__(self, character):
        return character in self._index

    def __eq__(self, other):
        return (isinstance(other, Alphabet) and self.characters == other.characters
                and self.replacement == other.replacement)

    def __hash__(self):
        return hash((self.characters, self.replacement))

    def __repr__(self):
        return f"Alphabet({''.join(self.characters)!r})"

    @property
    def blank(self):
        """Index of the CTC blank: the class after the last character."""
        return len(self.characters)

    @property
    def num_classes(self):
        """Number of network outputs: characters + blank."""
        return len(self.characters) + 1

    def unknown(self, text):
        """Return the characters of `text` (NFC) outside the alphabet, sorted."""
        return sorted(set(normalise(text)) - self._index.keys())

    def encode(self, text, unknown="strict"):
        """Turn `text` into class indices.

        Parameters
        ----------
        text : str
            Any Unicode text; taken to NFC first.
        unknown : {"strict", "replace", "drop"}
            What becomes of a character outside the alphabet: an error, the alphabet's
            `replacement`, or nothing.

        Returns
        -------
        list of int

        Raises
        ------
        AlphabetError
            In strict mode for an unknown character (named, with its position), or in
            replace mode without a replacement.
        """
        if unknown not in UNKNOWN_MODES:
            raise AlphabetError(f"unknown={unknown!r}; known: {', '.join(UNKNOWN_MODES)}")
        if unknown == "replace" and self.replacement is None:
            raise AlphabetError("the alphabet has no replacement character")
        indices = []
        for position, character in enumerate(normalise(text)):
            index = self._index.get(character)
            if index is None:
                if unknown == "strict":
                    raise AlphabetError(
                        f"character {character!r} (U+{ord(character):04X}) at position "
                        f"{position} of {text!r} is not in the alphabet")
                if unknown == "drop":
                    continue
                index = self._index[self.replacement]
            indices.append(index)
        return indices

    def indices(self, text):
        """Return the class indices of what `decode` gave: characters of this alphabet, as they are.

        Two of them may compose to a third in NFC, which the alphabet need not have.
        """
        return [self._index[character] for character in text]

    def decode(self, indices):
        """Turn class indices (no blanks, already collapsed) into text.

        Raises
        ------
        AlphabetError
            An index that is no character.
        """
        characters = []
        for index in indices:
            if not 0 <= index < len(self.characters):
                raise AlphabetError(f"index {index} is not one of 0..{len(self.characters) - 1}")
            characters.append(self.characters[index])
        return "".join(characters)
