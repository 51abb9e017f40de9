"""Linear interpolation of n-gram models into one ARPA model (SRILM's static ``-mix-lm``).

Every n-gram that a component lists gets p(w|h) = sum_i weight_i p_i(w|h), where p_i is what
component i gives, backing off where it must:

- a word that component i does not list has p_i = 0, and ends the history for it;
- ``<unk>`` is the mixture of the components' ``<unk>``;
- ``<s>`` has the log probability 0, as lmplz writes it;
- n-grams with ``<s>`` or ``</s>`` inside are left out, contexts and suffixes that a pruned
  component lacks are added.

Back-off weights are found anew, so that every context sums to 1. What a context leaves to
backing off may be far smaller than the rounding of the components' figures, so it is never found
as 1 minus a sum: it is added up from what the components themselves leave.
"""

import math
import os
from array import array
from dataclasses import dataclass, replace
from typing import Optional

import numpy as np

from .arpa import read_arpa, write_arpa
from .base.errors import ConfigError, LanguageModelError
from .corpus import SPACE_TOKEN, UNITS, Corpus, tokenise
from .kneser_ney import BOS, EOS
from .lmplz import check_binary
from .ngram import _import_kenlm, _locate, load_ngram, write_model
from .normalisation import Normaliser
from .sampling import read_frequencies

__all__ = ["InterpolationConfig", "interpolate"]

_LOG_ZERO = -99.0
# Less than this is the noise of a difference between two sums of probabilities.
_NOTHING = 1e-13


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
    reserved, blank_lines, binary_type, quantise, build_binary
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
    quantise: int = 0
    build_binary: Optional[str] = None

    def __post_init__(self):
        for name in ("models", "heldout"):
            value = getattr(self, name)
            if isinstance(value, (str, os.PathLike)):
                value = (value,)
            object.__setattr__(self, name, tuple(os.fspath(path) for path in value))
        object.__setattr__(self, "weights", tuple(self.weights))
        output = os.fspath(self.output).removesuffix(".arpa").removesuffix(".bin")
        object.__setattr__(self, "output", output)
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
        if not os.path.basename(output) or os.path.isdir(output):
            raise ConfigError(f"the output {output!r} is a folder; give the model a name in it")


# --- reading the components ------------------------------------------------------------------

class _Union:
    """The n-grams of all components, numbered order by order.

    With an n-gram, its context and its suffix are in it too. Rows 0, 1 and 2 of the unigrams
    are ``<unk>``, ``<s>`` and ``</s>``.

    Attributes
    ----------
    index : list of dict
        For each order, text -> row, in the order of the rows.
    context, suffix : list of array of int
        Rows, in the order below, of each n-gram without its last or its first word.
    """

    def __init__(self, order):
        self.index = [{} for _ in range(order)]
        self.context = [array("i") for _ in range(order)]
        self.suffix = [array("i") for _ in range(order)]
        for word in ("<unk>", "<s>", "</s>"):
            self.add(1, word)

    def add(self, order, text):
        """Return the row of an n-gram, new or not."""
        index = self.index[order - 1]
        row = index.get(text)
        if row is None:
            context = suffix = 0
            if order > 1:
                context = self.add(order - 1, text[:text.rindex(" ")])
                suffix = self.add(order - 1, text[text.index(" ") + 1:])
            self.context[order - 1].append(context)
            self.suffix[order - 1].append(suffix)
            row = index[text] = len(index)
        return row

    def rows(self):
        """Return `context` and `suffix` as lists of arrays."""
        return tuple([np.frombuffer(part, dtype=np.int32) for part in lists]
                     for lists in (self.context, self.suffix))


@dataclass(frozen=True)
class _Component:
    """One component's own figures.

    Attributes
    ----------
    path : str
    tables : list of (array of int, array of float, array of float)
        For each order, rows in the union, probabilities and back-off weights.
    left_out : int
        Rows of a list of words that are no word; n-grams that no sentence can hold.
    """

    path: str
    tables: list
    left_out: int


