"""n-gram models: training, loading, perplexity."""

import functools
import hashlib
import itertools
import json
import math
import os
import re
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Optional

from .arpa import check_arpa, read_arpa, read_unigrams, write_arpa
from .base.errors import (
    ConfigError,
    DataError,
    LanguageModelError,
    MissingDataError,
    UnknownNameError,
)
from .base.files import atomic_path, read_json
from .corpus import SPACE_TOKEN, UNITS, Corpus, tokenise
from .lmplz import check_binary, find_tool, run_build_binary, run_lmplz
from .normalisation import Normaliser, check_rules

__all__ = ["NgramConfig", "NgramModel", "PerplexityReport", "ESTIMATORS", "max_order",
           "train_ngram", "write_model", "load_ngram", "perplexity"]

#: Ways to estimate a model; ``auto`` takes lmplz where it is found.
ESTIMATORS = ("auto", "lmplz", "builtin")

#: What KenLM reads as pip builds it; used where kenlm is not installed.
DEFAULT_MAX_ORDER = 6

#: Bytes of corpus above which the builtin estimator, which holds all n-grams in memory, must be
#: asked for by name.
BUILTIN_LIMIT = 300_000_000

_BINARY_MAGIC = b"mmap lm http://kheafield.com/code"


@dataclass(frozen=True)
class NgramConfig:
    """Settings of `train_ngram`.

    Parameters
    ----------
    corpus : tuple of str
        UTF-8 text files, one sentence a line.
    output : str
        Path of the model without ending; ``.arpa``, ``.bin``, ``.unigrams.txt`` and ``.json``
        are added.
    order : int
        Highest order of n-grams.
    unit : {"word", "character", "wordform"}
    heldout : tuple of str
        Text files to report the perplexity of; none of them may be in the corpus.
    estimator : {"auto", "lmplz", "builtin"}
        ``auto`` takes lmplz where it is found, else builtin unless the corpus is larger than
        `BUILTIN_LIMIT`.
    lmplz, build_binary : str, optional
        KenLM's programs; looked for on PATH by default.
    binary_type : {"trie", "probing", "none"}
        Kind of KenLM binary, made where build_binary is found; ``none`` makes none.
    quantise : int
        Bits for each figure of a trie, 2 to 25; 8 makes it about half as large and hardly
        worse. 0 keeps them whole.
    discount_fallback : bool
        Where discounts cannot be found (small or repetitive corpora), take
        `fallback_discounts`; otherwise that is an error.
    fallback_discounts : tuple of 3 floats
        For adjusted counts 1, 2 and 3+.
    prune : tuple of int
        Drop n-grams with a count of at most this, for each order from 1; the first must be 0,
        the last holds for the orders that follow.
    interpolate_unigrams : bool
        lmplz's default; False gives the unigrams' spare mass to ``<unk>`` alone.
    reserved : {"error", "skip"}
        What to do with words such as ``<s>`` in a text; see `lm.corpus.tokenise`.
    blank_lines : {"keep", "skip"}
        ``keep`` counts a blank line as an empty sentence, as lmplz does.
    memory : str
        Sorting memory of lmplz.
    normalise : tuple of str
        Rules of `lm.normalisation` for every line of text, held-out text included; NFC alone
        by default. The model remembers them and applies them to the texts it scores.
    """

    corpus: tuple[str, ...]
    output: str
    order: int = 3
    unit: str = "word"
    heldout: tuple[str, ...] = ()
    estimator: str = "auto"
    lmplz: Optional[str] = None
    build_binary: Optional[str] = None
    binary_type: str = "trie"
    quantise: int = 0
    discount_fallback: bool = True
    fallback_discounts: tuple[float, float, float] = (0.5, 1.0, 1.5)
    prune: tuple[int, ...] = ()
    interpolate_unigrams: bool = True
    reserved: str = "error"
    blank_lines: str = "keep"
    memory: str = "1G"
    normalise: tuple[str, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "normalise", check_rules(self.normalise))
        for name in ("corpus", "heldout"):
            value = getattr(self, name)
            if isinstance(value, (str, os.PathLike)):
                value = (value,)
            object.__setattr__(self, name, tuple(os.fspath(path) for path in value))
        output = os.fspath(self.output)
        for ending in (".arpa", ".bin"):
            output = output.removesuffix(ending)
        object.__setattr__(self, "output", output)
        if not self.corpus:
            raise ConfigError("no corpus given")
        for name, known in (("unit", UNITS), ("estimator", ESTIMATORS),
                            ("reserved", ("error", "skip")), ("blank_lines", ("keep", "skip"))):
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(f"{name} must be one of {', '.join(known)}, not {value!r}")
        check_binary(self.binary_type, self.quantise)
        if not os.path.basename(output) or os.path.isdir(output):
            raise ConfigError(f"the output {output!r} is a folder; give the model a name in it")
        # The estimator would refuse these too, but only after the corpus is read.
        from .kneser_ney import check_settings

        check_settings(self.order, self.fallback_discounts, self.prune)


