"""n-gram models on disk: finding them, opening them."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Optional, Union

import numpy as np

from .arpa import check_arpa, read_unigrams
from .base.errors import (
    ConfigError,
    LanguageModelError,
    MissingDataError,
    UnknownNameError,
)
from .base.files import read_json, read_text
from .corpus import SPACE_TOKEN, UNITS, tokenise
from .normalisation import Normaliser, check_rules
from .packed import SPECIAL, PackedNgram, is_packed, read_packed
from .packing import pack_arpa

__all__ = ["ENDINGS", "NgramModel", "bare_name", "load_ngram", "open_kenlm", "words_hash"]

#: What a model's files are called behind its name; of the first three, the first there is counts.
ENDINGS = (".ngram", ".bin", ".arpa", ".unigrams.txt", ".json")

_KENLM_MAGIC = b"mmap lm http://kheafield.com/code"


@dataclass(frozen=True)
class NgramModel:
    """A model on disk, as `load_ngram` found it.

    Attributes
    ----------
    path : str
        The file that is scored with: packed, KenLM's, or ARPA.
    arpa : str or None
        The ARPA file.
    kenlm_path : str or None
        What KenLM can read: its binary, else the ARPA file; for the decoder beam-lm.
    order : int
    unit : {"word", "character", "wordform"}
    metadata : dict
        Contents of the JSON file; empty for models trained elsewhere.
    """

    path: str
    arpa: Optional[str]
    kenlm_path: Optional[str]
    order: int
    unit: str
    metadata: dict = field(repr=False, default_factory=dict)
    _words: tuple[str, ...] = field(repr=False, compare=False, default=())
    _packed: Optional[PackedNgram] = field(repr=False, compare=False, default=None)

    @cached_property
    def unigrams(self) -> tuple[str, ...]:
        """The vocabulary without ``<unk>``, ``<s>`` and ``</s>``."""
        return self._packed.words if self._packed else self._words

    @property
    def normalise(self) -> tuple[str, ...]:
        """Names of the normalisation rules besides NFC that its corpus went through."""
        told = self.metadata.get("normalisation", "NFC")
        return tuple(told[1:]) if isinstance(told, list) else ()

    def tokenise(self, text: str) -> list[str]:
        """Return the tokens of one line of text as this model counts them."""
        return tokenise(Normaliser(self.normalise)(text), self.unit)[0]

    @cached_property
    def packed(self) -> PackedNgram:
        """The model as NumPy scores it; an ARPA file is read whole into memory.

        Raises
        ------
        LanguageModelError
            There is KenLM's binary alone, or a damaged ARPA file.
        """
        if self._packed:
            return self._packed
        if self.path != self.arpa:
            raise LanguageModelError(f"{self.path}: a KenLM binary, which only KenLM reads; pack "
                                     "its ARPA file (lm pack)")
        return pack_arpa(self.arpa)

    def unigram_probs(self) -> Iterator[tuple[str, float]]:
        """Yield each word and its log10 probability without context."""
        if self._packed or self.path == self.arpa:
            packed = self.packed
            first = 1 + len(SPECIAL)
            yield from zip(packed.words, packed.probs(np.arange(first, 1 + len(packed))).tolist())
            return
        scorer = self.scorer()
        for word in self.unigrams:
            # None where the word holds what KenLM takes for a space (U+00A0 is none).
            scores = list(scorer.full_scores(word, bos=False, eos=False))
            if len(scores) == 1:
                yield word, scores[0][0]

    def scorer(self) -> Any:
        """Open the model for scoring.

        Returns
        -------
        PackedNgram, or kenlm.Model where there is KenLM's binary alone
            ``full_scores(sentence, bos=True, eos=True)`` of either yields
            (log10 probability, n-gram length, unknown) for each token.

        Raises
        ------
        LanguageModelError
            The file is damaged; kenlm is not installed, or it refuses the model.
        """
        if self._packed or self.path == self.arpa:
            return self.packed
        return open_kenlm(self.path)


def open_kenlm(path: str) -> Any:
    """Return a ``kenlm.Model``; `LanguageModelError` where kenlm is missing or refuses it."""
    try:
        import kenlm
    except ImportError as error:
        raise LanguageModelError(f"{path}: the kenlm package is needed for it ({error}); "
                                 "pip install kenlm") from None
    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    try:
        return kenlm.Model(path, config)
    except UnicodeDecodeError:
        raise LanguageModelError(f"{path}: KenLM cannot read it: damaged") from None
    except (OSError, RuntimeError) as error:
        # What KenLM says begins with C++ places and ends with the reason.
        reason = re.split(r"threw \w+(?: because `[^']*')?\.\s*", str(error))[-1].rstrip(") ")
        raise LanguageModelError(f"{path}: KenLM cannot read it: {reason[:300]}") from None


def bare_name(path: Union[str, os.PathLike]) -> str:
    """Return a model's name without ending, for writing; `ConfigError` where it is a folder."""
    name = os.fspath(path)
    for ending in ENDINGS[:3]:
        name = name.removesuffix(ending)
    if not os.path.basename(name) or os.path.isdir(name):
        raise ConfigError(f"the output {name!r} is a folder; give the model a name in it")
    return name


def words_hash(words: Iterable[str]) -> str:
    """Return what tells a list of words from another, or from itself in another order."""
    return hashlib.sha256("\n".join(words).encode("utf-8", "surrogatepass")).hexdigest()


