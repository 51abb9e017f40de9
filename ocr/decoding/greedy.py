"""Best-path decoding."""

import numpy as np

from ..text.ctc import log_softmax
from .base import Decoder, Hypothesis
from .spans import character_spans, line_confidence, word_spans

__all__ = ["GreedyDecoder"]


class GreedyDecoder(Decoder):
    """Takes each frame's most probable class, merges repeats, drops blanks."""

    def _decode_one(self, line, n_best):
        if not len(line):
            return [Hypothesis("", 0.0, 1.0)]
        scores = log_softmax(line)
        best = scores.argmax(axis=1)
        starts = np.flatnonzero(np.diff(best, prepend=-1))
        ends = np.append(starts[1:], len(best))
        runs = [(int(best[s]), int(s), int(e)) for s, e in zip(starts, ends)
                if best[s] != self.alphabet.blank]
        runs = _single_spaces(runs, self.alphabet)
        label = [index for index, _, _ in runs]
        text = self.alphabet.decode(label)
        starts, ends = np.array([run[1:] for run in runs], int).reshape(-1, 2).T
        characters = character_spans(scores, text, label, starts, ends)
        total = float(scores.max(axis=1).sum())
        return [Hypothesis(text, total, line_confidence(characters, scores, self.alphabet.blank),
                           characters, word_spans(characters), total)]


def _single_spaces(runs, alphabet):
    """Leave out outer and repeated spaces, as pyctcdecode does."""
    if " " not in alphabet:
        return runs
    [space] = alphabet.indices(" ")
    kept = []
    for run in runs:
        if run[0] != space or (kept and kept[-1][0] != space):
            kept.append(run)
    if kept and kept[-1][0] == space:
        kept.pop()
    return kept
