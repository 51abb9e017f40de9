"""Training a denoiser: real pairs first, then also clean text with the same noise."""

import os
import time

import numpy as np

from lm.base.errors import CheckpointError, DataError, TrainingError
from lm.base.files import write_json
from lm.base.settings import to_mapping
from lm.base.signals import Interrupted, collect_signals

from ..checkpoints.checkpoint import Checkpoint, save_checkpoint

__all__ = ["DenoiserTrainer", "train_denoiser"]

#: Batches that are made together and sorted by length.
_POOL = 16
#: May change between a run and its resumption.
_FREE = {"output", "device", "minutes", "validate_every"}


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
        from ..base.backend import devices, gluon, mx
        from ..checkpoints.settings import TrainingConfig
        from ..correction.denoiser import Denoiser, build_network, denoiser_alphabet, load_denoiser
        from ..models.weights import load_weights
        from ..training.optimiser import Optimiser, WeightAverage
        from ..training.start import refuse_existing

        self.config, self.say = config, say
        last, stored = self.path("last"), None
        if resume:
            stored, before = load_denoiser(last)
            changed = sorted(k for k, v in vars(config).items()
                             if k not in _FREE and v != getattr(before, k))
            if changed:
                raise CheckpointError(f"{last}: cannot resume, the settings differ: "
                                      f"{', '.join(changed)}")
        else:
            refuse_existing(last, self.path("best"))
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
        from lm.noise import NoiseModel

        from ..models.denoiser import frame_count
        from .data import CleanText, Examples

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
        from ..models.weights import weights_of

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
        from ..base.backend import autograd, mx, nd
        from ..models.denoiser import collate_readings
        from ..training.optimiser import learning_rate_at

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
        from ..text.metrics import TextMetric

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
