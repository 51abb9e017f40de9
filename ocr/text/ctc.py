"""Arithmetic of CTC: log probabilities, the frames a label needs, forced alignment."""

import numpy as np

from lm.base.errors import DecodingError

__all__ = ["log_softmax", "frames_needed", "align", "best_paths", "boundaries"]


def log_softmax(logits):
    """Return the log-softmax of (frames, classes) logits, float32."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def frames_needed(label):
    """Return the fewest frames CTC needs for a label: its length plus a blank per repeat.

    >>> frames_needed([5, 5, 7])
    4
    """
    return len(label) + sum(a == b for a, b in zip(label, label[1:]))


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
    [(path, score)] = best_paths([(log_probabilities, label)], blank)
    starts, ends = boundaries(path, len(label))
    return list(zip(starts.tolist(), ends.tolist())), score


def best_paths(items, blank):
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
    """Follow the best paths of `best_paths` back from each line's own last frame."""
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


def boundaries(path, length):
    """Return the first frames of a path's characters, and those after their last."""
    states = 2 * np.arange(length) + 1
    return np.searchsorted(path, states), np.searchsorted(path, states, side="right")
