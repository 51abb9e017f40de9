"""Decoding lines in several processes that share one language model."""

import multiprocessing

import numpy as np

from ..cores import available_cores
from .base import Decoder, log_softmax

__all__ = ["ParallelDecoder", "merge_blanks"]

#: Decoders of worker processes, inherited by fork: the language model is never copied.
_INHERITED = {}

#: Fewer lines a process than this are not worth starting it.
_LINES_PER_WORKER = 4


class ParallelDecoder(Decoder):
    """A decoder whose lines are shared out to `config.workers` processes."""

    def _decode_lines(self, lines, n_best):
        workers = min(self.config.workers or available_cores(), len(lines) // _LINES_PER_WORKER)
        if workers <= 1 or "fork" not in multiprocessing.get_all_start_methods():
            return super()._decode_lines(lines, n_best)
        key = id(self)
        _INHERITED[key] = (self, lines, n_best)
        try:
            # Children inherit decoder, model and logits; only line numbers and results travel.
            with multiprocessing.get_context("fork").Pool(workers) as pool:
                chunk = max(1, len(lines) // (8 * workers))
                return pool.map(_decode_inherited, [(key, i) for i in range(len(lines))], chunk)
        finally:
            del _INHERITED[key]


def _decode_inherited(task):
    key, index = task
    decoder, lines, n_best = _INHERITED[key]
    return decoder._decode_one(np.asarray(lines[index]), n_best)


def merge_blanks(logits, blank, threshold):
    """Drop frames that a search can do without: all but the first of each run of sure blanks.

    A further blank after a blank changes no prefix; it only multiplies every path by the
    blank's probability. Most frames of a trained network are such.

    Parameters
    ----------
    logits : numpy.ndarray
        (T, C).
    blank : int
    threshold : float
        Posterior above which a blank counts as sure; 1 drops nothing.

    Returns
    -------
    scores : numpy.ndarray
        Log-softmax of all frames, (T, C).
    kept : numpy.ndarray
        (T', C), the frames to search, T' <= T.
    dropped : float
        Sum of the dropped frames' blank log probabilities.
    """
    scores = log_softmax(logits)
    if threshold >= 1:
        return scores, scores, 0.0
    sure = scores[:, blank] > np.log(threshold)
    drop = sure & np.concatenate(([False], sure[:-1]))
    return scores, scores[~drop], float(scores[drop, blank].sum())
