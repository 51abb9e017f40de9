"""Choosing a decoder's and its correctors' settings together, on validation lines."""

import dataclasses
import time
from dataclasses import dataclass, field

import numpy as np

from lm.base.errors import ConfigError

from ..decoding import DECODERS
from ..text.metrics import TextMetric
from .base import CORRECTORS
from .pipeline import PipelineConfig, build_pipeline

__all__ = ["TuneResult", "tune"]

METRICS = ("cer", "wer", "cer+wer")

#: A search takes about so many trials; flat logits (a poor network) decode so slowly that
#: fewer lines must do, but not fewer than this.
_USUAL_TRIALS = 80
_FEWEST_LINES = 30

#: Lines whose decoding is timed: enough that starting processes weighs little.
_SAMPLE = 64

#: Steps of the finer search, as shares of each setting's own.
_SCALES = (1.0, 0.5, 0.25)

#: Points of CER and WER (as shares) that a faster search may lose.
_NEGLIGIBLE = 5e-4


@dataclass(frozen=True)
class TuneResult:
    """What tuning chose.

    Attributes
    ----------
    config : PipelineConfig
        The best that was tried of this decoder and these correctors.
    helps : bool
        Whether it reads these lines better than plain greedy decoding: with fewer errors by the
        metric, and no more in either rate.
    cer, wer : float
        Of the chosen settings, corpus-level, on the lines tuned on.
    greedy_cer, greedy_wer : float
        Of best-path decoding on the same lines.
    lines_per_second : float
        Of decoder and correctors alone.
    metric : str
    lines : int
    minutes : float
    trials : list of dict
        Every setting tried, with its scores.
    """

    config: PipelineConfig
    helps: bool
    cer: float
    wer: float
    greedy_cer: float
    greedy_wer: float
    lines_per_second: float
    metric: str
    lines: int
    minutes: float
    trials: list = field(default_factory=list)


@dataclass(frozen=True)
class _Parameter:
    """One setting of one stage: 0 is the decoder, 1, 2, ... the correctors."""

    stage: int
    name: str
    values: tuple
    step: float
    low: float
    high: float

    def read(self, config):
        return getattr(config.stages[self.stage].settings, self.name)

    def write(self, config, value):
        value = round(min(max(value, self.low), self.high), 4)
        if isinstance(self.read(config), int):
            value = round(value)
        return config.changed(self.stage, **{self.name: value})


def _parameters(config):
    """List what can be tuned in a pipeline, in the order it is best tuned in."""
    registries = (DECODERS, *[CORRECTORS] * len(config.correctors))
    return [_Parameter(number, name, *what)
            for number, (registry, stage) in enumerate(zip(registries, config.stages))
            for name, what in registry.get(stage.name).tunable_of(stage.settings).items()]


def _rates(texts, readings):
    """Corpus-level (CER, WER); words are split at whitespace. 0 for texts without a character."""
    metric = TextMetric()
    metric.update_many(texts, readings)
    edits, characters, word_edits, words, _ = metric.line_counts().sum(axis=0).tolist()
    return edits / max(characters, 1), word_edits / max(words, 1)


def _objective(cer, wer, metric):
    # Both count alike in "cer+wer": word errors are about four times as frequent.
    return {"cer": cer, "wer": wer, "cer+wer": cer + wer / 4}[metric]


def tune(logits, texts, alphabet, config, metric="cer+wer", budget_minutes=10.0, max_lines=None,
         seed=1, base=None, progress=True):
    """Choose the weights of decoder and correctors, beam width and pruning.

    Each weight is tried over its whole range in turn (zero among its values), then all of them
    around the best with steps that halve; then wider beams and looser pruning, of which the
    fastest within 0.05 points of the best in CER and WER is taken; then the weights once more.
    Of what reads these lines no worse than plain greedy decoding, in CER and in WER, the best is
    chosen; `TuneResult.helps` tells whether it is worth having.

    Parameters
    ----------
    logits : sequence of numpy.ndarray
        (T_i, C) for each line, of validation data: never of the test split.
    texts : sequence of str
        Their truths.
    alphabet : Alphabet
    config : PipelineConfig, Stage or str
        What to start from; see `PipelineConfig.of`.
    metric : {"cer", "wer", "cer+wer"}
        To minimise; "cer+wer" is CER + WER / 4.
    budget_minutes : float
        The search stops after this; what was best until then is returned. Where decoding is too
        slow for it, a random sample of the lines is tuned on.
    max_lines : int, optional
        Tune on a random sample of so many lines.
    seed : int
    base : str, optional
        Folder that relative paths start from.
    progress : bool

    Returns
    -------
    TuneResult
    """
    from tqdm import tqdm

    config = PipelineConfig.of(config)
    if metric not in METRICS:
        raise ConfigError(f"unknown metric {metric!r}; known: {', '.join(METRICS)}")
    if len(logits) != len(texts) or not len(texts):
        raise ConfigError(f"{len(logits)} lines of logits for {len(texts)} texts to tune on")
    if not 0 < budget_minutes < float("inf"):
        raise ConfigError(f"the budget must be a positive number of minutes, not {budget_minutes}")
    if max_lines is not None and max_lines < 1:
        raise ConfigError(f"max_lines must be at least 1, not {max_lines}")
    if config.name == "greedy":
        raise ConfigError("the decoder greedy has nothing to tune")
    config = dataclasses.replace(config, calibration=None)
    began = time.monotonic()
    pipeline = build_pipeline(config, alphabet, base)
    order = np.random.default_rng(seed).permutation(len(texts))
    affordable = _affordable_lines(pipeline, [logits[i] for i in order[:_SAMPLE]], budget_minutes)
    chosen = np.sort(order[:min(max_lines or len(texts), affordable)])
    logits, texts = [logits[i] for i in chosen], [texts[i] for i in chosen]
    greedy = _greedy_trial(logits, texts, alphabet, metric)
    with tqdm(desc="tuning", unit="trial", disable=None if progress else True) as bar:
        search = _Search(pipeline, logits, texts, metric, bar,
                         lambda: time.monotonic() - began > 60 * budget_minutes)
        best = search.run(config)
    # One rate must not be bought with the other.
    harmless = [t for t in search.trials
                if t["cer"] <= greedy["cer"] and t["wer"] <= greedy["wer"]]
    if best not in harmless and harmless:
        best = min(harmless, key=lambda t: t["objective"])
    return TuneResult(best["config"],
                      best in harmless and best["objective"] < greedy["objective"],
                      best["cer"], best["wer"], greedy["cer"], greedy["wer"],
                      best["lines_per_second"], metric, len(texts),
                      (time.monotonic() - began) / 60,
                      [{**t, "config": t["config"].to_dict()} for t in [greedy, *search.trials]])


