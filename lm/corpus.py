"""Text files as sentences of tokens: words, characters or word forms.

One line is one sentence. Text is brought to Unicode NFC; other normalisation is asked for by
name (`lm.normalisation`).
"""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Union

from .base.errors import ConfigError, DataError, LanguageModelError, MissingDataError
from .base.files import check_regular
from .normalisation import Normaliser
from .wordforms import word_forms

__all__ = ["SPACE_TOKEN", "UNITS", "SPECIAL_WORDS", "tokenise", "read_lines", "Corpus",
           "CorpusCounts"]

#: The token that stands for a space in character models (U+2581).
SPACE_TOKEN = "\u2581"

#: What a token may be.
UNITS = ("word", "character", "wordform")

#: The three entries of every model that are no words of the text.
SPECIAL_WORDS = ("<unk>", "<s>", "</s>")

# KenLM takes <UNK> for <unk> when it reads a model.
_RESERVED_WORDS = frozenset(SPECIAL_WORDS) | {"<UNK>"}


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ConfigError(f"{name} must be one of {', '.join(choices)}, not {value!r}")


def tokenise(text: str, unit: str, reserved: str = "error", where: str = "text"
             ) -> tuple[list[str], int]:
    """Split one line of text into tokens.

    Parameters
    ----------
    text : str
        One line; brought to NFC here.
    unit : {"word", "character", "wordform"}
        ``word``: the text split at whitespace. ``character``: every character, with
        whitespace inside the line written as `SPACE_TOKEN` (one for each character) and
        whitespace at its ends left out. ``wordform``: runs of letters and digits, folded; see
        `lm.wordforms`.
    reserved : {"error", "skip"}
        What to do with a token that an ARPA file cannot hold: ``<s>``, ``</s>``, ``<unk>`` or
        ``<UNK>`` as a word, a literal U+2581 as a character, NUL in any. No word form is reserved.
    where : str
        File and line, for error messages.

    Returns
    -------
    tokens : list of str
    skipped : int
        Tokens left out, always 0 with ``reserved="error"``.

    Raises
    ------
    LanguageModelError
        A reserved token, with ``reserved="error"``.
    """
    text = unicodedata.normalize("NFC", text)
    skipped = 0
    if "\0" in text:
        if reserved == "error":
            raise LanguageModelError(f"{where}: holds a NUL character, which no model can hold")
        skipped += text.count("\0")
        text = text.replace("\0", "")
    if unit == "word":
        tokens = text.split()
        if not _RESERVED_WORDS.isdisjoint(tokens):
            found = next(token for token in tokens if token in _RESERVED_WORDS)
            if reserved == "error":
                raise LanguageModelError(
                    f"{where}: the word {found!r} is reserved in language models; remove it, or "
                    "let such words be skipped (--reserved skip)")
            kept = [token for token in tokens if token not in _RESERVED_WORDS]
            skipped += len(tokens) - len(kept)
            tokens = kept
        return tokens, skipped
    if unit == "wordform":
        return word_forms(text), skipped
    if SPACE_TOKEN in text:
        if reserved == "error":
            raise LanguageModelError(
                f"{where}: the character U+2581 stands for a space in character models and may "
                "not be in the text; remove it, or let it be skipped (--reserved skip)")
        skipped += text.count(SPACE_TOKEN)
        text = text.replace(SPACE_TOKEN, "")
    text = text.strip()
    # Quick for the usual line, whose only whitespace is single spaces.
    if " ".join(text.split()) == text:
        return list(text.replace(" ", SPACE_TOKEN)), skipped
    return [SPACE_TOKEN if character.isspace() else character for character in text], skipped


def _decode(raw: bytes, path: Union[str, os.PathLike], number: int) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}, line {number}: not UTF-8 ({error.reason} at byte "
                        f"{error.start + 1} of the line)") from None


