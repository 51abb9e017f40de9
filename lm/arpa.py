"""ARPA files: writing, checking before KenLM sees them, and plain reading."""

import re

from .base.errors import LanguageModelError, MissingDataError

__all__ = ["write_arpa", "check_arpa", "read_unigrams", "read_arpa", "ArpaModel"]

_COUNT_LINE = re.compile(rb"ngram (\d+)=(\d+)\s*")
#: KenLM's log probability of unknown words in a model without <unk>.
_UNKNOWN_MISSING = -100.0
_SECTION_LINE = re.compile(rb"\\(\d+)-grams:\s*")


def write_arpa(path, model):
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


def _open(path):
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise MissingDataError(f"{path}: no such ARPA file") from None
    except OSError as error:
        raise LanguageModelError(f"{path}: cannot be read ({error.strerror})") from None


def _read_counts(path, source):
    """Return the counts of the ``\\data\\`` section, leaving `source` behind it."""
    raw = next((line for line in source if line.strip() and not line.startswith(b"#")), None)
    if raw is None:
        raise LanguageModelError(f"{path}: empty; not an ARPA file")
    if raw.startswith(b"\x1f\x8b"):
        raise LanguageModelError(f"{path}: compressed; unpack it first (gunzip)")
    if raw.strip() != b"\\data\\":
        raise LanguageModelError(f"{path}: not an ARPA file (it does not begin with \\data\\)")
    counts = []
    for raw in source:
        if not raw.strip():
            break
        match = _COUNT_LINE.fullmatch(raw)
        if not match or int(match[1]) != len(counts) + 1:
            raise LanguageModelError(f"{path}: bad line in its \\data\\ section: "
                                     f"{raw[:60].decode('utf-8', 'replace').strip()!r}")
        counts.append(int(match[2]))
    if not counts:
        raise LanguageModelError(f"{path}: its \\data\\ section names no n-grams")
    return counts


def check_arpa(path):
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
                                         f"{raw[:60].decode('utf-8', 'replace').strip()!r}")
        raise LanguageModelError(
            f"{path}: truncated: it ends without \\end\\, after {found} {order}-grams"
            + (f" of {counts[order - 1]}" if order else ""))


def _check_section(path, order, found, counts):
    expected = counts[order - 1] if order else 0
    if found != expected:
        raise LanguageModelError(f"{path}: it says it has {expected} {order}-grams but "
                                 f"holds {found}; damaged or truncated")


def _entries(path, source, order, count):
    """Yield (text, log probability, backoff) of the section of `order`, which comes next."""
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
            log_prob = float(fields[0])
            backoff = float(fields[2]) if len(fields) > 2 else 0.0
        except (IndexError, ValueError):
            raise LanguageModelError(f"{path}: bad {order}-gram line "
                                     f"{raw[:60].decode('utf-8', 'replace').strip()!r}") from None
        yield text, log_prob, backoff


def read_unigrams(path):
    """Return the words of an ARPA file without ``<unk>``, ``<s>`` and ``</s>``, in order."""
    special = {"<unk>", "<UNK>", "<s>", "</s>"}
    with _open(path) as source:
        counts = _read_counts(path, source)
        return [text for text, _, _ in _entries(path, source, 1, counts[0])
                if text not in special]


class ArpaModel:
    """A model held in plain dictionaries: for checks, and for unigram models.

    KenLM is far quicker, but reads no model of order 1.

    Parameters
    ----------
    ngrams : list of dict
        One for each order, from 1: text of the n-gram to (log10 probability, log10 backoff).
    """

    def __init__(self, ngrams):
        self.ngrams = ngrams

    @property
    def order(self):
        """Highest order."""
        return len(self.ngrams)

    def log_prob(self, context, word):
        """Return log10 p(word | context) by backing off.

        Parameters
        ----------
        context : sequence of str
            Preceding words; at most the last ``order - 1`` count.
        word : str
            A word that the model does not know is scored as ``<unk>``.
        """
        return self._lookup(context, word)[0]

    def _lookup(self, context, word):
        """Return (log10 probability, length of the n-gram found)."""
        if word not in self.ngrams[0]:
            word = "<unk>"
        context = [w if w in self.ngrams[0] else "<unk>" for w in context]
        context = context[max(0, len(context) - self.order + 1):]
        total = 0.0
        while True:
            entry = self.ngrams[len(context)].get(" ".join([*context, word]))
            if entry is not None:
                return total + entry[0], len(context) + 1
            if not context:
                return _UNKNOWN_MISSING, 0
            total += self.ngrams[len(context) - 1].get(" ".join(context), (0.0, 0.0))[1]
            context = context[1:]

    def full_scores(self, sentence, bos=True, eos=True):
        """Yield (log10 probability, n-gram length, unknown) as ``kenlm.Model`` does."""
        context = ["<s>"] if bos else []
        for word in [*sentence.split(), *(["</s>"] if eos else [])]:
            prob, length = self._lookup(context, word)
            yield prob, length, word not in self.ngrams[0]
            context.append(word)


def read_arpa(path):
    """Read an ARPA file into an `ArpaModel`; the whole model is held in memory.

    Raises
    ------
    MissingDataError, LanguageModelError
        As `check_arpa`.
    """
    check_arpa(path)
    with _open(path) as source:
        counts = _read_counts(path, source)
        return ArpaModel([
            {text: (prob, backoff) for text, prob, backoff in _entries(path, source, order, count)}
            for order, count in enumerate(counts, 1)])
