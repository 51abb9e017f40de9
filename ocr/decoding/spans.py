"""Where characters and words stand in a line, and how sure the network is of them."""

import numpy as np

from ..exceptions import DecodingError
from .base import Hypothesis, Span

__all__ = ["align", "character_spans", "word_spans", "line_confidence", "spanned"]


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
    frames = len(log_probabilities)
    states = np.full(2 * len(label) + 1, blank)
    states[1::2] = label
    count = len(states)
    needed = len(label) + sum(a == b for a, b in zip(label, list(label)[1:]))
    if needed > frames:
        raise DecodingError(f"a label that needs {needed} frames cannot be aligned to {frames}")
    if frames == 0:
        return [], 0.0
    # A character may follow another without a blank when they differ.
    skip = np.full(count, -np.inf)
    skip[3::2] = np.where(states[3::2] != states[1:-2:2], 0.0, -np.inf)
    emissions = log_probabilities[:, states].astype(np.float64)
    # Two cells in front of the states, so that the shifted views need no special case.
    best = np.full((frames, count + 2), -np.inf)
    best[0, 2:4] = emissions[0, :2]
    step = np.empty(count)
    for t in range(1, frames):
        before, now = best[t - 1], best[t, 2:]
        np.maximum(before[2:], before[1:-1], out=now)
        np.add(before[:-2], skip, out=step)
        np.maximum(now, step, out=now)
        now += emissions[t]
    state = count - 1 if count == 1 or best[-1, -1] >= best[-1, -2] else count - 2
    score = float(best[-1, state + 2])
    spans = [None] * len(label)
    for t in range(frames - 1, -1, -1):
        if state % 2:
            start, end = spans[state // 2] or (t, t + 1)
            spans[state // 2] = (t, end)
        if t:
            two, one, same = best[t - 1, state:state + 3].tolist()
            two += skip[state]
            if same < one or same < two:
                state -= 1 if one >= two else 2
    return spans, score


def character_spans(log_probabilities, text, label, frames):
    """Return a `Span` for each character, its confidence its highest posterior there."""
    return tuple(Span(character, start, end,
                      float(np.exp(log_probabilities[start:end, index].max())))
                 for character, index, (start, end) in zip(text, label, frames))


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
    return float(np.exp(np.mean(np.log(np.maximum(list(values), 1e-30)))))


def spanned(text, log_probabilities, alphabet, score, logit_score):
    """Return a beam's `Hypothesis`: its text aligned to the frames it was read from.

    Parameters
    ----------
    text : str
    log_probabilities : numpy.ndarray
        (T, C), natural log.
    alphabet : Alphabet
    score : float
        All that the beam is ranked by.
    logit_score : float
        The network's part; the rest is the language model's.
    """
    label = alphabet.encode(text)
    frames, _ = align(log_probabilities, label, alphabet.blank)
    characters = character_spans(log_probabilities, text, label, frames)
    return Hypothesis(text, score, line_confidence(characters, log_probabilities, alphabet.blank),
                      characters, word_spans(characters), logit_score, score - logit_score)