def _arpa_component(union, path):
    """Read an ARPA file into the union; a `_Component`."""
    ngrams = read_arpa(path).ngrams
    if "<UNK>" in ngrams[0]:
        # KenLM takes one for the other.
        ngrams = [{" ".join("<unk>" if word == "<UNK>" else word for word in text.split(" ")):
                   entry for text, entry in table.items()} for table in ngrams]
    words = ngrams[0].keys()
    tables, left_out = [], 0
    for order, table in enumerate(ngrams, 1):
        misplaced = [text for text in table if order > 1 and _misplaced(text)]
        for text in misplaced:
            del table[text]
        left_out += len(misplaced)
        for text in table:
            if text.count(" ") != order - 1 or text[text.rfind(" ") + 1:] not in words:
                raise LanguageModelError(f"{path}: its {order}-gram {text!r} is not {order} of "
                                         "its words")
        figures = np.array(list(table.values()), dtype=float).reshape(-1, 2)
        bad = ~((figures[:, 0] <= 0) & (figures[:, 1] < math.inf))
        if bad.any():
            text, (log_prob, backoff) = list(table.items())[int(bad.argmax())]
            raise LanguageModelError(f"{path}: its {order}-gram {text!r} has the figures "
                                     f"{log_prob:g} and {backoff:g}, which are no logarithms of "
                                     "a probability and a back-off weight")
        if order == 2:
            known = len(union.index[0])
        add = union.add
        rows = np.fromiter((add(order, text) for text in table), np.int32, len(table))
        np.power(10.0, figures, out=figures)
        tables.append((rows, figures[:, 0], figures[:, 1]))
    if len(ngrams) > 1 and len(union.index[0]) > known:
        word = list(union.index[0])[known]
        raise LanguageModelError(f"{path}: its n-grams hold {word!r}, its unigrams do not")
    return _Component(path, tables, left_out)


def _misplaced(text):
    """Tell whether ``<s>`` stands after the start, or ``</s>`` before the end."""
    if "s>" not in text:
        return False
    words = text.split(" ")
    return "<s>" in words[1:] or "</s>" in words[:-1]


def _list_component(union, path, unit, normaliser, end):
    """Read a list of words into the union; a `_Component` of order 1."""
    totals, left_out = {}, 0
    for word, frequency in read_frequencies(path):
        tokens, _ = tokenise(normaliser(word), unit, "skip")
        if len(tokens) == 1:
            totals[tokens[0]] = totals.get(tokens[0], 0.0) + frequency
        else:
            left_out += 1
    if not totals:
        raise LanguageModelError(f"{path}: none of its rows is one {unit}")
    rows = np.fromiter((union.add(1, word) for word in totals), np.int32, len(totals))
    prob = np.fromiter(totals.values(), float, len(totals))
    prob *= (1 - end) / prob.sum()
    rows, prob = np.append(rows, np.int32(EOS)), np.append(prob, end)
    return _Component(path, [(rows, prob, np.ones(len(prob)))], left_out)


def _read(models, paths):
    """Return the union and the components, in the order of `paths`."""
    from tqdm import tqdm

    union = _Union(max(model.order for model in models.values()))
    like = next(iter(models.values()))
    normaliser = Normaliser(like.normalise)
    components, ends = {}, []
    with tqdm(total=len(paths), desc="reading models", unit="model", disable=None,
              leave=False) as progress:
        for path, model in models.items():
            components[path] = part = _arpa_component(union, model.arpa)
            rows, prob, _ = part.tables[0]
            ends.append(prob[rows == EOS].sum())
            progress.update()
        for path in paths:
            if path not in components:
                components[path] = _list_component(union, path, like.unit, normaliser,
                                                   float(np.mean(ends)))
                progress.update()
    return union, [components[path] for path in paths]


# --- probabilities ---------------------------------------------------------------------------

def _evaluate(component, context, suffix):
    """Return a component's probability of every n-gram of the union, and back-off of each context.

    Returns
    -------
    prob, backoff : lists of np.ndarray
        One for each order, a figure for each row.
    """
    probs, backoffs = [], []
    for order, (before, after) in enumerate(zip(context, suffix), 1):
        if order == 1:
            prob = np.zeros(len(before))
        else:
            prob = backoffs[-1][before] * probs[-1][after]
        backoff = np.ones(len(before))
        if order <= len(component.tables):
            rows, own, weights = component.tables[order - 1]
            prob[rows] = own
            if order < len(component.tables):
                backoff[rows] = weights
        if order == 1:
            prob[BOS] = 0
        probs.append(prob)
        backoffs.append(backoff)
    return probs, backoffs


