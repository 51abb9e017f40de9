"""Where characters and words stand in a line, and how sure the network is of them."""

import math

import numpy as np

from ..exceptions import DecodingError
from .base import Hypothesis, Span

__all__ = ["align", "character_spans", "word_spans", "line_confidence", "spanned"]

#: Readings aligned at once: enough to make NumPy's calls cheap, few enough for little memory.
_BATCH = 64


def align(log_probabilities, label, blank):
    """Find the most probable path of a label (forced alignment by Viterbi).

    Parameters
    ----------
    log_probabilities : numpy.ndarray
        (T, C), natural log.
    label : sequence of int
        Class indices, without blanks.
    blank : int

    Returns
    -------
    frames : list of (int, int)
        For each label its first frame and the one after its last.
    score : float
        Log probability of the path.

    Raises
    ------
    DecodingError
        The label needs more frames than there are.
    """
    [(path, score)] = _paths([(log_probabilities, label)], blank)
    starts, ends = _boundaries(path, len(label))
    return list(zip(starts.tolist(), ends.tolist())), score


def _paths(items, blank):
    """Align several labels at once; for each its path and the path's log probability.

    A path is an array of T states: 2 i + 1 is character i, even ones are blanks around it.
    """
    frames = np.array([len(scores) for scores, _ in items])
    counts = np.array([2 * len(label) + 1 for _, label in items])
    shape = (len(items), counts.max())
    # A character may follow another without a blank when they differ.
    skip = np.full(shape, -np.inf)
    emissions = np.zeros((frames.max(), *shape))
    for i, (scores, label) in enumerate(items):
        label = np.asarray(label, int)
        repeated = label[1:] == label[:-1]
        if (needed := len(label) + int(repeated.sum())) > len(scores):
            raise DecodingError(f"a label that needs {needed} frames cannot be aligned to "
                                f"{len(scores)}")
        states = np.full(counts[i], blank)
        states[1::2] = label
        skip[i, 3:counts[i]:2] = np.where(repeated, -np.inf, 0.0)
        emissions[:len(scores), i, :counts[i]] = scores[:, states]
    if not len(emissions):
        return [(np.empty(0, int), 0.0)] * len(items)
    # Two cells in front of the states, so that the shifted views need no special case.
    best = np.full((len(emissions), shape[0], shape[1] + 2), -np.inf)
    best[0, :, 2:4] = emissions[0, :, :2]
    step = np.empty(shape)
    for t in range(1, len(emissions)):
        before, now = best[t - 1], best[t, :, 2:]
        np.maximum(before[:, 2:], before[:, 1:-1], out=now)
        np.add(before[:, :-2], skip, out=step)
        np.maximum(now, step, out=now)
        now += emissions[t]
    return _trace(best, skip, frames, counts)


def _trace(best, skip, frames, counts):
    """Follow the best paths of `_paths` back from each line's own last frame."""
    rows = np.arange(len(frames))
    last = best[np.maximum(frames - 1, 0), rows]
    state = np.where((counts > 1) & (last[rows, counts] > last[rows, counts + 1]),
                     counts - 2, counts - 1)
    totals = np.where(frames, last[rows, state + 2], 0.0)
    paths = np.empty((len(best), len(frames)), int)
    for t in range(len(best) - 1, -1, -1):
        paths[t] = state
        if t:
            before = best[t - 1]
            same, one = before[rows, state + 2], before[rows, state + 1]
            two = before[rows, state] + skip[rows, state]
            moves = ((same < one) | (same < two)) & (t < frames)
            state = state - moves * np.where(one >= two, 1, 2)
    return [(paths[:n, i], float(total)) for i, (n, total) in enumerate(zip(frames, totals))]


def _boundaries(path, length):
    """Return the first frames of a path's characters, and those after their last."""
    states = 2 * np.arange(length) + 1
    return np.searchsorted(path, states), np.searchsorted(path, states, side="right")


def character_spans(log_probabilities, text, label, starts, ends):
    """Return a `Span` for each character, its confidence its highest posterior there.

    Parameters
    ----------
    log_probabilities : numpy.ndarray
        (T, C), natural log.
    text : str
    label : sequence of int
        The text's class indices.
    starts, ends : numpy.ndarray
        For each character its first frame and the one after its last, which are not before
        the character ahead of it ends.
    """
    if not text:
        return ()
    frames = np.arange(len(log_probabilities))
    owner = np.maximum(np.searchsorted(starts, frames, side="right") - 1, 0)
    own = log_probabilities[frames, np.asarray(label)[owner]]
    own = np.where(frames < np.asarray(ends)[owner], own, -np.inf)
    own[:starts[0]] = -np.inf
    sure = np.exp(np.maximum.reduceat(own, starts)).tolist()
    return tuple(map(Span, text, starts.tolist(), ends.tolist(), sure))


def word_spans(characters):
    """Group character spans into words at spaces; a word's confidence is the geometric mean."""
    words, current = [], []
    for span in (*characters, None):
        if span is not None and span.text != " ":
            current.append(span)
        elif current:
            words.append(Span("".join(s.text for s in current), current[0].start,
                              current[-1].end, _mean(s.confidence for s in current)))
            current = []
    return tuple(words)


def line_confidence(characters, log_probabilities, blank):
    """Geometric mean of the characters' confidences; of the blank's where there are none."""
    if characters:
        return _mean(span.confidence for span in characters)
    if not len(log_probabilities):
        return 1.0
    return float(np.exp(log_probabilities[:, blank].mean()))


def _mean(values):
    """Geometric mean."""
    logs = [math.log(max(value, 1e-30)) for value in values]
    return math.exp(sum(logs) / len(logs))


def spanned(candidates, scores, alphabet):
    """Make `Hypothesis` objects of beams: each text aligned to the frames it was read from.

    Parameters
    ----------
    candidates : list of list of (str, float, float)
        For each line its readings, best first: text, all that it is ranked by, and the
        network's part of that; the rest is the language model's.
    scores : list of numpy.ndarray
        Log probabilities, (T_i, C) each.
    alphabet : Alphabet

    Returns
    -------
    list of list of Hypothesis
    """
    work = [(index, reading) for index, readings in enumerate(candidates)
            for reading in readings]
    # Lines of like length together, so that little of a batch is padding.
    work.sort(key=lambda item: len(scores[item[0]]))
    done = {}
    for begin in range(0, len(work), _BATCH):
        batch = work[begin:begin + _BATCH]
        items = [(scores[index], alphabet.encode(reading[0])) for index, reading in batch]
        for (index, reading), (frame_scores, label), (path, _) in zip(
                batch, items, _paths(items, alphabet.blank)):
            done[index, reading[0]] = _hypothesis(*reading, frame_scores, label, path,
                                                  alphabet.blank)
    return [[done[index, reading[0]] for reading in readings]
            for index, readings in enumerate(candidates)]


def _hypothesis(text, score, logit_score, log_probabilities, label, path, blank):
    characters = character_spans(log_probabilities, text, label,
                                 *_boundaries(path, len(label)))
    return Hypothesis(text, score, line_confidence(characters, log_probabilities, blank),
                      characters, word_spans(characters), logit_score, score - logit_score)
