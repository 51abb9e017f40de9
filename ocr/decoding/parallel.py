"""Decoding lines in several processes that share one language model."""

import multiprocessing

import numpy as np

from lm.base.cores import available_cores

from ..text.ctc import log_softmax
from .base import Decoder
from .spans import spanned

__all__ = ["ParallelDecoder", "merge_blanks"]

#: Decoders of worker processes, inherited by fork: the language model is never copied.
_INHERITED = {}

#: Fewer lines a worker than this are not worth starting it.
_LINES_PER_WORKER = 4


class ParallelDecoder(Decoder):
    """A decoder whose lines are shared out to `config.workers` processes.

    Subclasses search, in `_readings`; what they find is aligned here, many lines at once.
    """

    def _decode_lines(self, lines, n_best):
        workers = min(self.config.workers or available_cores(), len(lines) // _LINES_PER_WORKER)
        if workers <= 1 or "fork" not in multiprocessing.get_all_start_methods():
            return self._decode_here(lines, n_best)
        key = id(self)
        _INHERITED[key] = (self, lines, n_best)
        # Children inherit decoder, model and logits; only line numbers and results travel.
        step = -(-len(lines) // (8 * workers))
        parts = [(key, begin, begin + step) for begin in range(0, len(lines), step)]
        try:
            with multiprocessing.get_context("fork").Pool(workers) as pool:
                return sum(pool.map(_decode_inherited, parts, chunksize=1), [])
        finally:
            del _INHERITED[key]

    def _decode_here(self, lines, n_best):
        scores = [log_softmax(np.asarray(line)) if len(line) else line for line in lines]
        # A line without frames is empty, for certain.
        readings = [self._readings(line, n_best) if len(line) else [("", 0.0, 0.0)]
                    for line in scores]
        return spanned(readings, scores, self.alphabet)

    def _readings(self, scores, n_best):
        """Search a line of one frame or more.

        Parameters
        ----------
        scores : numpy.ndarray
            (T, C), log-softmax.
        n_best : int

        Returns
        -------
        list of (str, float, float)
            Best first: text, score, and the network's part of the score.
        """
        raise NotImplementedError


def _decode_inherited(part):
    key, begin, end = part
    decoder, lines, n_best = _INHERITED[key]
    return decoder._decode_here(lines[begin:end], n_best)


def merge_blanks(scores, blank, threshold):
    """Drop frames that a search can do without: all but the first of each run of sure blanks.

    A further blank after a blank changes no prefix; it only multiplies every path by the
    blank's probability. Most frames of a trained network are such.

    Parameters
    ----------
    scores : numpy.ndarray
        (T, C), log-softmax.
    blank : int
    threshold : float
        Posterior above which a blank counts as sure; 1 drops nothing.

    Returns
    -------
    kept : numpy.ndarray
        (T', C), the frames to search, T' <= T.
    dropped : float
        Sum of the dropped frames' blank log probabilities.
    """
    if threshold >= 1:
        return scores, 0.0
    sure = scores[:, blank] > np.log(threshold)
    drop = sure & np.concatenate(([False], sure[:-1]))
    return scores[~drop], float(scores[drop, blank].sum())