def _heldout_probs(sentences, union, evaluated):
    """Return every component's probability of each held-out token that one of them knows.

    Returns
    -------
    probs : np.ndarray, shape (components, tokens)
    unknown : int
        Tokens that no component gives a probability, left out.
    """
    order = len(union.index)
    # For each order, (token, row) of the n-grams found and of the contexts backed off from.
    found = [(array("i"), array("i")) for _ in range(order)]
    backed = [(array("i"), array("i")) for _ in range(order)]
    count = unknown = 0
    for sentence in sentences:
        words = ["<s>", *sentence, "</s>"]
        for end in range(2, len(words) + 1):
            word = words[end - 1]
            if word not in union.index[0]:
                unknown += 1
                continue
            for length in range(min(order, end), 0, -1):
                row = union.index[length - 1].get(" ".join(words[end - length:end]))
                if row is not None:
                    found[length - 1][0].append(count)
                    found[length - 1][1].append(row)
                    break
                history = " ".join(words[end - length:end - 1])
                row = union.index[length - 2].get(history)
                if row is not None:
                    backed[length - 2][0].append(count)
                    backed[length - 2][1].append(row)
            count += 1
    probs = np.empty((len(evaluated), count))
    for out, (prob, backoff) in zip(probs, evaluated):
        for (tokens, rows), figures in zip(found, prob):
            out[np.array(tokens)] = figures[np.array(rows)]
        for (tokens, rows), figures in zip(backed, backoff):
            out[np.array(tokens)] *= figures[np.array(rows)]
    known = probs.any(axis=0)
    return probs[:, known], unknown + int(count - known.sum())


def _find_weights(probs, rounds=1000, tolerance=1e-10):
    """Return the weights of the likeliest mixture by EM, and its perplexity.

    Parameters
    ----------
    probs : np.ndarray, shape (components, tokens)
        No token has probability 0 in all.
    """
    weights = np.full(len(probs), 1 / len(probs))
    before = -math.inf
    for _ in range(rounds):
        shares = weights[:, None] * probs
        total = shares.sum(axis=0)
        likelihood = np.log(total).mean()
        if likelihood - before < tolerance:
            break
        before = likelihood
        weights = (shares / total).mean(axis=1)
    return weights, float(np.exp(-np.log(weights @ probs).mean()))


@dataclass(frozen=True)
class _Table:
    """Base-10 logarithms of the n-grams of one order, in the order of the rows."""

    log_prob: np.ndarray
    backoff: np.ndarray

    def __len__(self):
        return len(self.log_prob)


@dataclass(frozen=True)
class _Mixture:
    """What `lm.arpa.write_arpa` writes."""

    union: _Union
    tables: tuple

    @property
    def order(self):
        return len(self.tables)

    def texts(self):
        for index in self.union.index:
            yield list(index)


def _log10(values):
    logs = np.full(len(values), _LOG_ZERO)
    np.log10(values, out=logs, where=values > 0)
    return np.maximum(logs, _LOG_ZERO)


class _Follow:
    """Sums over the words that follow each context of one order, for one set of probabilities.

    Attributes
    ----------
    total : np.ndarray
        Probability, for each context, of the words listed after it.
    left : np.ndarray
        What it leaves to the words that are not.
    """

    def __init__(self, total, left):
        self.total, self.left = total, left

    def remaining(self, prob, rows, shorter, fewer):
        """Return what the contexts one longer leave, by `prob` under their shorter context.

        After the shorter context stand all the words that stand after the longer, so it is the
        difference of the two plus what the shorter leaves: nothing here is lost to rounding.

        Parameters
        ----------
        prob : np.ndarray
            Probability of each n-gram without its first word.
        rows : np.ndarray of int
            Its context.
        shorter : np.ndarray of int
            For each context, itself without its first word.
        fewer : np.ndarray of bool
            Whether fewer words stand after the context than after the shorter one.
        """
        listed = np.bincount(rows, weights=prob, minlength=len(shorter))
        rest = self.total[shorter] - listed
        rest[~fewer | (rest < _NOTHING)] = 0
        return rest + self.left[shorter]