def _greedy_trial(logits, texts, alphabet, metric):
    config = PipelineConfig()
    began = time.monotonic()
    readings = [line[0].text for line in build_pipeline(config, alphabet).decode(logits)]
    seconds = time.monotonic() - began
    return _trial(config, texts, readings, metric, seconds)


def _trial(config, texts, readings, metric, seconds):
    cer, wer = _rates(texts, readings)
    return {"config": config, "cer": cer, "wer": wer, "objective": _objective(cer, wer, metric),
            "lines_per_second": len(texts) / max(seconds, 1e-9)}


def _affordable_lines(pipeline, sample, budget_minutes):
    """How many lines leave room for the usual number of trials within the budget."""
    began = time.monotonic()
    pipeline.decode(sample, n_best=1)
    each = (time.monotonic() - began) / len(sample)
    return max(_FEWEST_LINES, int(60 * budget_minutes / (_USUAL_TRIALS * max(each, 1e-9))))


class _Search:
    """Trials over the same lines; the decoder is run anew only when its settings change."""

    def __init__(self, pipeline, logits, texts, metric, bar, spent):
        self.pipeline, self.logits, self.texts = pipeline, logits, texts
        self.metric, self.bar, self.spent = metric, bar, spent
        self.trials, self._done, self._decoded = [], {}, (None, None, 0.0)

    def attempt(self, config):
        """Score a setting, once."""
        key = repr(config)
        if key in self._done:
            return self._done[key]
        self.pipeline.reconfigure(config)
        began = time.monotonic()
        if self._decoded[0] != (config.decoder, self.pipeline.n_best):
            lines = self.pipeline.decoder.decode(self.logits, n_best=self.pipeline.n_best)
            self._decoded = ((config.decoder, self.pipeline.n_best), lines,
                             time.monotonic() - began)
        corrected = time.monotonic()
        readings = [line[0].text for line in self.pipeline.correct(self._decoded[1])]
        seconds = self._decoded[2] + time.monotonic() - corrected
        trial = self._done[key] = _trial(config, self.texts, readings, self.metric, seconds)
        self.trials.append(trial)
        self.bar.update()
        self.bar.set_postfix(best=f"{min(t['objective'] for t in self.trials):.4f}")
        return trial

    def run(self, config):
        """Search; returns the chosen trial."""
        # A narrow beam ranks the weights as a wide one does, and faster.
        widest = getattr(config.decoder.settings, "beam_width", None)
        narrow = config if widest is None else config.changed(beam_width=min(widest, 16))
        parameters = _parameters(config)
        zero = narrow
        for parameter in parameters:
            # Correctors do nothing as they come.
            if parameter.stage == 0:
                zero = parameter.write(zero, 0.0)
        best = min(self.attempt(narrow), self.attempt(zero), key=lambda t: t["objective"])
        best = self._sweep(parameters, best)
        for scale in _SCALES:
            best = self._steps(parameters, best, scale)
        if widest is None:
            return best
        best = self._widen(best, widest)
        return self._steps(parameters, best, _SCALES[1])

    def _sweep(self, parameters, best):
        for parameter in parameters:
            for value in parameter.values:
                if self.spent():
                    return best
                best = min(best, self.attempt(parameter.write(best["config"], value)),
                           key=lambda t: t["objective"])
        return best

    def _steps(self, parameters, best, scale):
        """Steps along each setting, either way, as long as one of them improves."""
        improved = True
        while improved:
            improved = False
            for parameter in parameters:
                for sign in (-1, 1):
                    if self.spent():
                        return best
                    at = best["config"]
                    value = parameter.read(at) + sign * scale * parameter.step
                    trial = self.attempt(parameter.write(at, value))
                    if trial["objective"] < best["objective"]:
                        best, improved = trial, True
        return best

    def _widen(self, best, widest):
        # First the width, then the pruning at the best of them.
        for settings in ([{"beam_width": width} for width in sorted({8, 16, 32, widest})],
                         [{"token_min_logp": floor} for floor in (-3.0, -5.0, -7.0, -9.0)]):
            found = [best]
            for values in settings:
                if self.spent():
                    break
                found.append(self.attempt(best["config"].changed(**values)))
            top = min(found, key=lambda t: t["objective"])
            near = [t for t in found if t["cer"] <= top["cer"] + _NEGLIGIBLE
                    and t["wer"] <= top["wer"] + _NEGLIGIBLE]
            best = max(near, key=lambda t: t["lines_per_second"])
        return best
