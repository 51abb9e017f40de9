"""Linear interpolation of n-gram models into one ARPA model (SRILM's static ``-mix-lm``).

Every n-gram that a component lists gets p(w|h) = sum_i weight_i p_i(w|h), where p_i is what
component i gives, backing off where it must:

- a word that component i does not list has p_i = 0, and ends the history for it;
- ``<unk>`` is the mixture of the components' ``<unk>``;
- ``<s>`` has the log probability 0, as lmplz writes it;
- n-grams with ``<s>`` or ``</s>`` inside are left out, contexts and suffixes that a pruned
  component lacks are added.
"""

import math
import os
from dataclasses import dataclass, replace
from typing import Any, Optional

import numpy as np

from .arpa import write_arpa
from .base.errors import ConfigError, LanguageModelError
from .base.files import check_apart
from .corpus import SPACE_TOKEN, UNITS, Corpus
from .lmplz import check_binary
from .mixture import evaluate, find_weights, heldout_probs, mix, read_components
from .ngram import ENDINGS, NgramModel, bare_name, load_ngram
from .training import write_model

__all__ = ["InterpolationConfig", "interpolate"]


@dataclass(frozen=True)
class InterpolationConfig:
    """Settings of `interpolate`.

    Parameters
    ----------
    models : tuple of str
        Two or more: models as `lm.ngram.load_ngram` takes them, with their ARPA file, and lists
        ``word<TAB>frequency`` (``.tsv``, see `lm.sampling.read_frequencies`). At least one is a
        model. A list is a unigram model of its words, in the unit of the others; ``</s>`` has
        the mean of the other components' unigram probabilities of it, the words share the rest
        by frequency, and ``<unk>`` has none. Rows that are not exactly one word in that unit
        are left out and counted.
    output : str
        As in `lm.ngram.NgramConfig`.
    weights : tuple of float, optional
        One for each model, 0 or more; they need not add up to 1. A model of weight 0 is left
        out. Equal by default.
    heldout : tuple of str, optional
        Text files to find the weights on, instead of `weights`.
    unit : {"word", "character", "wordform"}, optional
        For models without metadata.
    reserved, blank_lines, binary_type, packed, quantise, build_binary
        As in `lm.ngram.NgramConfig`.
    """

    models: tuple[str, ...]
    output: str
    weights: tuple[float, ...] = ()
    heldout: tuple[str, ...] = ()
    unit: Optional[str] = None
    reserved: str = "error"
    blank_lines: str = "keep"
    binary_type: str = "trie"
    packed: bool = True
    quantise: int = 0
    build_binary: Optional[str] = None

    def __post_init__(self) -> None:
        for name in ("models", "heldout"):
            value = getattr(self, name)
            if isinstance(value, (str, os.PathLike)):
                value = (value,)
            object.__setattr__(self, name, tuple(os.fspath(path) for path in value))
        object.__setattr__(self, "weights", tuple(self.weights))
        object.__setattr__(self, "output", bare_name(self.output))
        if len(self.models) < 2:
            raise ConfigError("a mixture needs two models or more")
        if all(path.endswith(".tsv") for path in self.models):
            raise ConfigError("a mixture needs at least one n-gram model; lists of words tell "
                              "nothing of sentence ends and unknown words")
        if self.weights:
            if self.heldout:
                raise ConfigError("give weights or held-out text to find them on, not both")
            if len(self.weights) != len(self.models):
                raise ConfigError(f"{len(self.weights)} weights for {len(self.models)} models")
            if not all(0 <= weight < math.inf for weight in self.weights):
                raise ConfigError("weights must be numbers of 0 or more, not "
                                  f"{', '.join(map(str, self.weights))}")
            if not any(self.weights):
                raise ConfigError("all weights are 0")
        for name, known in (("unit", (None, *UNITS)),
                            ("reserved", ("error", "skip")), ("blank_lines", ("keep", "skip"))):
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(f"{name} must be one of {', '.join(filter(None, known))}, "
                                  f"not {value!r}")
        check_binary(self.binary_type, self.quantise)
        outputs = [self.output + ending for ending in ENDINGS]
        check_apart(outputs, (*self.models, *self.heldout))