@dataclass(frozen=True)
class PerplexityReport:
    """How well a model foretells a text.

    Attributes
    ----------
    sentences, tokens : int
        Lines, and their words or characters without sentence ends.
    oov : int
        Tokens that the model does not know.
    oov_rate : float
        `oov` / `tokens`; 0 for a text without tokens.
    log10_prob, log10_prob_without_oov : float
        Base-10 logarithm of the probability of the text, sentence ends included; with unknown
        tokens scored as ``<unk>``, and with them left out.
    perplexity, perplexity_without_oov : float
        For each token, sentence ends counted as tokens; with unknown tokens scored as
        ``<unk>``, and with them left out (KenLM's "including" and "excluding OOVs").
    bits_per_token : float
        log2 of `perplexity`.
    """

    sentences: int
    tokens: int
    oov: int
    oov_rate: float
    log10_prob: float
    log10_prob_without_oov: float
    perplexity: float
    perplexity_without_oov: float
    bits_per_token: float

    def __str__(self):
        return (f"{self.sentences:,} sentences, {self.tokens:,} tokens, "
                f"{self.oov:,} out of vocabulary ({self.oov_rate:.2%}); "
                f"perplexity {self.perplexity:.2f}, "
                f"without unknown tokens {self.perplexity_without_oov:.2f}")


@dataclass(frozen=True)
class NgramModel:
    """A model on disk, as `load_ngram` found it.

    Attributes
    ----------
    path : str
        What to hand to KenLM: the binary where there is one, else the ARPA file.
    arpa : str or None
        The ARPA file.
    unigrams : tuple of str
        The vocabulary without ``<unk>``, ``<s>`` and ``</s>``.
    order : int
    unit : {"word", "character", "wordform"}
    metadata : dict
        Contents of the JSON file; empty for models trained elsewhere.
    """

    path: str
    arpa: Optional[str]
    unigrams: tuple = field(repr=False)
    order: int
    unit: str
    metadata: dict = field(repr=False, default_factory=dict)

    @property
    def normalise(self):
        """Names of the normalisation rules besides NFC that its corpus went through."""
        told = self.metadata.get("normalisation", "NFC")
        return tuple(told[1:]) if isinstance(told, list) else ()

    def tokenise(self, text):
        """Return the tokens of one line of text as this model counts them."""
        return tokenise(Normaliser(self.normalise)(text), self.unit)[0]

    def scorer(self):
        """Open the model for scoring.

        Returns
        -------
        kenlm.Model, or lm.arpa.ArpaModel for order 1, which KenLM does not read
            ``full_scores(sentence, bos=True, eos=True)`` of either yields
            (log10 probability, n-gram length, unknown) for each token.

        Raises
        ------
        LanguageModelError
            kenlm is not installed, or it refuses the model.
        """
        if self.order == 1 and self.arpa:
            return read_arpa(self.arpa)
        return _open_kenlm(self.path)


def _import_kenlm():
    try:
        import kenlm
    except ImportError as error:
        raise LanguageModelError(
            f"the kenlm package is needed to use n-gram models ({error}); pip install kenlm"
        ) from None
    return kenlm


def _quiet_config(kenlm):
    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    return config


def _open_kenlm(path):
    kenlm = _import_kenlm()
    try:
        return kenlm.Model(path, _quiet_config(kenlm))
    except (OSError, RuntimeError) as error:
        # What KenLM says begins with C++ places and ends with the reason.
        reason = re.split(r"threw \w+(?: because `[^']*')?\.\s*", str(error))[-1].rstrip(") ")
        raise LanguageModelError(f"{path}: KenLM cannot read it: {reason[:300]}") from None


