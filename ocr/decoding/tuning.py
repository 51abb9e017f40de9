"""Choosing a decoder's settings on validation lines."""

import dataclasses
import time
from dataclasses import dataclass, field

import numpy as np
from rapidfuzz.distance import Levenshtein

from ..exceptions import ConfigError
from .base import DecoderConfig, build_decoder

__all__ = ["TuneResult", "tune"]

METRICS = ("cer", "wer", "cer+wer")

#: (alpha, beta, unk_score_offset); the first is no language model at all.
_COARSE = [(0.0, 0.0, 0.0)] + [(a, b, u) for a in (0.2, 0.5, 0.9) for b in (0.5, 1.5, 3.0)
                               for u in (0.0, -2.0, -6.0)]


#: A search takes about so many trials; flat logits (a poor network) decode so slowly that
#: fewer lines must do, but not fewer than this.
_USUAL_TRIALS = 60
_FEWEST_LINES = 30


@dataclass(frozen=True)
class TuneResult:
    """What tuning chose.

    Attributes
    ----------
    config : DecoderConfig
    cer, wer : float
        Of the chosen settings, corpus-level, on the lines tuned on.
    greedy_cer, greedy_wer : float
        Of best-path decoding on the same lines.
    lines_per_second : float
        Of the decoder alone.
    metric : str
    lines : int
    minutes : float
    trials : list of dict
        Every setting tried, with its scores.
    """

    config: DecoderConfig
    cer: float
    wer: float
    greedy_cer: float
    greedy_wer: float
    lines_per_second: float
    metric: str
    lines: int
    minutes: float
    trials: list = field(default_factory=list)


def _rates(texts, readings):
    """Corpus-level (CER, WER); words are split at whitespace."""
    characters = sum(map(len, texts))
    words = sum(len(t.split()) for t in texts)
    return (sum(map(Levenshtein.distance, texts, readings)) / max(characters, 1),
            sum(Levenshtein.distance(t.split(), r.split()) for t, r in zip(texts, readings))
            / max(words, 1))


def _objective(cer, wer, metric):
    # Both count alike in "cer+wer": word errors are about four times as frequent.
    return {"cer": cer, "wer": wer, "cer+wer": cer + wer / 4}[metric]