def _open(path: str, unit: Optional[str]) -> NgramModel:
    """Return the `NgramModel` of a component, which has an ARPA file."""
    model = load_ngram(path, unit)
    if model.arpa is None:
        raise LanguageModelError(f"{model.path}: only an ARPA file lists its n-grams; put it "
                                 "beside it to mix it")
    return model


def _agree(models: dict[str, NgramModel], what: str, told: dict[str, Any], hint: str = ""
           ) -> Any:
    """Return what all models have in common, or say how they differ."""
    if len(set(told.values())) > 1:
        each = ", ".join(f"{models[path].arpa} ({value})" for path, value in told.items())
        raise LanguageModelError(f"the models differ in {what}: {each}{hint}")
    return next(iter(told.values()))


def interpolate(config: InterpolationConfig) -> NgramModel:
    """Mix n-gram models, and lists of word frequencies, into one model and write it.

    The files are those of `lm.ngram.train_ngram`. Everything is held in memory: about 1 GB for
    three million n-grams.

    Parameters
    ----------
    config : InterpolationConfig

    Returns
    -------
    NgramModel
        Its ``metadata`` holds the components with their weights and, with held-out text, how
        the weights were found (``em``: tokens, unknown ones left out, perplexity of the mixture
        before it is written as one model) and the written model's perplexity report.

    Raises
    ------
    ConfigError
        A setting is out of range.
    MissingDataError, DataError
        A file is missing or malformed.
    LanguageModelError
        A component has no ARPA file, or a damaged one; their units or their normalisation
        differ; held-out text without a known token.
    """
    told = config.weights or (1.0,) * len(config.models)
    paths = [path for path, weight in zip(config.models, told) if weight]
    weights = np.array([weight for weight in told if weight]) / sum(told)
    models = {path: _open(path, config.unit) for path in paths if not path.endswith(".tsv")}
    if not models:
        raise ConfigError("all n-gram models have the weight 0")
    unit = _agree(models, "unit", {path: model.unit for path, model in models.items()},
                  "; --unit tells that of models without metadata")
    rules = _agree(models, "normalisation",
                   {path: model.normalise for path, model in models.items()})
    if unit == "character" and len(models) < len(set(paths)):
        raise LanguageModelError("a list of words is no component of a character model; write "
                                 "text of it (lm sample) and train a model on that")
    check_apart([config.output + ".arpa"], [model.arpa for model in models.values() if model.arpa])
    order = max(model.order for model in models.values())
    heldout = None
    if config.heldout:
        heldout = Corpus(config.heldout, unit, config.reserved, config.blank_lines,
                         "held-out text", rules)

    def write(arpa: str) -> dict:
        union, components = read_components(models, paths)
        rows = union.rows()
        evaluated = [evaluate(component, *rows) for component in components]
        found = {}
        mixed = weights
        if heldout is not None:
            probs, unknown = heldout_probs(heldout, union, evaluated)
            if not probs.size:
                raise LanguageModelError("the held-out text has no token that a component knows")
            mixed, em_perplexity = find_weights(probs)
            found = {"em": {"tokens": probs.shape[1], "unknown": unknown,
                            "perplexity": em_perplexity}}
        mixture = mix(union, evaluated, mixed)
        write_arpa(arpa, mixture)
        return {
            "ngrams": [len(table) for table in mixture.tables],
            "components": [{"name": os.path.basename(part.path), "weight": float(weight),
                            "ngrams": [len(table[0]) for table in part.tables],
                            "left_out": part.left_out}
                           for part, weight in zip(components, mixed)], **found}

    def describe(details: dict, types: int) -> dict:
        from .base.version import __version__

        metadata = {"format": "ngram", "version": __version__, "order": order, "unit": unit,
                    "normalisation": ["NFC", *rules] if rules else "NFC",
                    "estimator": "interpolation", "types": types, **details}
        if unit == "character":
            metadata["space_token"] = SPACE_TOKEN
        return metadata

    return write_model(replace(config, unit=unit), order, write, describe, heldout)
