"""ARPA files: writing, checking, reading."""

import math
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Union

from .base.errors import LanguageModelError, MissingDataError
from .base.files import check_regular

if TYPE_CHECKING:
    from .kneser_ney import KneserNeyModel

__all__ = ["write_arpa", "check_arpa", "read_unigrams", "read_entries"]

#: Words of an n-gram joined by spaces, log10 probability, log10 back-off weight.
Entry = tuple[str, float, float]

_LOG_ZERO = -99.0
_COUNT_LINE = re.compile(rb"ngram (\d+)=(\d+)\s*")
_SECTION_LINE = re.compile(rb"\\(\d+)-grams:\s*")


def write_arpa(path: Union[str, os.PathLike], model: "KneserNeyModel") -> None:
    """Write an estimated model as an ARPA file.

    Parameters
    ----------
    path : str
        Written in place; give a temporary path for atomic writing.
    model : lm.kneser_ney.KneserNeyModel
    """
    from tqdm import tqdm

    with open(path, "w", encoding="utf-8", newline="\n") as out, \
            tqdm(total=sum(map(len, model.tables)), unit="ngram", unit_scale=True,
                 desc="writing ARPA", disable=None, leave=False) as progress:
        out.write("\\data\\\n")
        for order, table in enumerate(model.tables, 1):
            out.write(f"ngram {order}={len(table)}\n")
        for order, (table, texts) in enumerate(zip(model.tables, model.texts()), 1):
            out.write(f"\n\\{order}-grams:\n")
            if order < model.order:
                rows = zip(table.log_prob.tolist(), texts, table.backoff.tolist())
                out.writelines(f"{prob:.8g}\t{text}\t{backoff:.8g}\n"
                               for prob, text, backoff in rows)
            else:
                out.writelines(f"{prob:.8g}\t{text}\n"
                               for prob, text in zip(table.log_prob.tolist(), texts))
            progress.update(len(table))
        out.write("\n\\end\\\n")


def _open(path: Union[str, os.PathLike]) -> BinaryIO:
    check_regular(path)
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise MissingDataError(f"{path}: no such ARPA file") from None
    except OSError as error:
        raise LanguageModelError(f"{path}: cannot be read ({error.strerror})") from None


def _read_counts(path: Union[str, os.PathLike], source: BinaryIO) -> list[int]:
    """Return the counts of the ``\\data\\`` section, leaving `source` behind it."""
    raw = next((line for line in source if line.strip() and not line.startswith(b"#")), None)
    if raw is None:
        raise LanguageModelError(f"{path}: empty; not an ARPA file")
    if raw.startswith(b"\x1f\x8b"):
        raise LanguageModelError(f"{path}: compressed; unpack it first (gunzip)")
    if raw.strip() != b"\\data\\":
        raise LanguageModelError(f"{path}: not an ARPA file (it does not begin with \\data\\)")
    counts: list[int] = []
    for raw in source:
        if not raw.strip():
            break
        match = _COUNT_LINE.fullmatch(raw)
        if not match or int(match[1]) != len(counts) + 1:
            raise LanguageModelError(f"{path}: bad line in its \\data\\ section: "
                                     f"{_start_of(raw)}")
        counts.append(int(match[2]))
    if not counts:
        raise LanguageModelError(f"{path}: its \\data\\ section names no n-grams")
    return counts


def check_arpa(path: Union[str, os.PathLike]) -> list[int]:
    """Check that an ARPA file is whole: every section, every count, and its end mark.

    Parameters
    ----------
    path : str

    Returns
    -------
    counts : list of int
        Number of n-grams of each order, from 1.

    Raises
    ------
    MissingDataError
        No such file.
    LanguageModelError
        Not an ARPA file, or truncated; the message says where it goes wrong.
    """
    with _open(path) as source:
        counts = _read_counts(path, source)
        order = found = 0
        for raw in source:
            # n-gram lines begin with a figure, so only marks begin with a backslash.
            if raw[:1] != b"\\":
                if not raw.isspace():
                    found += 1
                continue
            _check_section(path, order, found, counts)
            match = _SECTION_LINE.fullmatch(raw)
            if match and int(match[1]) == order + 1 <= len(counts):
                order, found = order + 1, 0
            elif raw.rstrip() == b"\\end\\" and order == len(counts):
                return counts
            else:
                raise LanguageModelError(f"{path}: unexpected line after its {order}-grams: "
                                         f"{_start_of(raw)}")
        raise LanguageModelError(
            f"{path}: truncated: it ends without \\end\\, after {found} {order}-grams"
            + (f" of {counts[order - 1]}" if order else ""))


def _check_section(path: Union[str, os.PathLike], order: int, found: int, counts: list[int]
                   ) -> None:
    expected = counts[order - 1] if order else 0
    if found != expected:
        raise LanguageModelError(f"{path}: it says it has {expected} {order}-grams but "
                                 f"holds {found}; damaged or truncated")


def _entries(path: Union[str, os.PathLike], source: BinaryIO, order: int, count: int
             ) -> Iterator[Entry]:
    """Yield the entries of the section of `order`, which comes next."""
    raw = next((line for line in source if line.strip()), b"")
    match = _SECTION_LINE.fullmatch(raw)
    if not match or int(match[1]) != order:
        raise LanguageModelError(f"{path}: no section of {order}-grams where it should be")
    for _ in range(count):
        raw = source.readline()
        try:
            # Only these separate in ARPA files; str.split() would also cut at U+00A0 and such.
            fields = raw.decode("utf-8").rstrip("\r\n").split("\t")
            text = " ".join(field for field in fields[1].split(" ") if field)
            # lmplz prints -inf where no probability is left.
            log_prob = _LOG_ZERO if fields[0] == "-inf" else float(fields[0])
            backoff = float(fields[2]) if len(fields) > 2 else 0.0
        except (IndexError, ValueError):
            raise LanguageModelError(f"{path}: bad {order}-gram line {_start_of(raw)}") from None
        if not text or text.count(" ") != order - 1:
            raise LanguageModelError(f"{path}: not {order} word{'s' * (order > 1)} where one "
                                     f"{order}-gram is due: {_start_of(raw)}")
        if not (-math.inf < log_prob <= 0 and -math.inf < backoff < math.inf):
            raise LanguageModelError(
                f"{path}: its {order}-gram {text[:60]!r} has the figures {log_prob:g} and "
                f"{backoff:g}, which are no logarithms of a probability and a back-off weight")
        yield text, log_prob, backoff


def _start_of(raw: bytes) -> str:
    return repr(raw[:60].decode("utf-8", "replace").strip())


def read_unigrams(path: Union[str, os.PathLike]) -> list[str]:
    """Return the words of an ARPA file without ``<unk>``, ``<s>`` and ``</s>``, in order."""
    special = {"<unk>", "<UNK>", "<s>", "</s>"}
    with _open(path) as source:
        counts = _read_counts(path, source)
        return [text for text, _, _ in _entries(path, source, 1, counts[0])
                if text not in special]


def read_entries(path: Union[str, os.PathLike]) -> Iterator[Iterator[Entry]]:
    """Yield, for each order from 1, the entries of an ARPA file: text, log10 p, log10 back-off.

    Take each order's entries before the next order. The back-off weight is 0 where there is
    none.

    Raises
    ------
    MissingDataError, LanguageModelError
        As `check_arpa`; or an entry that is not so many words, a log probability and, perhaps,
        a log back-off weight.
    """
    check_arpa(path)
    with _open(path) as source:
        for order, count in enumerate(_read_counts(path, source), 1):
            yield _entries(path, source, order, count)
