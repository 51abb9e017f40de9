"""Training n-gram models from text files, and writing them."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any, Callable, Optional

from .arpa import check_arpa, read_unigrams, write_arpa
from .base.errors import ConfigError, LanguageModelError
from .base.files import atomic_path, check_apart, check_writable, write_json
from .corpus import SPACE_TOKEN, UNITS, Corpus
from .lmplz import check_binary, find_tool, run_build_binary, run_lmplz
from .ngram import (
    ENDINGS,
    NgramModel,
    bare_name,
    load_ngram,
    open_kenlm,
    words_hash,
)
from .normalisation import check_rules
from .packing import pack_arpa
from .scoring import score_sentences

__all__ = ["NgramConfig", "ESTIMATORS", "train_ngram", "write_model"]

#: Ways to estimate a model; ``auto`` takes lmplz where it is found.
ESTIMATORS = ("auto", "lmplz", "builtin")

#: Bytes of corpus above which the builtin estimator, which holds all n-grams in memory, must be
#: asked for by name.
BUILTIN_LIMIT = 300_000_000


@dataclass(frozen=True)
class NgramConfig:
    """Settings of `train_ngram`.

    Parameters
    ----------
    corpus : tuple of str
        UTF-8 text files, one sentence a line.
    output : str
        Path of the model without ending; ``.arpa``, ``.ngram``, ``.bin``, ``.unigrams.txt``
        and ``.json`` are added.
    order : int
        Highest order of n-grams.
    unit : {"word", "character", "wordform"}
    heldout : tuple of str
        Text files to report the perplexity of; no more than half of their lines may stand in
        the corpus.
    estimator : {"auto", "lmplz", "builtin"}
        ``auto`` takes lmplz where it is found, else builtin unless the corpus is larger than
        `BUILTIN_LIMIT`.
    lmplz, build_binary : str, optional
        KenLM's programs; looked for on PATH by default.
    binary_type : {"trie", "probing", "none"}
        Kind of KenLM binary, for the decoder beam-lm alone, made where build_binary is found;
        ``none`` makes none.
    packed : bool
        Whether to write the packed model, which all else reads.
    quantise : int
        Bits for each figure of the packed model and of a trie, 2 to 8; 8 makes them about half
        as large and hardly worse. 0 keeps the figures whole.
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
    packed: bool = True
    quantise: int = 0
    discount_fallback: bool = True
    fallback_discounts: tuple[float, float, float] = (0.5, 1.0, 1.5)
    prune: tuple[int, ...] = ()
    interpolate_unigrams: bool = True
    reserved: str = "error"
    blank_lines: str = "keep"
    memory: str = "1G"
    normalise: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "normalise", check_rules(self.normalise))
        for name in ("corpus", "heldout"):
            value = getattr(self, name)
            if isinstance(value, (str, os.PathLike)):
                value = (value,)
            object.__setattr__(self, name, tuple(os.fspath(path) for path in value))
        object.__setattr__(self, "output", bare_name(self.output))
        if not self.corpus:
            raise ConfigError("no corpus given")
        for name, known in (("unit", UNITS), ("estimator", ESTIMATORS),
                            ("reserved", ("error", "skip")), ("blank_lines", ("keep", "skip"))):
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(f"{name} must be one of {', '.join(known)}, not {value!r}")
        check_binary(self.binary_type, self.quantise)
        check_apart([self.output + ending for ending in ENDINGS], self.corpus + self.heldout)
        # The estimator would refuse these too, but only after the corpus is read.
        from .kneser_ney import check_settings

        check_settings(self.order, self.fallback_discounts, self.prune)


def _check_size(corpus: Corpus) -> None:
    """Refuse a corpus that the builtin estimator may not have the memory for."""
    size = sum(os.path.getsize(path) for path in corpus.paths)
    if size > BUILTIN_LIMIT:
        raise LanguageModelError(
            f"the corpus has {size / 1e6:,.0f} MB, lmplz is not on PATH, and the builtin estimator "
            "holds all n-grams in memory: get lmplz (KenLM's source, with cmake and Debian's "
            "libboost-{program-options,system,thread,test}-dev: make lmplz build_binary) and name "
            "it (--lmplz PATH), or ask for --estimator builtin")