@functools.lru_cache(maxsize=1)
def max_order():
    """Return the highest order that the installed kenlm reads.

    It is set when kenlm is built, 6 by default, and kenlm does not tell it: so kenlm is
    offered the head of a model of an absurd order, which it refuses naming its limit.
    """
    try:
        kenlm = _import_kenlm()
    except LanguageModelError:
        return DEFAULT_MAX_ORDER
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "probe.arpa")
        with open(path, "w", encoding="ascii") as out:
            out.write("\\data\\\n")
            out.writelines(f"ngram {order}=3\n" for order in range(1, 1001))
            out.write("\n")
        try:
            kenlm.Model(path, _quiet_config(kenlm))
        except (OSError, RuntimeError) as error:
            match = re.search(r"support up to (\d+)", str(error))
            return int(match[1]) if match else DEFAULT_MAX_ORDER
    return DEFAULT_MAX_ORDER


def _check_order(order):
    if order > max_order():
        raise LanguageModelError(
            f"order {order} is more than the installed kenlm reads ({max_order()}); use a lower "
            "order, or build kenlm with a higher MAX_ORDER")


def _check_heldout(config):
    """Refuse held-out text that is trained on: its perplexity would say nothing."""
    corpus = {os.path.realpath(path) for path in config.corpus}
    for path in config.heldout:
        if os.path.realpath(path) in corpus:
            raise LanguageModelError(f"{path}: is both corpus and held-out text")


def _check_size(corpus):
    """Refuse a corpus that the builtin estimator may not have the memory for."""
    size = sum(os.path.getsize(path) for path in corpus.paths)
    if size > BUILTIN_LIMIT:
        raise LanguageModelError(
            f"the corpus has {size / 1e6:,.0f} MB, lmplz is not on PATH, and the builtin estimator "
            "holds all n-grams in memory: get lmplz (KenLM's source, with cmake and Debian's "
            "libboost-{program-options,system,thread,test}-dev: make lmplz build_binary) and name "
            "it (--lmplz PATH), or ask for --estimator builtin")


def train_ngram(config):
    """Train an n-gram model and write it.

    Parameters
    ----------
    config : NgramConfig

    Returns
    -------
    NgramModel
        Its ``metadata`` holds the counts and, with held-out text, the perplexity report.

    Raises
    ------
    LanguageModelError
        The order is more than KenLM reads or than the corpus supports; the corpus is empty;
        a reserved word; the corpus is large and there is no lmplz; lmplz or build_binary
        fails. Nothing is left half written.
    ConfigError, DataError, MissingDataError
        A setting is out of range; a file is missing or not UTF-8.
    """
    _check_order(config.order)
    _check_heldout(config)
    lmplz = None
    if config.estimator != "builtin":
        lmplz = find_tool("lmplz", config.lmplz)
        if lmplz is None and config.estimator == "lmplz":
            raise LanguageModelError("lmplz is not on PATH; give its path (--lmplz), or use the "
                                     "builtin estimator")
    settings = {"unit": config.unit, "reserved": config.reserved,
                "blank_lines": config.blank_lines, "normalise": config.normalise}
    corpus = Corpus(config.corpus, description="reading corpus", **settings)
    if lmplz is None and config.estimator == "auto":
        _check_size(corpus)
    heldout = (Corpus(config.heldout, description="held-out text", **settings)
               if config.heldout else None)
    if heldout is not None and config.order > 1:
        _import_kenlm()
    return write_model(config, config.order,
                       lambda path: _estimate(config, corpus, lmplz, path),
                       lambda details, types: _metadata(config, corpus, types, details), heldout)


