"""Training a denoiser: real pairs first, then also clean text with the same noise."""

import os
import time
from dataclasses import dataclass

import numpy as np

from ocr.checkpoint import Checkpoint, save_checkpoint
from ocr.config import to_mapping
from ocr.exceptions import CheckpointError, ConfigError, DataError, TrainingError
from ocr.files import write_json
from ocr.signals import Interrupted, collect_signals

__all__ = ["DenoiserConfig", "DenoiserTrainer", "train_denoiser"]

#: Batches that are made together and sorted by length.
_POOL = 16
#: May change between a run and its resumption.
_FREE = {"output", "device", "minutes", "validate_every"}


@dataclass(frozen=True)
class DenoiserConfig:
    """How a denoiser is trained; stored in its checkpoints.

    Attributes
    ----------
    output : str
        Folder of checkpoints and history.
    pairs, validation_pairs : tuple of str
        Files that ``ocr denoise-data`` wrote.
    corpus : tuple of str
        Text files to noise; without any, the pairs' own truths are noised.
    real_steps : int
        Steps on real pairs alone, at first.
    mixed_steps : int
        Steps after that, on real pairs and noised text.
    clean_share : float
        Share of noised text in these.
    minutes : float
        Time for all of it, 0 for no limit: where the steps would take longer, both phases and
        the learning rate's schedule are shortened to fit.
    batch_size : int
    learning_rate : float
        Peak of AdamW's, after `warmup_steps`; it falls as a cosine to `final_learning_rate`
        times the peak.
    final_learning_rate : float
    warmup_steps : int
    weight_decay, clip : float
        Decay of the weights; largest global gradient norm (0 for none).
    ema : float
        Decay of the moving average of the weights, which is what is validated and kept; 0 for
        none.
    embedding, hidden, layers, upsample : int
        See `DenoiserNetwork`.
    dropout : float
    max_length : int
        Longest window of clean text, in characters. Windows are as long as the pairs' truths.
    other_share : float
        Share of the examples in which one character is made unknown, so that the network
        learns to read on around such.
    validate_every : int
        Steps between validations, each of which also writes ``last.ckpt``.
    seed : int
    device : str
        As in `ocr.backend.devices`; the first device is used.
    """

    output: str
    pairs: tuple[str, ...]
    validation_pairs: tuple[str, ...]
    corpus: tuple[str, ...] = ()
    real_steps: int = 2000
    mixed_steps: int = 6000
    clean_share: float = 0.5
    minutes: float = 0.0
    batch_size: int = 32
    learning_rate: float = 2e-3
    final_learning_rate: float = 0.02
    warmup_steps: int = 200
    weight_decay: float = 1e-4
    clip: float = 5.0
    ema: float = 0.995
    embedding: int = 64
    hidden: int = 160
    layers: int = 2
    dropout: float = 0.2
    upsample: int = 2
    max_length: int = 80
    other_share: float = 0.02
    validate_every: int = 500
    seed: int = 1
    device: str = "cpu"

    def __post_init__(self):
        for name in ("output", "pairs", "validation_pairs"):
            if not getattr(self, name):
                raise ConfigError(f"denoiser: {name} must not be empty")
        for name in ("batch_size", "embedding", "hidden", "layers", "upsample", "max_length",
                     "validate_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"denoiser: {name} must be at least 1")
        for name in ("real_steps", "mixed_steps", "minutes", "warmup_steps", "weight_decay",
                     "clip"):
            if getattr(self, name) < 0:
                raise ConfigError(f"denoiser: {name} must not be negative")
        for name in ("clean_share", "final_learning_rate", "other_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"denoiser: {name} must lie in 0..1")
        if not 0 <= self.dropout < 1 or not 0 <= self.ema < 1:
            raise ConfigError("denoiser: dropout and ema must lie in 0..1, without 1")
        if not self.learning_rate > 0 or not 0 <= self.seed < 2 ** 31:
            raise ConfigError("denoiser: learning_rate must be positive and seed in 0..2^31")
        if not self.total_steps:
            raise ConfigError("denoiser: real_steps and mixed_steps are both 0")

    @property
    def total_steps(self):
        """Steps of both phases."""
        return self.real_steps + self.mixed_steps


class DenoiserTrainer:
    """Trains one denoiser.

    Writes into ``config.output``: ``best.ckpt`` (lowest validation CER of the best path; the
    untrained network, which copies, is the first candidate), ``last.ckpt`` (all that resuming
    needs), ``history.json``, ``noise.json`` (the noise learned from the pairs) and
    ``skipped.json`` (numbers of lines left out, with reasons).

    Parameters
    ----------
    config : DenoiserConfig
    resume : bool
        Go on from ``last.ckpt``; to the same numbers as an uninterrupted run, unless `minutes`
        shortens it.
    say : callable
        Receives progress lines.
    """

    def __init__(self, config, resume=False, say=print):
        from ocr.backend import devices, gluon, mx
        from ocr.recognition import load_weights
        from ocr.training.config import TrainingConfig
        from ocr.training.optimiser import Optimiser, WeightAverage

        from .model import Denoiser, build_network, denoiser_alphabet, load_denoiser

        self.config, self.say = config, say
        last, stored = self.path("last"), None
        if resume:
            stored, before = load_denoiser(last)
            changed = sorted(k for k, v in vars(config).items()
                             if k not in _FREE and v != getattr(before, k))
            if changed:
                raise CheckpointError(f"{last}: cannot resume, the settings differ: "
                                      f"{', '.join(changed)}")
        elif os.path.exists(last):
            raise TrainingError(f"{last} is there already: resume it, or choose another output "
                                "folder")
        texts, self.validation = self._read()
        self.alphabet = denoiser_alphabet([text for pair in texts for text in pair])
        if stored is not None and stored.alphabet != self.alphabet:
            raise CheckpointError(f"{last}: cannot resume, the pairs' characters differ")
        self.context = devices(config.device)[0]
        mx.random.seed(config.seed)
        self.net = build_network(config, self.alphabet)
        self.net.initialize(mx.init.Xavier(), ctx=self.context)
        self.examples = self._examples(texts)
        self.state = {"step": 0, "seconds": 0.0, "best_cer": None, "best_step": None,
                      "drawn": 0, "next_drawn": 0, "share": 0.0, "loss_sum": 0.0, "lines": 0,
                      "train_seconds": 0.0, "history": []}
        if stored is not None:
            load_weights(self.net, stored.weights, last)
        self.net.hybridize(static_alloc=True)
        self.denoiser = Denoiser.of(self.net, self.alphabet, self.context)
        self.loss = gluon.loss.CTCLoss(layout="NTC", label_layout="NT")
        # The optimiser's settings are the recogniser's training's.
        self._training = TrainingConfig(
            optimiser="adamw", learning_rate=config.learning_rate, schedule="cosine",
            final_learning_rate=config.final_learning_rate, warmup_steps=config.warmup_steps,
            weight_decay=config.weight_decay, clip=config.clip)
        self.optimiser = Optimiser(self.net, self._training)
        self.average = WeightAverage(self.net, config.ema) if config.ema else None
        if stored is not None:
            self.state.update({k: stored.state[k] for k in self.state})
            self.examples.counts.update(stored.state["noised_counts"])
            if stored.state["updates"]:
                self.optimiser.load_state(stored.state["updates"], stored.arrays)
            if self.average:
                self.average.load_state(stored.arrays)
            self.say(f"resuming after step {self.state['step']} of {config.total_steps}")

    def path(self, name):
        """Return the path of the checkpoint "best" or "last"."""
        return os.path.join(self.config.output, f"{name}.ckpt")

    def _read(self):
        from .data import read_texts

        texts = read_texts(self.config.pairs, self.say)
        validation = read_texts(self.config.validation_pairs, self.say)
        for paths, found in ((self.config.pairs, texts),
                             (self.config.validation_pairs, validation)):
            if not any(truth for truth, _ in found):
                raise DataError(f"{', '.join(paths)}: no pair with a text")
        return texts, validation

    def _examples(self, texts):
        from .data import CleanText, Examples
        from .network import frame_count
        from .noise import NoiseModel

        config = self.config
        noise = NoiseModel.learn(texts)
        noise.save(os.path.join(config.output, "noise.json"))
        truths = [truth for truth, _ in texts if truth]
        if config.corpus:
            self._corpus = CleanText(config.corpus, self.alphabet,
                                     [min(len(t), config.max_length) for t in truths])
            clean = self._corpus.window
        else:
            self._corpus = None

            def clean(rng):
                return truths[int(rng.integers(len(truths)))]
        return Examples(texts, self.alphabet, lambda n: frame_count(n, config.upsample), noise,
                        clean, config.other_share)

    # -- state ----------------------------------------------------------------------------

    def _checkpoint(self, state, arrays=None):
        from ocr.recognition import weights_of

        return Checkpoint({"denoiser": to_mapping(self.config)}, self.alphabet,
                          weights_of(self.net), state, arrays)

    def save_last(self):
        """Write ``last.ckpt``: weights, optimiser, average, progress, settings."""
        updates, arrays = self.optimiser.state()
        if self.average:
            arrays.update(self.average.state())
        noised = {k: v for k, v in self.examples.counts.items() if k.startswith("noised")}
        save_checkpoint(self.path("last"), self._checkpoint(
            {**self.state, "updates": updates, "noised_counts": noised}, arrays))

    def skipped(self):
        """Return what was left out so far: reason -> number."""
        counts = dict(self.examples.counts)
        if self._corpus is not None and self._corpus.passed_over:
            counts["windows: characters that the pairs do not hold"] = self._corpus.passed_over
        return counts

    # -- running --------------------------------------------------------------------------

    def _progress(self, seconds):
        """The step of the schedule: the true one, or a later one where time runs short."""
        step, config = self.state["step"], self.config
        if config.minutes:
            step = max(step, int(config.total_steps * seconds / (60 * config.minutes)))
        return step

    def run(self):
        """Train to the end.

        Returns
        -------
        list of dict
            The history, one entry a validation.

        Raises
        ------
        Interrupted
            On SIGINT or SIGTERM, after ``last.ckpt`` was written.
        TrainingError
            The loss or the gradient is not finite.
        """
        from tqdm import tqdm

        config, state = self.config, self.state
        before = self._summary([reading for _, reading in self.validation])
        count = sum(int(np.prod(p.shape)) for p in self.optimiser.parameters)
        self.say(f"denoiser: {count:,} parameters, {len(self.examples.real):,} pairs, "
                 f"{len(self.alphabet)} characters; {len(self.validation):,} validation pairs, "
                 f"CER {100 * before.cer:.2f}% as they were read")
        for reason, number in self.skipped().items():
            self.say(f"left out, {reason}: {number}")
        spent, began = state["seconds"], time.monotonic()

        def seconds():
            return spent + time.monotonic() - began

        with collect_signals() as received, tqdm(
                total=config.total_steps, initial=state["step"], disable=None, leave=False,
                desc="denoiser", unit="step") as bar:
            if not state["history"]:
                self._validate()
            batches, started = None, time.monotonic()
            while self._progress(seconds()) < config.total_steps:
                if batches is None or state["step"] % _POOL == 0:
                    batches = self._pool(self._progress(seconds()), batches is None)
                self._step(batches[state["step"] % _POOL], self._progress(seconds()))
                state["seconds"] = seconds()
                bar.update()
                bar.set_postfix(loss=f"{state['loss_sum'] / state['lines']:.2f}")
                ended = self._progress(state["seconds"]) >= config.total_steps
                if received or ended or state["step"] % config.validate_every == 0:
                    state["train_seconds"] += time.monotonic() - started
                    if not received:
                        self._validate()
                        state["seconds"] = seconds()
                    self.save_last()
                    started = time.monotonic()
                if received:
                    raise Interrupted(received[0], self.path("last"))
        return state["history"]

    def _pool(self, progress, first):
        """Make the batches of the current pool; after resuming, again those it had."""
        config, state = self.config, self.state
        if state["step"] % _POOL == 0 or not first:
            state["drawn"] = state["next_drawn"]
            state["share"] = config.clean_share if progress >= config.real_steps else 0.0
        batches, state["next_drawn"] = self.examples.batches(
            config.seed, state["step"] // _POOL, state["drawn"], state["share"],
            config.batch_size, _POOL)
        return batches

    def _step(self, batch, progress):
        from ocr.backend import autograd, mx, nd
        from ocr.training.optimiser import learning_rate_at

        from .network import collate_readings

        config, state = self.config, self.state
        # Reseeding each step makes dropout a function of (seed, step): resuming is exact.
        mx.random.seed((config.seed * 1_000_003 + state["step"]) % 2 ** 31)
        tokens, places, frames = collate_readings([source for source, _ in batch],
                                                  config.upsample, self.alphabet.num_classes)
        lengths = [len(target) for _, target in batch]
        labels = np.full((len(batch), max(lengths)), -1, np.float32)
        for row, (_, target) in zip(labels, batch):
            row[:len(target)] = target
        inputs = [nd.array(a, ctx=self.context) for a in (tokens, places, frames)]
        with autograd.record():
            losses = self.loss(self.net(*inputs), nd.array(labels, ctx=self.context), inputs[2],
                               nd.array(lengths, ctx=self.context))
            mean = losses.mean()
        mean.backward()
        rate = learning_rate_at(max(state["step"], progress), config.total_steps, self._training)
        norm = self.optimiser.step(rate)
        value = float(mean.asscalar())
        if not (np.isfinite(value) and np.isfinite(norm)):
            raise TrainingError(f"the {'gradient' if np.isfinite(value) else 'loss'} is not "
                                f"finite at step {state['step'] + 1}; try a lower learning_rate")
        state["step"] += 1
        state["loss_sum"] += value * len(batch)
        state["lines"] += len(batch)
        if self.average:
            self.average.update(state["step"])

    def _summary(self, readings):
        from ocr.evaluation import TextMetric

        metric = TextMetric()
        metric.update_many([truth for truth, _ in self.validation], readings)
        return metric.summary(bootstrap=0)

    def _validate(self):
        state, config = self.state, self.config
        if self.average:
            self.average.swap()
        try:
            summary = self._summary(self.denoiser.correct([r for _, r in self.validation]))
            better = state["best_cer"] is None or summary.cer < state["best_cer"]
            if better:
                state.update(best_cer=summary.cer, best_step=state["step"])
                save_checkpoint(self.path("best"), self._checkpoint(
                    {k: state[k] for k in ("step", "best_cer")}))
        finally:
            if self.average:
                self.average.swap()
        entry = {"step": state["step"], "validation_cer": summary.cer,
                 "validation_wer": summary.wer, "seconds": round(state["seconds"], 1)}
        if state["lines"]:
            entry.update(train_loss=state["loss_sum"] / state["lines"],
                         lines_per_second=state["lines"] / max(state["train_seconds"], 1e-9))
        state.update(loss_sum=0.0, lines=0, train_seconds=0.0)
        state["history"].append(entry)
        write_json(os.path.join(config.output, "history.json"), state["history"])
        write_json(os.path.join(config.output, "skipped.json"), self.skipped())
        training = (f"loss {entry['train_loss']:.2f}, {entry['lines_per_second']:.0f} lines/s, "
                    if "train_loss" in entry else "")
        self.say(f"step {state['step']}/{config.total_steps}: {training}validation CER "
                 f"{100 * summary.cer:.2f}%, WER {100 * summary.wer:.2f}%"
                 + (" (best)" if better else ""))


def train_denoiser(config, resume=False, say=print):
    """Train a denoiser and return its history; see `DenoiserTrainer`."""
    return DenoiserTrainer(config, resume, say).run()