def train_ngram(config: NgramConfig) -> NgramModel:
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
        The order is more than the corpus supports; the corpus is empty; a reserved word; the
        corpus is large and there is no lmplz; lmplz or build_binary fails; most of the held-out
        text is trained on. Nothing is left half written.
    ConfigError, DataError, MissingDataError
        A setting is out of range; a file is missing or not UTF-8.
    """
    lmplz = None
    if config.estimator != "builtin":
        lmplz = find_tool("lmplz", config.lmplz)
        if lmplz is None and config.estimator == "lmplz":
            raise LanguageModelError("lmplz is not on PATH; give its path (--lmplz), or use the "
                                     "builtin estimator")
    settings: dict[str, Any] = {"unit": config.unit, "reserved": config.reserved,
                "blank_lines": config.blank_lines, "normalise": config.normalise}
    corpus = Corpus(config.corpus, description="reading corpus", **settings)
    if lmplz is None and config.estimator == "auto":
        _check_size(corpus)
    heldout = (Corpus(config.heldout, description="held-out text", **settings)
               if config.heldout else None)
    return write_model(config, config.order,
                       lambda path: _estimate(config, corpus, lmplz, path, heldout),
                       lambda details, types: _metadata(config, corpus, types, details), heldout)


def write_model(config: Any, order: int, write: Callable[[str], Any],
                describe: Callable[[Any, int], dict], heldout: Optional[Corpus] = None
                ) -> NgramModel:
    """Write a model and all that goes beside it; every file whole, or none.

    Parameters
    ----------
    config : NgramConfig or lm.interpolation.InterpolationConfig
        Says `output`, `packed`, `binary_type`, `quantise`, `build_binary` and the names of the
        `heldout` files.
    order : int
    write : callable
        Given a path, writes the ARPA file there and returns what there is to tell about it.
    describe : callable
        Given that and the number of words, returns the metadata; no path in it, only names.
    heldout : lm.corpus.Corpus, optional
        Text to report the perplexity of.

    Raises
    ------
    LanguageModelError, ConfigError
        build_binary fails, or is not there; whatever `write` raises.
    """
    build_binary = None
    if config.binary_type != "none":
        build_binary = find_tool("build_binary", config.build_binary)
    files = {ending: config.output + ending for ending in ENDINGS}
    for path in files.values():
        check_writable(path)
    with ExitStack() as stack:
        # Files take their names in reverse order: the JSON file last, when all is there.
        paths = {ending: stack.enter_context(atomic_path(files[ending]))
                 for ending in (".json", ".unigrams.txt", ".arpa")}
        details = write(paths[".arpa"])
        # KenLM reads no unigram models, nor does its tool.
        if build_binary is not None and order > 1:
            paths[".bin"] = stack.enter_context(atomic_path(files[".bin"]))
            run_build_binary(build_binary, config.binary_type, paths[".arpa"], paths[".bin"],
                             config.quantise)
        has_binary = ".bin" in paths
        packed = pack_arpa(paths[".arpa"], config.quantise) if config.packed else None
        words = packed.words if packed else tuple(read_unigrams(paths[".arpa"]))
        with open(paths[".unigrams.txt"], "w", encoding="utf-8", newline="\n") as out:
            out.writelines(f"{word}\n" for word in words)
        # Through JSON, so that it is the same now as when it is read back.
        metadata = json.loads(json.dumps({
            **describe(details, len(words)), "words": words_hash(words),
            "binary": config.binary_type if has_binary else None,
            **({"quantised": config.quantise}
               if config.quantise and (has_binary or packed) else {})}))
        if heldout is not None:
            scorer = packed or open_kenlm(paths.get(".bin", paths[".arpa"]))
            report = asdict(score_sentences(scorer, heldout))
            metadata["heldout"] = {"files": [os.path.basename(p) for p in config.heldout],
                                   **report}
        if packed:
            paths[".ngram"] = stack.enter_context(atomic_path(files[".ngram"]))
            packed.save(paths[".ngram"], metadata)
        write_json(paths[".json"], metadata)
        # Those of an earlier training would be taken for this model's.
        for ending in files.keys() - paths.keys():
            if os.path.exists(files[ending]):
                os.unlink(files[ending])
    return load_ngram(config.output)


def _estimate(config: NgramConfig, corpus: Corpus, lmplz: Optional[str], arpa: str,
              heldout: Optional[Corpus]) -> dict[str, Any]:
    """Write the ARPA file by the chosen route; return what there is to tell about it."""
    fallback = config.fallback_discounts if config.discount_fallback else None
    sentences = _checked(corpus, heldout)
    if lmplz is None:
        from .kneser_ney import estimate, index_sentences

        words, tokens = index_sentences(sentences)
        model = estimate(words, tokens, config.order, fallback, config.prune,
                         config.interpolate_unigrams)
        write_arpa(arpa, model)
        counts = [len(table) for table in model.tables]
        return {"estimator": "builtin", "ngrams": counts, "discounts": model.discounts,
                "fallback_orders": model.fallback_orders}
    fallen = run_lmplz(lmplz, sentences, arpa, config.order, fallback,
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


def _checked(corpus: Corpus, heldout: Optional[Corpus]) -> Iterator[list[str]]:
    """Yield the sentences; `LanguageModelError` at the end if they will not do.

    They hold no token; or most of the held-out text stands among them, so that its perplexity
    would say nothing: lines are compared, for files are copied and split anew.
    """
    lines = Counter(hash(tuple(sentence)) for sentence in heldout or () if sentence)
    seen = set()
    for sentence in corpus:
        if lines and (key := hash(tuple(sentence))) in lines:
            seen.add(key)
        yield sentence
    if not corpus.counts.tokens:
        raise LanguageModelError("the corpus is empty: it holds no token")
    count, total = sum(lines[key] for key in seen), sum(lines.values())
    if 2 * count > total:
        raise LanguageModelError(
            f"{count:,} of the {total:,} lines of the held-out text stand in the corpus; hold "
            "text out that is not trained on")


def _metadata(config: NgramConfig, corpus: Corpus, types: int, details: dict) -> dict:
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
