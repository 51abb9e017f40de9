"""Printed lines labelled by character indices: rows ``name.jpg i1 i2 ...``."""

import mmap
import os
from array import array
from typing import Literal, Optional

import numpy as np

from lm.base.errors import AlphabetError, ConfigError, DataError, MissingDataError
from lm.base.files import check_regular, read_text, write_text
from lm.normalisation import normalise

from ..text.alphabet import Alphabet
from .base import LineSample, SkipReport
from .lazy import LazyLines
from .options import Count, OnError

__all__ = ["read_characters", "IndexCodec", "write_alphabet", "IndexLines", "open_index"]

#: Where the blank stands among a file's indices, and the index of the first character.
BLANKS = {"last": 0, "first": 1}
Blank = Literal["last", "first"]


def read_characters(path):
    """Read a character file: one character a line; a line that is a space is a space.

    Parameters
    ----------
    path : str
        UTF-8; lines end in LF or CRLF, the last may lack it. A character may stand twice.

    Returns
    -------
    list of str
        Unicode NFC; entry k is line k, counted from 0.

    Raises
    ------
    MissingDataError, DataError
        No such file, not UTF-8, or a line that is not one character (the message names it).
    """
    rows = read_text(path, MissingDataError(f"{path}: no such character file")).split("\n")
    if rows[-1] == "":
        rows.pop()
    characters = [normalise(row[:-1] if row.endswith("\r") else row) for row in rows]
    for number, character in enumerate(characters, 1):
        if len(character) != 1:
            raise DataError(f"{path}, line {number}: {rows[number - 1]!r} is not a single "
                            "character")
    if not characters:
        raise DataError(f"{path}: holds no characters")
    return characters


class IndexCodec:
    """Turns the indices of an index file into text and back.

    Where a character stands on several lines, text cannot tell its indices apart. The first of
    them is the canonical one: `encode` gives it for all. A recogniser has one class a distinct
    character (see `alphabet`), so it learns all of a character's indices as the same.

    Parameters
    ----------
    characters : sequence of str
        As `read_characters` gives them.
    blank : {"last", "first"}
        "last": index k is line k of the character file (from 0); "first": index 0 is the
        blank and stands in no row, index k is line k - 1.

    Examples
    --------
    >>> codec = IndexCodec(["a", "b", "a"])
    >>> codec.decode([2, 1]), codec.encode("ab"), codec.canonical(2)
    ('ab', [0, 1], 0)
    """

    def __init__(self, characters, blank="last"):
        if blank not in BLANKS:
            raise ConfigError(f"unknown index blank {blank!r}; known: {', '.join(BLANKS)}")
        self.characters = tuple(characters)
        self.first = BLANKS[blank]
        #: One more than the largest index.
        self.stop = self.first + len(self.characters)
        self._index = {}
        for index, character in enumerate(self.characters, self.first):
            self._index.setdefault(character, index)

    def decode(self, indices):
        """Return the text of indices.

        Raises
        ------
        AlphabetError
            An index out of range.
        """
        for index in indices:
            if not self.first <= index < self.stop:
                raise AlphabetError(f"index {index} is not one of {self.first}..{self.stop - 1}"
                                    + (" (0 is the blank)" if index == 0 else ""))
        return "".join(self.characters[index - self.first] for index in indices)

    def encode(self, text):
        """Return the canonical indices of `text`; `AlphabetError` for an unknown character."""
        try:
            return [self._index[character] for character in normalise(text)]
        except KeyError as error:
            raise AlphabetError(f"the character {error.args[0]!r} is not in the character "
                                "file") from None

    def canonical(self, index):
        """Return the first index that stands for the same character as `index`."""
        return self._index[self.decode([index])]

    def alphabet(self, outputs=None):
        """Return the `Alphabet` of the distinct characters, in file order.

        Parameters
        ----------
        outputs : int, optional
            Number of network outputs wanted. By default it is the number of distinct
            characters and one for the blank, which `Alphabet` puts last; more are filled up
            with code points for private use, which are in no label and never learnt.

        Raises
        ------
        ConfigError
            `outputs` is too small, or more than the private code points allow.
        """
        distinct = list(self._index)
        if outputs is not None:
            if outputs <= len(distinct):
                raise ConfigError(f"index outputs is {outputs}; at least {len(distinct) + 1}")
            private = (chr(c) for c in range(0xE000, 0xF900) if chr(c) not in self._index)
            distinct += [c for c, _ in zip(private, range(outputs - 1 - len(distinct)))]
            if len(distinct) < outputs - 1:
                raise ConfigError(f"index outputs is {outputs}; at most {len(distinct) + 1}")
        return Alphabet(distinct)