def write_model(config, order, write, describe, heldout=None):
    """Write a model and all that goes beside it; every file whole, or none.

    Parameters
    ----------
    config : NgramConfig or lm.interpolation.InterpolationConfig
        Says `output`, `unit`, `binary_type`, `quantise`, `build_binary` and the names of the
        `heldout` files.
    order : int
    write : callable
        Given a path, writes the ARPA file there and returns what there is to tell about it.
    describe : callable
        Given that and the number of words, returns the metadata; no path in it, only names.
    heldout : lm.corpus.Corpus, optional
        Text to report the perplexity of.

    Returns
    -------
    NgramModel

    Raises
    ------
    LanguageModelError, ConfigError
        build_binary fails, or is not there; whatever `write` raises.
    """
    build_binary = None
    if config.binary_type != "none":
        build_binary = find_tool("build_binary", config.build_binary)
    files = {ending: config.output + ending for ending in
             (".arpa", ".bin", ".unigrams.txt", ".json")}
    with ExitStack() as stack:
        # Files take their names in reverse order: the JSON file last, when all is there.
        paths = {ending: stack.enter_context(atomic_path(files[ending]))
                 for ending in (".json", ".unigrams.txt", ".arpa")}
        details = write(paths[".arpa"])
        # KenLM reads no unigram models, nor does its tool.
        has_binary = build_binary is not None and order > 1
        if has_binary:
            paths[".bin"] = stack.enter_context(atomic_path(files[".bin"]))
            run_build_binary(build_binary, config.binary_type, paths[".arpa"], paths[".bin"],
                             config.quantise)
        unigrams = tuple(read_unigrams(paths[".arpa"]))
        with open(paths[".unigrams.txt"], "w", encoding="utf-8", newline="\n") as out:
            out.writelines(f"{word}\n" for word in unigrams)
        # Through JSON, so that it is the same now as when it is read back.
        metadata = json.loads(json.dumps({
            **describe(details, len(unigrams)), "words": _words_hash(unigrams),
            "binary": config.binary_type if has_binary else None,
            **({"quantised": config.quantise} if has_binary and config.quantise else {})}))
        if heldout is not None:
            written = NgramModel(paths.get(".bin", paths[".arpa"]), paths[".arpa"], unigrams,
                                 order, config.unit)
            report = _score(written.scorer(), heldout)
            metadata["heldout"] = {"files": [os.path.basename(p) for p in config.heldout],
                                   **asdict(report)}
        with open(paths[".json"], "w", encoding="utf-8", newline="\n") as out:
            json.dump(metadata, out, ensure_ascii=False, indent=2)
            out.write("\n")
        if not has_binary and os.path.exists(files[".bin"]):
            # The binary of an earlier training would be taken for this model's.
            os.unlink(files[".bin"])
    return NgramModel(files[".bin"] if has_binary else files[".arpa"], files[".arpa"], unigrams,
                      order, config.unit, metadata)


def _estimate(config, corpus, lmplz, arpa):
    """Write the ARPA file by the chosen route; return what there is to tell about it."""
    fallback = config.fallback_discounts if config.discount_fallback else None
    if lmplz is None:
        from .kneser_ney import estimate, index_sentences

        words, tokens = index_sentences(corpus)
        model = estimate(words, tokens, config.order, fallback, config.prune,
                         config.interpolate_unigrams)
        write_arpa(arpa, model)
        counts = [len(table) for table in model.tables]
        return {"estimator": "builtin", "ngrams": counts, "discounts": model.discounts,
                "fallback_orders": model.fallback_orders}
    fallen = run_lmplz(lmplz, _until_known_empty(corpus), arpa, config.order, fallback,
                       config.prune, config.interpolate_unigrams, config.memory)
    longest = corpus.counts.longest + 2
    if config.order > longest:
        raise LanguageModelError(
            f"the corpus has no n-gram of order {config.order}: its longest sentence, with both "
            f"boundaries, has {longest} tokens; use an order of at most {longest}")
    counts = check_arpa(arpa)
    if len(counts) != config.order:
        raise LanguageModelError(f"lmplz wrote a model of order {len(counts)}, "
                                 f"not {config.order}")
    if 0 in counts:
        raise LanguageModelError(f"pruning leaves no n-gram of order {counts.index(0) + 1}")
    return {"estimator": "lmplz", "ngrams": counts, "fallback_orders": fallen}


def _until_known_empty(corpus):
    """Yield the sentences; `LanguageModelError` at the end if they hold no token."""
    yield from corpus
    if not corpus.counts.tokens:
        raise LanguageModelError("the corpus is empty: it holds no token")