def _locate(path: Union[str, os.PathLike]) -> tuple[str, str]:
    """Return (name without ending, file) of what the user named."""
    path = os.fspath(path)
    for ending in ENDINGS[:3]:
        if os.path.isfile(path + ending):
            return path, path + ending
    if os.path.isdir(path):
        return _locate(os.path.join(path, _only_model(path)))
    if not os.path.isfile(path):
        raise MissingDataError(f"{path}: no such language model (looked for {path}, "
                               + ", ".join(path + ending for ending in ENDINGS[:3]) + ")")
    for ending in ENDINGS[3:]:
        if path.endswith(ending):
            return _locate(path.removesuffix(ending))
    return os.path.splitext(path)[0] if path.endswith(ENDINGS[:3]) else path, path


def _only_model(folder: str) -> str:
    names = {os.path.splitext(name)[0] for name in os.listdir(folder)
             if name.endswith(ENDINGS[:3]) and not name.startswith(".")}
    if len(names) != 1:
        what = f"several language models ({', '.join(sorted(names))})" if names else (
            "no language model")
        raise MissingDataError(f"{folder}: {what} in this folder; name one")
    return names.pop()


def _is_kenlm(path: str) -> bool:
    try:
        with open(path, "rb") as source:
            head = source.read(len(_KENLM_MAGIC))
    except OSError as error:
        raise LanguageModelError(f"{path}: cannot be read ({error.strerror})") from None
    if head != _KENLM_MAGIC and path.endswith(".bin"):
        raise LanguageModelError(f"{path}: not a KenLM binary")
    return head == _KENLM_MAGIC


def _check_metadata(value: dict, where: str) -> dict:
    if value.get("unit") not in UNITS:
        raise LanguageModelError(f"{where}: does not describe an n-gram model")
    if isinstance(value.get("normalisation"), list):
        try:
            check_rules(value["normalisation"][1:])
        except UnknownNameError as error:
            raise LanguageModelError(f"{where}: {error}") from None
    return value


def _read_metadata(path: str) -> dict:
    if not os.path.exists(path):
        return {}
    return _check_metadata(read_json(path, error=LanguageModelError), path)


def _words_beside(name: str, arpa: Optional[str], metadata: dict, scorer: Any
                  ) -> tuple[str, ...]:
    """Return the words of a KenLM binary, from the list beside it or from its ARPA file."""
    path = name + ".unigrams.txt"
    if not os.path.exists(path) and arpa:
        return tuple(read_unigrams(arpa))
    text = read_text(path, MissingDataError(
        f"{path}: a KenLM binary tells no words; put its list of words there, one a line, "
        "or its ARPA file beside it"))
    words = tuple(word for word in text.split("\n") if word)
    reason, counts = None, metadata.get("ngrams")
    if len(set(words)) < len(words):
        reason = "it has words twice"
    elif "words" in metadata:
        if metadata["words"] != words_hash(words):
            reason = f"its words are not those that {name}.json tells"
    # <unk>, <s> and </s> are n-grams, but no words.
    elif isinstance(counts, list) and counts and counts[0] - 3 != len(words):
        reason = f"it has {len(words)} words, the model {counts[0] - 3}"
    elif not metadata:
        if strange := next((word for word in words if word not in scorer), None):
            reason = f"the model does not know {strange[:40]!r}"
    if reason:
        raise LanguageModelError(f"{path}: not the words of {name}: {reason}")
    return words


def load_ngram(path: Union[str, os.PathLike], unit: Optional[str] = None) -> NgramModel:
    """Find a trained model on disk and check it.

    Parameters
    ----------
    path : str
        ``NAME`` of ``lm train --output NAME``, ``NAME.ngram``, ``NAME.bin`` or ``NAME.arpa`` (of
        NAME the first of these that is there), the folder of a single model, or a model trained
        elsewhere.
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
        A truncated or malformed file, metadata or a word list of another model.
    """
    if unit is not None and unit not in UNITS:
        raise ConfigError(f"unit must be one of {', '.join(UNITS)}, not {unit!r}")
    name, file = _locate(path)
    packed: Optional[PackedNgram] = None
    words: tuple[str, ...] = ()
    metadata = _read_metadata(name + ".json")
    arpa = name + ".arpa" if os.path.isfile(name + ".arpa") else None
    kenlm_path = name + ".bin" if os.path.isfile(name + ".bin") else arpa
    if is_packed(file):
        packed = read_packed(file)
        order = packed.order
        if packed.metadata:
            metadata = _check_metadata(packed.metadata, file)
    elif _is_kenlm(file):
        scorer = open_kenlm(file)
        kenlm_path, order = file, scorer.order
        words = _words_beside(name, arpa, metadata, scorer)
    else:
        kenlm_path = arpa = file
        order, words = len(check_arpa(file)), tuple(read_unigrams(file))
    if metadata.get("order", order) != order:
        raise LanguageModelError(f"{name}.json: describes a model of order "
                                 f"{metadata['order']}, but {file} has order {order}")
    if unit and metadata.get("unit", unit) != unit:
        raise LanguageModelError(f"{file}: its unit is the {metadata['unit']}, not the {unit}")
    unit = metadata.get("unit") or unit
    if not unit:
        listed = packed.words if packed else words
        unit = ("character" if SPACE_TOKEN in listed and all(len(word) == 1 for word in listed)
                else "word")
    return NgramModel(file, arpa, kenlm_path, order, unit, metadata, words, packed)
