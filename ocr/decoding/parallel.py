"""Decoding lines in several processes that share one language model."""

import itertools
import multiprocessing
import threading
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from lm.base.cores import available_cores
from lm.base.errors import ConfigError
from lm.base.settings import Range, Settings

from ..text.ctc import log_softmax
from .base import Decoder
from .spans import spanned

__all__ = ["Bonus", "LogProbability", "ParallelDecoder", "SearchConfig", "Weight",
           "merge_blanks"]

#: Work of worker processes, inherited by fork: the language model is never copied. One entry
#: a call, whichever thread or decoder it is of.
_INHERITED: dict[int, Any] = {}
_CALLS = itertools.count()
#: Held while worker processes run: calls of other threads decode in their own.
_POOL = threading.Lock()

#: Fewer lines a worker than this are not worth starting it.
_LINES_PER_WORKER = 4


#: Bounds of what several searches can be set to.
LogProbability = Annotated[float, Range(most=0)]
Weight = Annotated[float, Range(0, 1000)]
Bonus = Annotated[float, Range(-1000, 1000)]


@dataclass(frozen=True)
class SearchConfig(Settings):
    """Settings that every beam search has.

    Attributes
    ----------
    beam_width : int
        Prefixes kept after each frame.
    beam_prune_logp : float
        Prefixes this much worse than the best are dropped (natural log).
    token_min_logp : float
        Characters less likely than this in a frame are not tried there (natural log).
    merge_blanks : float
        Runs of frames whose blank is more probable than this are searched as one; 1 for
        none. Which hypothesis wins hardly ever depends on it, the time does.
    hotwords : tuple of str
        Words to be preferred, each without spaces.
    hotword_weight : float
        Their bonus (natural log).
    workers : int
        Processes that decode; 0 for one a core.
    """

    beam_width: Annotated[int, Range(1, 100_000)] = 50
    beam_prune_logp: LogProbability = -10.0
    token_min_logp: LogProbability = -5.0
    merge_blanks: Annotated[float, Range(0.5, 1)] = 0.998
    hotwords: tuple[str, ...] = ()
    hotword_weight: Bonus = 5.0
    workers: Annotated[int, Range(0, 1024)] = 0

    def __post_init__(self):
        super().__post_init__()
        for word in self.hotwords:
            if not word or word.split() != [word]:
                raise ConfigError(f"decoder: the hotword {word!r} is not one word")


class ParallelDecoder(Decoder):
    """A decoder whose lines are shared out to `config.workers` processes.

    Subclasses search, in `_readings`; what they find is aligned here, many lines at once. Their
    `config_class` has `SearchConfig` for a base.
    """

    config_class = SearchConfig
    #: Lines that are searched in one go.
    side_by_side = 1

    def _decode_lines(self, lines, n_best):
        workers = min(self.config.workers or available_cores(),
                      len(lines) // max(_LINES_PER_WORKER, self.side_by_side // 4))
        if workers <= 1 or "fork" not in multiprocessing.get_all_start_methods() \
                or not _POOL.acquire(blocking=False):
            return self._decode_here(lines, n_best)
        call = next(_CALLS)
        try:
            _INHERITED[call] = (self, lines, n_best)
            # Children inherit decoder, model and logits; only line numbers and results travel.
            step = max(-(-len(lines) // (8 * workers)),
                       min(self.side_by_side, -(-len(lines) // workers)))
            parts = [(call, begin, begin + step) for begin in range(0, len(lines), step)]
            with multiprocessing.get_context("fork").Pool(workers) as pool:
                return sum(pool.map(_decode_inherited, parts, chunksize=1), [])
        finally:
            _INHERITED.pop(call, None)
            _POOL.release()

    def _decode_here(self, lines, n_best):
        scores = [log_softmax(np.asarray(line)) if len(line) else line for line in lines]
        # A line without frames is empty, for certain.
        found = iter(self._all_readings([line for line in scores if len(line)], n_best))
        readings = [next(found) if len(line) else [("", 0.0, 0.0)] for line in scores]
        return spanned(readings, scores, self.alphabet)

    def _all_readings(self, lines, n_best):
        """Search lines of one frame or more; `_readings` of each."""
        return [self._readings(line, n_best) for line in lines]

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
    call, begin, end = part
    decoder, lines, n_best = _INHERITED[call]
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
