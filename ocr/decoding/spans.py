"""Where characters and words stand in a line, and how sure the network is of them."""

import math

import numpy as np

from ..text.ctc import best_paths, boundaries
from .base import Hypothesis, Span

__all__ = ["character_spans", "word_spans", "line_confidence", "spanned"]

#: Readings aligned at once: enough to make NumPy's calls cheap, few enough for little memory.
_BATCH = 64


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
        items = [(scores[index], alphabet.indices(reading[0])) for index, reading in batch]
        for (index, reading), (frame_scores, label), (path, _) in zip(
                batch, items, best_paths(items, alphabet.blank)):
            done[index, reading[0]] = _hypothesis(*reading, frame_scores, label, path,
                                                  alphabet.blank)
    return [[done[index, reading[0]] for reading in readings]
            for index, readings in enumerate(candidates)]


def _hypothesis(text, score, logit_score, log_probabilities, label, path, blank):
    characters = character_spans(log_probabilities, text, label,
                                 *boundaries(path, len(label)))
    return Hypothesis(text, score, line_confidence(characters, log_probabilities, blank),
                      characters, word_spans(characters), logit_score, score - logit_score)