def write_alphabet(characters, path, outputs=None):
    """Write an alphabet file for an experiment's `alphabet` setting.

    Parameters
    ----------
    characters : sequence of str
        As `read_characters` gives them; a character's second and later lines are left out.
    path : str
        One character a line, as `Alphabet.from_file` reads it.
    outputs : int, optional
        See `IndexCodec.alphabet`.

    Returns
    -------
    Alphabet
        What was written; its `num_classes` is the number of outputs.
    """
    alphabet = IndexCodec(characters).alphabet(outputs)
    write_text(path, "".join(f"{character}\n" for character in alphabet.characters))
    return alphabet


class _Rows:
    """The rows of a memory-mapped index file; can be pickled."""

    def __init__(self, path):
        self.path = path
        self._map = None
        check_regular(path)
        try:
            if os.path.getsize(path) == 0:
                raise DataError(f"{path}: holds no rows")
            self._open()
        except FileNotFoundError:
            raise MissingDataError(f"{path}: no such index file") from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from None

    def _open(self):
        with open(self.path, "rb") as source:
            self._map = mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ)

    def __getstate__(self):
        return {"path": self.path, "_map": None}

    def starts(self):
        """Yield the offset of each line."""
        start, size = 3 if self._map[:3] == b"\xef\xbb\xbf" else 0, len(self._map)
        while start < size:
            yield start
            end = self._map.find(b"\n", start)
            start = size if end < 0 else end + 1

    def row(self, offset):
        """Return the words (bytes) of the line at `offset`."""
        if self._map is None:
            self._open()
        end = self._map.find(b"\n", offset)
        return self._map[offset:end if end >= 0 else len(self._map)].split()


class _Fault(Exception):
    """What is wrong with a row: (reason, detail)."""


def _parse(words, codec, max_length):
    """Return (name, text) of a row's words; raises `_Fault`."""
    if not words:
        raise _Fault("empty row", "neither image nor indices")
    try:
        name = words[0].decode()
    except UnicodeDecodeError as error:
        raise _Fault("not UTF-8", error.reason) from None
    if len(words) == 1:
        raise _Fault("empty label", f"{name} has no indices")
    if max_length is not None and len(words) - 1 > max_length:
        raise _Fault("label too long", f"{len(words) - 1} indices, at most {max_length}")
    for word in words[1:]:
        # int() alone would take 1_0 and other scripts' digits.
        if not word.isdigit():
            raise _Fault("not an index", repr(word.decode(errors="replace")))
        # int() refuses thousands of digits.
        if len(word) > 18:
            raise _Fault("index out of range", word[:40].decode())
    try:
        text = codec.decode([int(word) for word in words[1:]])
    except AlphabetError as error:
        raise _Fault("index out of range", str(error)) from None
    if normalise(text) != text:
        raise _Fault("not in Unicode NFC", f"the characters of {text!r} compose")
    return name, text


class IndexLines(LazyLines):
    """Lines of an index file, parsed when they are asked for; made by `open_index`.

    ``sample.extra`` holds ``line``, the row's number in the file, from 1, and ``indices``, its
    label exactly as it stands there.

    Attributes
    ----------
    codec : IndexCodec
    """

    def __init__(self, name, split, rows, offsets, lines, root, codec, report, stream):
        self.codec = codec
        self._rows, self._offsets, self._lines, self._root = rows, offsets, lines, root
        super().__init__(name, split, np.arange(len(offsets)), report, stream)

    def make_sample(self, number):
        """Return the sample of the `number`-th usable row."""
        words = self._rows.row(self._offsets[number])
        line = int(self._lines[number])
        try:
            name, text = _parse(words, self.codec, None)
        except _Fault as fault:
            raise DataError(f"{self._rows.path}, line {line}: has changed since it was opened "
                            f"({fault.args[0]})") from None
        return LineSample(name, text, os.path.join(self._root, name),
                          extra={"line": line, "indices": tuple(map(int, words[1:]))})