def read_lines(path: Union[str, os.PathLike], progress: Any = None) -> Iterator[tuple[int, str]]:
    """Yield (line number, text without its line end) of a UTF-8 file, line by line.

    Lines end at ``\\n`` or ``\\r\\n`` only; a byte order mark at the start is left out.

    Parameters
    ----------
    path : str
    progress : tqdm.tqdm, optional
        Told the number of bytes read.

    Raises
    ------
    MissingDataError, DataError
        No such file; it cannot be read; a line is not UTF-8 (the line is named).
    """
    check_regular(path)
    try:
        with open(path, "rb") as source:
            pending = 0
            for number, raw in enumerate(source, 1):
                pending += len(raw)
                if progress is not None and pending > 1 << 16:
                    progress.update(pending)
                    pending = 0
                if number == 1 and raw.startswith(b"\xef\xbb\xbf"):
                    raw = raw[3:]
                text = _decode(raw, path, number)
                yield number, text[:-1] if text.endswith("\n") else text
            if progress is not None:
                progress.update(pending)
    except FileNotFoundError:
        raise MissingDataError(f"{path}: no such text file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


@dataclass
class CorpusCounts:
    """What one pass over a corpus met.

    Attributes
    ----------
    sentences, tokens : int
        Lines used, and their tokens without sentence boundaries.
    blank : int
        Lines without any token.
    skipped : int
        Reserved tokens left out.
    longest : int
        Tokens of the longest sentence.
    """

    sentences: int = 0
    tokens: int = 0
    blank: int = 0
    skipped: int = 0
    longest: int = 0


class Corpus:
    """Sentences of one or more text files, read anew and line by line at each iteration.

    Parameters
    ----------
    paths : sequence of str
        UTF-8 files, one sentence a line.
    unit : {"word", "character", "wordform"}
    reserved : {"error", "skip"}
        See `tokenise`.
    blank_lines : {"keep", "skip"}
        ``keep``: a line without tokens is an empty sentence, as for lmplz.
    description : str
        Label of the progress bar.
    normalise : sequence of str
        Rules of `lm.normalisation`, applied to each line before it is split.

    Attributes
    ----------
    counts : CorpusCounts
        Of the latest iteration, complete when it has ended.

    Raises
    ------
    ConfigError
        An unknown choice, or no file.
    UnknownNameError
        No such rule.
    MissingDataError
        A file is not there.
    """

    def __init__(self, paths: Union[str, os.PathLike, Sequence[Union[str, os.PathLike]]],
                 unit: str = "word", reserved: str = "error", blank_lines: str = "keep",
                 description: str = "reading", normalise: Sequence[str] = ()):
        _check_choice("unit", unit, UNITS)
        _check_choice("reserved", reserved, ("error", "skip"))
        _check_choice("blank_lines", blank_lines, ("keep", "skip"))
        if isinstance(paths, (str, os.PathLike)):
            paths = [paths]
        self.paths = tuple(os.fspath(path) for path in paths)
        if not self.paths:
            raise ConfigError("no text file given")
        for path in self.paths:
            if not os.path.exists(path):
                raise MissingDataError(f"{path}: no such text file")
            check_regular(path)
        self.unit = unit
        self.reserved = reserved
        self.blank_lines = blank_lines
        self.description = description
        self.normaliser = Normaliser(normalise)
        self.counts = CorpusCounts()

    def __iter__(self) -> Iterator[list[str]]:
        """Yield each sentence as a list of tokens."""
        from tqdm import tqdm

        counts = self.counts = CorpusCounts()
        size = sum(os.path.getsize(path) for path in self.paths)
        with tqdm(total=size, unit="B", unit_scale=True, desc=self.description,
                  disable=None, leave=False) as progress:
            for path in self.paths:
                for number, text in read_lines(path, progress):
                    if self.normaliser.rules:
                        text = self.normaliser(text)
                    tokens, skipped = tokenise(text, self.unit, self.reserved,
                                               f"{path}, line {number}")
                    counts.skipped += skipped
                    if not tokens:
                        counts.blank += 1
                        if self.blank_lines == "skip":
                            continue
                    counts.sentences += 1
                    counts.tokens += len(tokens)
                    counts.longest = max(counts.longest, len(tokens))
                    yield tokens