def _metadata(config, corpus, types, details):
    """Return what the JSON file tells; no path in it, only names."""
    from .base.version import __version__

    counts = corpus.counts
    metadata = {
        "format": "ngram", "version": __version__, "order": config.order, "unit": config.unit,
        "normalisation": ["NFC", *config.normalise] if config.normalise else "NFC",
        "corpus": {"files": [os.path.basename(path) for path in config.corpus],
                   "sentences": counts.sentences, "tokens": counts.tokens, "types": types,
                   "blank_lines": counts.blank, "skipped_tokens": counts.skipped},
        **details,
        "options": {name: getattr(config, name) for name in (
            "discount_fallback", "fallback_discounts", "prune", "interpolate_unigrams",
            "reserved", "blank_lines")},
    }
    if config.unit == "character":
        metadata["space_token"] = SPACE_TOKEN
    return metadata


# --- loading ---------------------------------------------------------------------------------

def _locate(path):
    """Return (prefix, file for KenLM, ARPA file or None) of what the user named."""
    path = os.fspath(path)
    arpa, binary = path + ".arpa", path + ".bin"
    found = [file for file in (binary, arpa) if os.path.isfile(file)]
    if found:
        return path, found[0], arpa if arpa in found else None
    if os.path.isdir(path):
        return _locate(os.path.join(path, _only_model(path)))
    if not os.path.isfile(path):
        raise MissingDataError(f"{path}: no such language model (looked for {path}, {arpa} and "
                               f"{binary})")
    for ending in (".json", ".unigrams.txt"):
        if path.endswith(ending):
            return _locate(path.removesuffix(ending))
    prefix = path.removesuffix(".arpa").removesuffix(".bin")
    arpa = prefix + ".arpa" if _is_binary(path) else path
    return prefix, path, arpa if os.path.isfile(arpa) else None


def _only_model(folder):
    names = {name.removesuffix(".arpa").removesuffix(".bin") for name in os.listdir(folder)
             if name.endswith((".arpa", ".bin")) and not name.startswith(".")}
    if len(names) != 1:
        what = f"several language models ({', '.join(sorted(names))})" if names else (
            "no language model")
        raise MissingDataError(f"{folder}: {what} in this folder; name one")
    return names.pop()


def _is_binary(path):
    try:
        with open(path, "rb") as source:
            head = source.read(len(_BINARY_MAGIC))
    except OSError as error:
        raise LanguageModelError(f"{path}: cannot be read ({error.strerror})") from None
    if head == _BINARY_MAGIC:
        return True
    if path.endswith(".bin"):
        raise LanguageModelError(f"{path}: not a KenLM binary")
    return False


def _read_metadata(path):
    if not os.path.exists(path):
        return {}
    value = read_json(path, error=LanguageModelError)
    if value.get("unit") not in UNITS:
        raise LanguageModelError(f"{path}: does not describe an n-gram model")
    if isinstance(value.get("normalisation"), list):
        try:
            check_rules(value["normalisation"][1:])
        except UnknownNameError as error:
            raise LanguageModelError(f"{path}: {error}") from None
    return value


def _find_unigrams(prefix, arpa):
    path = prefix + ".unigrams.txt"
    try:
        with open(path, encoding="utf-8", newline="\n") as source:
            return tuple(word for word in source.read().split("\n") if word)
    except FileNotFoundError:
        if arpa:
            return tuple(read_unigrams(arpa))
        raise MissingDataError(
            f"{path}: a KenLM binary tells no words; put its list of words there, one a line, "
            "or its ARPA file beside it") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8") from None


def _words_hash(unigrams):
    return hashlib.sha256("\n".join(unigrams).encode("utf-8")).hexdigest()


def _check_words(prefix, file, unigrams, metadata):
    """Raise `LanguageModelError` where a word list is not that of the model beside it."""
    reason, counts = None, metadata.get("ngrams")
    if len(set(unigrams)) < len(unigrams):
        reason = "it has words twice"
    elif "words" in metadata:
        if metadata["words"] != _words_hash(unigrams):
            reason = f"its words are not those that {prefix}.json tells"
    # <unk>, <s> and </s> are n-grams, but no words.
    elif isinstance(counts, list) and counts and counts[0] - 3 != len(unigrams):
        reason = f"it has {len(unigrams)} words, the model {counts[0] - 3}"
    elif not metadata and _is_binary(file):
        scorer = _open_kenlm(file)
        if strange := next((word for word in unigrams if word not in scorer), None):
            reason = f"the model does not know {strange[:40]!r}"
    if reason:
        raise LanguageModelError(f"{prefix}.unigrams.txt: not the words of {file}: {reason}")


