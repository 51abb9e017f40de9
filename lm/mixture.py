"""The arithmetic of `lm.interpolation`: n-grams of several models, their mixture, its back-off.

Back-off weights are found anew, so that every context sums to 1. What a context leaves to
backing off may be far smaller than the rounding of the components' figures, so it is never found
as 1 minus a sum: it is added up from what the components themselves leave.
"""

import math
from array import array
from dataclasses import dataclass

import numpy as np

from .arpa import check_arpa, read_entries
from .base.errors import LanguageModelError
from .corpus import tokenise
from .kneser_ney import BOS, EOS
from .normalisation import Normaliser
from .sampling import read_frequencies

__all__ = ["Component", "Mixture", "NgramUnion", "evaluate", "find_weights", "heldout_probs",
           "mix", "read_components"]

_LOG_ZERO = -99.0
# Less than this is the noise of a difference between two sums of probabilities.
_NOTHING = 1e-13


class NgramUnion:
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
class Component:
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
    """Read an ARPA file into the union; a `Component`."""
    tables, left_out, words, highest = [], 0, set(), len(check_arpa(path))
    for order, entries in enumerate(read_entries(path), 1):
        table = {}
        for text, *figures in entries:
            if "<UNK>" in text:
                # KenLM takes one for the other.
                text = " ".join("<unk>" if word == "<UNK>" else word for word in text.split(" "))
            if order == 1:
                words.add(text)
            elif text[text.rfind(" ") + 1:] not in words:
                raise LanguageModelError(f"{path}: its {order}-gram {text!r} is not {order} of "
                                         "its words")
            if order > 1 and _misplaced(text):
                left_out += 1
            else:
                table[text] = figures
        figures = np.array(list(table.values()), dtype=float).reshape(-1, 2)
        if order == 2:
            known = len(union.index[0])
        add = union.add
        rows = np.fromiter((add(order, text) for text in table), np.int32, len(table))
        np.power(10.0, figures, out=figures)
        tables.append((rows, figures[:, 0], figures[:, 1]))
    if highest > 1 and len(union.index[0]) > known:
        word = list(union.index[0])[known]
        raise LanguageModelError(f"{path}: its n-grams hold {word!r}, its unigrams do not")
    return Component(path, tables, left_out)


def _misplaced(text):
    """Tell whether ``<s>`` stands after the start, or ``</s>`` before the end."""
    if "s>" not in text:
        return False
    words = text.split(" ")
    return "<s>" in words[1:] or "</s>" in words[:-1]


def _list_component(union, path, unit, normaliser, end):
    """Read a list of words into the union; a `Component` of order 1."""
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
    return Component(path, [(rows, prob, np.ones(len(prob)))], left_out)


def read_components(models, paths):
    """Return the union and the components, in the order of `paths`."""
    from tqdm import tqdm

    union = NgramUnion(max(model.order for model in models.values()))
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

def evaluate(component, context, suffix):
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


def heldout_probs(sentences, union, evaluated):
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


def find_weights(probs, rounds=1000, tolerance=1e-10):
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
class Mixture:
    """What `lm.arpa.write_arpa` writes."""

    union: NgramUnion
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


def mix(union, evaluated, weights):
    """Return the `Mixture` of evaluated components."""
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
    return Mixture(union, tuple(tables))