def tune(logits, texts, alphabet, config, metric="cer+wer", budget_minutes=10.0, max_lines=None,
         seed=1, base=None, progress=True):
    """Choose alpha, beta, the unknown-word penalty, beam width and pruning.

    First the weights on a coarse grid (no language model among them), then around the best
    with steps that halve, then a narrower and faster search among those that lose no more
    than 0.05 points of CER and WER.

    Parameters
    ----------
    logits : sequence of numpy.ndarray
        (T_i, C) for each line, of validation data: never of the test split.
    texts : sequence of str
        Their truths.
    alphabet : Alphabet
    config : DecoderConfig
        What to start from.
    metric : {"cer", "wer", "cer+wer"}
        To minimise; "cer+wer" is CER + WER / 4.
    budget_minutes : float
        The search stops after this; what was best until then is returned. Where decoding is too
        slow for it, a random sample of the lines is tuned on.
    max_lines : int, optional
        Tune on a random sample of so many lines.
    seed : int
    base : str, optional
        Folder that relative language-model paths start from.
    progress : bool

    Returns
    -------
    TuneResult
    """
    from tqdm import tqdm

    if metric not in METRICS:
        raise ConfigError(f"unknown metric {metric!r}; known: {', '.join(METRICS)}")
    if len(logits) != len(texts) or not len(texts):
        raise ConfigError(f"{len(logits)} lines of logits for {len(texts)} texts to tune on")
    if budget_minutes <= 0:
        raise ConfigError("budget_minutes must be positive")
    if config.name == "greedy":
        raise ConfigError("the decoder greedy has nothing to tune")
    began = time.monotonic()
    trials = []
    decoder = build_decoder(config, alphabet, base)
    order = np.random.default_rng(seed).permutation(len(texts))
    affordable = _affordable_lines(decoder, [logits[i] for i in order[:16]], budget_minutes)
    chosen = np.sort(order[:min(max_lines or len(texts), affordable)])
    logits, texts = [logits[i] for i in chosen], [texts[i] for i in chosen]

    with tqdm(desc="tuning", unit="trial", disable=None if progress else True) as bar:
        def spent():
            return time.monotonic() - began > 60 * budget_minutes

        def attempt(candidate):
            for trial in trials:
                if trial["config"] == candidate:
                    return trial
            decoder.config = candidate
            if candidate.name == "beam-lm":
                decoder.reweigh(candidate.alpha, candidate.beta, candidate.unk_score_offset)
            start = time.monotonic()
            readings = [h[0].text for h in decoder.decode(logits, n_best=1)]
            seconds = time.monotonic() - start
            cer, wer = _rates(texts, readings)
            trials.append({"config": candidate, "cer": cer, "wer": wer,
                           "objective": _objective(cer, wer, metric),
                           "lines_per_second": len(texts) / max(seconds, 1e-9)})
            bar.update()
            bar.set_postfix(best=f"{min(t['objective'] for t in trials):.4f}")
            return trials[-1]

        # A narrow beam ranks the weights as a wide one does, and faster.
        narrow = dataclasses.replace(config, beam_width=min(config.beam_width, 16))
        best = attempt(narrow)
        if config.name == "beam-lm":
            best = _search_weights(attempt, narrow, spent)
        best = _search_width(attempt, best, config, spent)
    greedy = build_decoder(DecoderConfig("greedy"), alphabet).decode(logits)
    greedy_cer, greedy_wer = _rates(texts, [h[0].text for h in greedy])
    return TuneResult(best["config"], best["cer"], best["wer"], greedy_cer, greedy_wer,
                      best["lines_per_second"], metric, len(texts),
                      (time.monotonic() - began) / 60,
                      [{**t, "config": t["config"].to_dict()} for t in trials])


def _affordable_lines(decoder, sample, budget_minutes):
    """How many lines leave room for the usual number of trials within the budget."""
    began = time.monotonic()
    decoder.decode(sample, n_best=1)
    each = (time.monotonic() - began) / len(sample)
    return max(_FEWEST_LINES, int(60 * budget_minutes / (_USUAL_TRIALS * max(each, 1e-9))))


def _weighed(config, weights):
    alpha, beta, unknown = weights
    return dataclasses.replace(config, alpha=max(0.0, round(alpha, 4)), beta=round(beta, 4),
                               unk_score_offset=min(0.0, round(unknown, 4)))


def _search_weights(attempt, config, spent):
    """Coarse grid, then coordinate steps that halve; returns the best trial."""
    best = attempt(_weighed(config, _COARSE[0]))
    for weights in _COARSE[1:]:
        if spent():
            return best
        best = min(best, attempt(_weighed(config, weights)), key=lambda t: t["objective"])
    steps = [0.2, 0.7, 1.5]
    for _ in range(3):
        improved = True
        while improved:
            improved = False
            for axis in range(3):
                for sign in (-1, 1):
                    if spent():
                        return best
                    at = best["config"]
                    weights = [at.alpha, at.beta, at.unk_score_offset]
                    weights[axis] += sign * steps[axis]
                    trial = attempt(_weighed(config, weights))
                    if trial["objective"] < best["objective"]:
                        best, improved = trial, True
        steps = [step / 2 for step in steps]
    return best


def _search_width(attempt, best, config, spent):
    """The fastest beam among those nearly as good as the best."""
    found = [best]
    for width in sorted({8, 16, 32, config.beam_width}):
        for floor in (-3.0, -5.0, -7.0):
            if spent():
                break
            found.append(attempt(dataclasses.replace(best["config"], beam_width=width,
                                                     token_min_logp=floor)))
    top = min(found, key=lambda t: t["objective"])
    near = [t for t in found if t["cer"] <= top["cer"] + 5e-4 and t["wer"] <= top["wer"] + 5e-4]
    return max(near, key=lambda t: t["lines_per_second"])