def load_ngram(path, unit=None):
    """Find a trained model on disk and check it.

    Parameters
    ----------
    path : str
        ``NAME``, ``NAME.arpa`` or ``NAME.bin`` of ``lm train --output NAME`` (NAME prefers the
        binary), the folder of a single model, or a model trained elsewhere.
    unit : {"word", "character", "wordform"}, optional
        For models without metadata, where it is guessed from the words: ``character`` if all
        are single characters and U+2581 is among them.

    Returns
    -------
    NgramModel

    Raises
    ------
    MissingDataError
        No model there, or no word list for a binary.
    LanguageModelError
        Truncated or malformed ARPA, unreadable binary, order above KenLM's limit, metadata
        or words of another model.
    """
    if unit is not None and unit not in UNITS:
        raise ConfigError(f"unit must be one of {', '.join(UNITS)}, not {unit!r}")
    prefix, file, arpa = _locate(path)
    if _is_binary(file):
        order = _open_kenlm(file).order
    else:
        order = len(check_arpa(file))
        _check_order(order)
    metadata = _read_metadata(prefix + ".json")
    if metadata.get("order", order) != order:
        raise LanguageModelError(f"{prefix}.json: describes a model of order "
                                 f"{metadata['order']}, but {file} has order {order}")
    if unit and metadata.get("unit", unit) != unit:
        raise LanguageModelError(f"{file}: its unit is the {metadata['unit']}, not the {unit}")
    unigrams = _find_unigrams(prefix, arpa)
    _check_words(prefix, file, unigrams, metadata)
    unit = metadata.get("unit") or unit or (
        "character" if SPACE_TOKEN in unigrams and all(len(word) == 1 for word in unigrams)
        else "word")
    return NgramModel(file, arpa, unigrams, order, unit, metadata)


# --- perplexity ------------------------------------------------------------------------------

def _score(scorer, sentences):
    """Return the `PerplexityReport` of tokenised sentences."""
    count = tokens = unknown = 0
    total = unknown_total = 0.0
    for sentence in sentences:
        count += 1
        tokens += len(sentence)
        for log_prob, _, oov in scorer.full_scores(" ".join(sentence)):
            total += log_prob
            if oov:
                unknown += 1
                unknown_total += log_prob
    if not count:
        raise LanguageModelError("there is no text to find the perplexity of")
    events = tokens + count  # every sentence ends once
    known_total = total - unknown_total
    return PerplexityReport(
        sentences=count, tokens=tokens, oov=unknown,
        oov_rate=unknown / tokens if tokens else 0.0,
        log10_prob=total, log10_prob_without_oov=known_total,
        perplexity=10 ** (-total / events),
        perplexity_without_oov=10 ** (-known_total / (events - unknown)),
        bits_per_token=-total / events * math.log2(10))


def perplexity(model, texts, reserved="error"):
    """Report how well a model foretells texts.

    Parameters
    ----------
    model : NgramModel or str
        A path goes through `load_ngram`.
    texts : iterable of str, or lm.corpus.Corpus
        One line (sentence) each, normalised as the model's corpus was; a Corpus reads files and
        must have the model's unit and rules of normalisation.
    reserved : {"error", "skip"}
        See `lm.corpus.tokenise`.

    Returns
    -------
    PerplexityReport

    Raises
    ------
    LanguageModelError
        No text; a reserved word; KenLM refuses the model.
    """
    if not isinstance(model, NgramModel):
        model = load_ngram(model)
    if isinstance(texts, Corpus):
        if texts.unit != model.unit:
            raise LanguageModelError(f"the corpus is read by {texts.unit}, but the model's unit "
                                     f"is the {model.unit}")
        if texts.normaliser.rules != model.normalise:
            raise LanguageModelError(
                f"the corpus is normalised by the rules {list(texts.normaliser.rules)}, the "
                f"model's text was by {list(model.normalise)}")
        return _score(model.scorer(), texts)
    if isinstance(texts, str):
        texts = texts.splitlines()
    normaliser = Normaliser(model.normalise)
    sentences = (tokenise(normaliser(text), model.unit, reserved, f"text {number}")[0]
                 for number, text in zip(itertools.count(1), texts))
    return _score(model.scorer(), sentences)