def _mix(union, evaluated, weights):
    """Return the `_Mixture` of evaluated components."""
    context, suffix = union.rows()
    probs = [sum(w * prob[order] for w, (prob, _) in zip(weights, evaluated))
             for order in range(len(context))]
    probs[0] /= probs[0].sum()
    number = np.array([len(probs[0]) - 1])  # <s> follows nothing
    follow = _Follow(np.ones(1), np.zeros(1))
    own = [_Follow(prob[0].sum(keepdims=True), np.zeros(1)) for prob, _ in evaluated]
    backoffs = []
    for order in range(1, len(probs)):
        rows, shorter = context[order], suffix[order - 1]
        size = len(shorter)
        count = np.bincount(rows, minlength=size)
        fewer = count < number[shorter]
        after = suffix[order]
        # What each component leaves to the words that no component lists after the context.
        for i, (prob, backoff) in enumerate(evaluated):
            left = own[i].remaining(prob[order - 1][after], rows, shorter, fewer)
            own[i] = _Follow(np.bincount(rows, weights=prob[order], minlength=size),
                             backoff[order - 1] * left)
        left = sum(w * part.left for w, part in zip(weights, own))
        room = follow.remaining(probs[order - 1][after], rows, shorter, fewer)
        left[room <= 0] = 0
        # The components' figures are rounded, so their mixture adds up to almost 1 only.
        total = np.bincount(rows, weights=probs[order], minlength=size) + left
        factor = np.divide(1, total, out=np.ones(size), where=total > 0)
        probs[order] *= factor[rows]
        left *= factor
        follow = _Follow(np.bincount(rows, weights=probs[order], minlength=size), left)
        backoff = np.divide(left, room, out=np.zeros(size), where=room > 0)
        backoff[count == 0] = 1
        backoffs.append(backoff)
        number = count
    backoffs.append(np.ones(len(probs[-1])))
    tables = []
    for order, (prob, backoff) in enumerate(zip(probs, backoffs)):
        log_prob = np.minimum(_log10(prob), 0)
        if order == 0:
            log_prob[BOS] = 0
        tables.append(_Table(log_prob, _log10(backoff)))
    return _Mixture(union, tuple(tables))


# --- the whole of it -------------------------------------------------------------------------

def _open(path, unit):
    """Return the `NgramModel` of a component, which has an ARPA file."""
    _, file, arpa = _locate(path)
    if arpa is None:
        raise LanguageModelError(f"{file}: a KenLM binary does not list its n-grams; put its ARPA "
                                 "file beside it to mix it")
    return load_ngram(arpa, unit)


def _agree(models, what, told, hint=""):
    """Return what all models have in common, or say how they differ."""
    if len(set(told.values())) > 1:
        each = ", ".join(f"{models[path].arpa} ({value})" for path, value in told.items())
        raise LanguageModelError(f"the models differ in {what}: {each}{hint}")
    return next(iter(told.values()))


def interpolate(config):
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
        differ; the order is more than KenLM reads; held-out text without a known token.
    """
    weights = config.weights or (1.0,) * len(config.models)
    paths = [path for path, weight in zip(config.models, weights) if weight]
    weights = np.array([weight for weight in weights if weight]) / sum(weights)
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
    for model in models.values():
        if os.path.realpath(config.output + ".arpa") == os.path.realpath(model.arpa):
            raise ConfigError(f"{model.arpa}: the output would take the place of this component")
    order = max(model.order for model in models.values())
    heldout = None
    if config.heldout:
        heldout = Corpus(config.heldout, unit, config.reserved, config.blank_lines,
                         "held-out text", rules)
        if order > 1:
            _import_kenlm()

    def write(arpa):
        union, components = _read(models, paths)
        rows = union.rows()
        evaluated = [_evaluate(component, *rows) for component in components]
        found = {}
        mixed = weights
        if heldout is not None:
            probs, unknown = _heldout_probs(heldout, union, evaluated)
            if not probs.size:
                raise LanguageModelError("the held-out text has no token that a component knows")
            mixed, em_perplexity = _find_weights(probs)
            found = {"em": {"tokens": probs.shape[1], "unknown": unknown,
                            "perplexity": em_perplexity}}
        mixture = _mix(union, evaluated, mixed)
        write_arpa(arpa, mixture)
        return {
            "ngrams": [len(table) for table in mixture.tables],
            "components": [{"name": os.path.basename(part.path), "weight": float(weight),
                            "ngrams": [len(table[0]) for table in part.tables],
                            "left_out": part.left_out}
                           for part, weight in zip(components, mixed)], **found}

    def describe(details, types):
        from .base.version import __version__

        metadata = {"format": "ngram", "version": __version__, "order": order, "unit": unit,
                    "normalisation": ["NFC", *rules] if rules else "NFC",
                    "estimator": "interpolation", "types": types, **details}
        if unit == "character":
            metadata["space_token"] = SPACE_TOKEN
        return metadata

    return write_model(replace(config, unit=unit), order, write, describe, heldout)