def _repeated(rows, offsets, hashes):
    """Return the positions of rows whose file name stood before, ascending."""
    order = np.argsort(hashes, kind="stable")
    same = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
    found, names = [], {}
    for place in same:
        # Different names may share a hash; only these few are compared.
        names.setdefault(rows.row(offsets[order[place]])[0], None)
        name = rows.row(offsets[order[place + 1]])[0]
        if name in names:
            found.append(int(order[place + 1]))
        names[name] = None
    return sorted(found)


def open_index(path: str, characters: str, root: Optional[str] = None, blank: Blank = "last",
               split: Optional[str] = None, max_length: Optional[Count] = None,
               limit: Optional[Count] = None, stream: bool = False,
               on_error: OnError = "skip") -> IndexLines:
    """Open an index file of printed lines.

    The file is memory-mapped and read through once; 20 bytes a row are kept. Rows are parsed
    again whenever a sample is asked for.

    Parameters
    ----------
    path : str
        Rows ``name.jpg i1 i2 ...``, parted by white space (so names have none), LF or CRLF.
    characters : str
        Character file; see `read_characters`.
    root : str, optional
        Folder of the images; the index file's own by default.
    blank : {"last", "first"}
        What the indices mean; see `IndexCodec`.
    split : str, optional
        Name of the split; the index file's name without ending by default.
    max_length : int, optional
        Rows with more indices are bad.
    limit : int, optional
        Read no further than this many usable rows.
    stream : bool
        Decode the images anew in each epoch instead of keeping all of them.
    on_error : {"skip", "raise"}
        What happens to a bad row: empty, without indices, an index that is no number or out of
        range, too long, characters that Unicode NFC would compose, a missing image, or a file
        that stood before.

    Returns
    -------
    IndexLines
        Ids are the rows' names.

    Raises
    ------
    MissingDataError, DataError
        No such file, no rows, a bad character file, or any bad row when ``on_error="raise"``;
        the message names file and line.
    ConfigError
        An unknown `blank`, or a number out of range.
    """
    from tqdm import tqdm

    codec = IndexCodec(read_characters(characters), blank)
    root = os.path.dirname(path) if root is None else root
    rows, report = _Rows(path), SkipReport(on_error)
    offsets, lines, hashes = array("q"), array("i"), array("q")
    for number, offset in enumerate(tqdm(rows.starts(), desc=f"reading {os.path.basename(path)}",
                                         unit="row", disable=None, leave=False), 1):
        words = rows.row(offset)
        try:
            name, _ = _parse(words, codec, max_length)
            image = os.path.join(root, name)
            if not os.path.isfile(image):
                raise _Fault("missing image", f"{image} is not there")
        except _Fault as fault:
            reason, detail = fault.args
            report.add(f"{os.path.basename(path)}:{number}", reason,
                       f"{path}, line {number}: {detail}")
            continue
        offsets.append(offset)
        lines.append(number)
        hashes.append(hash(words[0]))
        if len(offsets) == limit:
            break
    begins, numbers = np.asarray(offsets), np.asarray(lines)
    repeated = _repeated(rows, begins, np.asarray(hashes))
    for position in repeated:
        report.add(f"{os.path.basename(path)}:{numbers[position]}", "repeated file",
                   f"{path}, line {numbers[position]}: {rows.row(begins[position])[0].decode()} "
                   "stood before")
    name = os.path.splitext(os.path.basename(path))[0]
    folder = os.path.basename(os.path.dirname(os.path.abspath(path)))
    return IndexLines(f"index {folder}", split or name, rows, np.delete(begins, repeated),
                      np.delete(numbers, repeated), root, codec, report, stream)
