"""Training a line recogniser with CTC: resumable, logged, chosen on validation CER."""

import os
import time
from array import array
from collections.abc import Sequence

import numpy as np

from lm.base.errors import CheckpointError, TrainingError
from lm.base.files import write_json
from lm.base.settings import from_mapping, to_mapping
from lm.base.signals import Interrupted, collect_signals

from ..base.backend import autograd, devices, gluon, mx, nd, nn
from ..batching import PreparedLines, TrainingBatches
from ..checkpoints.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ..checkpoints.settings import ExperimentConfig
from ..decoding import build_decoder
from ..models import build_network
from ..models.pretrained import load_pretrained
from ..models.weights import load_weights, weights_of
from ..recognition.network import compute_logits
from ..text.metrics import TextMetric
from .optimiser import Optimiser, WeightAverage, learning_rate_at
from .sources import make_alphabet, open_split

__all__ = ["Trainer", "train"]

#: Settings that may change between a run and its resumption: they do not shape its numbers.
FREE_ON_RESUME = {("output",), ("training", "device"), ("training", "workers"),
                  ("training", "checkpoint_minutes"), ("training", "log_images"),
                  ("data", "cache")}


class _Labels(Sequence):
    """The encoded transcripts of samples, each made when it is asked for."""

    def __init__(self, alphabet, samples):
        self._alphabet, self._samples = alphabet, samples

    def __len__(self):
        return len(self._samples)

    def __getitem__(self, index):
        return self._alphabet.encode(self._samples[index].text)


class Trainer:
    """Trains one network as an `ExperimentConfig` says.

    Writes into ``config.output``: ``best.ckpt`` (lowest validation CER), ``last.ckpt`` (all
    that resuming needs), ``history.json``, ``skipped.json`` (lines left out, with reasons)
    and mxboard logs in ``logs``.

    Parameters
    ----------
    config : ExperimentConfig
    train_set, validation_set : LineDataset
    alphabet : Alphabet
    resume : bool
        Go on from ``last.ckpt`` to the same numbers as an uninterrupted run.
    say : callable
        Receives progress lines.
    """

    def __init__(self, config, train_set, validation_set, alphabet, resume=False, say=print):
        self.config, self.alphabet, self.say = config, alphabet, say
        settings = config.training
        self.contexts = devices(settings.device)
        stored = load_checkpoint(self.path("last")) if resume else None
        if stored is not None:
            _check_same(stored, config, alphabet, self.path("last"))
        elif os.path.exists(self.path("last")):
            raise TrainingError(f"{self.path('last')} is there already: resume it, or choose "
                                "another output folder")
        mx.random.seed(settings.seed)
        np.random.seed(settings.seed % 2 ** 32)
        self.net = build_network(config, alphabet.num_classes)
        self.net.initialize(mx.init.Xavier(), ctx=self.contexts)
        self.prepared, labels = self._prepare(train_set)
        self.batches = TrainingBatches(self.prepared, labels, settings.batch_size,
                                       config.augment, settings.seed, self.net.frame_count,
                                       settings.workers)
        self.validation = PreparedLines(validation_set, config.preprocess, config.data.cache)
        if not len(self.validation):
            raise TrainingError("no validation line can be read; the best checkpoint is "
                                f"chosen on them ({self.validation.dataset.report})")
        os.makedirs(config.output, exist_ok=True)
        write_json(os.path.join(config.output, "skipped.json"),
                   {"train": self.prepared.dataset.report.to_json(),
                    "validation": self.validation.dataset.report.to_json()})
        self.total_steps = len(self.batches) * settings.epochs
        self.loss = gluon.loss.CTCLoss(layout="NTC", label_layout="NT")
        self.decoder = build_decoder("greedy", alphabet)
        self.state = {"epoch": 0, "batch": 0, "step": 0, "loss_sum": 0.0, "lines": 0,
                      "seconds": 0.0, "plateau_scale": 1.0, "bad_validations": 0,
                      "plateau_bad": 0, "best_cer": None, "best_epoch": None, "history": []}
        if stored is not None:
            load_weights(self.net, stored.weights, self.path("last"))
        elif settings.initial_checkpoint:
            _transfer(self.net, settings.initial_checkpoint, alphabet, say,
                      settings.initial_partial)
        elif config.model.pretrained:
            load_pretrained(self.net, config.model.pretrained,
                            config.model.pretrained_required)
        if settings.freeze:
            _freeze(self.net, settings.freeze)
        self.net.hybridize(static_alloc=True)
        self.optimiser = Optimiser(self.net, settings)
        self.average = (WeightAverage(self.net, settings.ema, settings.ema_warmup)
                        if settings.ema else None)
        if stored is not None:
            self._restore(stored)
        self._writer = None

    def path(self, name):
        """Return the path of the checkpoint "best" or "last"."""
        return os.path.join(self.config.output, f"{name}.ckpt")

    def _prepare(self, dataset):
        encodable = array("q")
        for index, sample in enumerate(dataset.samples):
            if unknown := self.alphabet.unknown(sample.text):
                dataset.report.add(sample.id, "outside the alphabet",
                                   " ".join(f"{c!r} (U+{ord(c):04X})" for c in unknown))
            else:
                encodable.append(index)
        usable = dataset.subset(encodable)
        usable.report = dataset.report
        prepared = PreparedLines(usable, self.config.preprocess, self.config.data.cache)
        labels = _Labels(self.alphabet, prepared.dataset.samples)
        return prepared, labels if usable.stream else list(labels)

    # -- state ----------------------------------------------------------------------------

    def save_last(self):
        """Write ``last.ckpt``: weights, optimiser, average, progress, settings."""
        nd.waitall()
        updates, arrays = self.optimiser.state()
        if self.average:
            arrays.update(self.average.state())
        save_checkpoint(self.path("last"), Checkpoint(
            to_mapping(self.config), self.alphabet, weights_of(self.net),
            {**self.state, "updates": updates}, arrays))

    def _save_best(self):
        kept = {k: self.state[k] for k in ("epoch", "step", "best_cer")}
        save_checkpoint(self.path("best"), Checkpoint(
            to_mapping(self.config), self.alphabet, weights_of(self.net), kept))

    def _restore(self, stored):
        self.state.update({k: stored.state[k] for k in self.state})
        if stored.state["updates"]:
            self.optimiser.load_state(stored.state["updates"], stored.arrays)
        if self.average:
            self.average.load_state(stored.arrays)
        self.say(f"resuming at epoch {self.state['epoch'] + 1}, "
                 f"batch {self.state['batch'] + 1} of {len(self.batches)}")

    # -- running --------------------------------------------------------------------------

    def run(self):
        """Train to the end (or to early stopping); returns the history, one dict an epoch.

        Raises
        ------
        Interrupted
            On SIGINT or SIGTERM, after ``last.ckpt`` was written.
        TrainingError
            The loss or the gradient is not finite; the message names the lines.
        """
        from mxboard import SummaryWriter

        settings = self.config.training
        self.say(f"{self.config.model.name}: {self.parameter_count():,} parameters, "
                 f"{len(self.batches.usable)} training lines, {len(self.validation)} validation "
                 f"lines, {self.alphabet.num_classes} classes, on {self.contexts}")
        for report in (self.prepared.dataset.report, self.validation.dataset.report):
            if len(report):
                self.say(f"{report} (listed in skipped.json)")
        with collect_signals() as received, SummaryWriter(
                os.path.join(self.config.output, "logs"), flush_secs=10,
                verbose=False) as self._writer:
            self._saved = time.monotonic()
            while self.state["epoch"] < settings.epochs and not self._exhausted():
                self._epoch(received)
        return self.state["history"]

    def parameter_count(self):
        """Return the number of trained parameters."""
        return sum(int(np.prod(p.shape)) for p in self.optimiser.parameters)

    def _exhausted(self):
        patience = self.config.training.patience
        return bool(patience) and self.state["bad_validations"] >= patience

    def _epoch(self, received):
        from tqdm import tqdm

        state = self.state
        began, spent = time.monotonic(), state["seconds"]
        with tqdm(total=len(self.batches), initial=state["batch"], disable=None, leave=False,
                  desc=f"epoch {state['epoch'] + 1}", unit="batch") as bar:
            for batch in self.batches.epoch(state["epoch"], state["batch"]):
                loss = self._step(batch)
                state["loss_sum"] += loss * len(batch)
                state["lines"] += len(batch)
                state["batch"] += 1
                state["seconds"] = spent + time.monotonic() - began
                bar.update()
                bar.set_postfix(loss=f"{state['loss_sum'] / state['lines']:.2f}")
                if received:
                    self._stop(received[0])
                if time.monotonic() - self._saved > 60 * self.config.training.checkpoint_minutes:
                    self.save_last()
                    self._saved = time.monotonic()
        self._finish_epoch()
        self.save_last()
        self._saved = time.monotonic()
        if received:
            self._stop(received[0])

    def _stop(self, number):
        self.save_last()
        raise Interrupted(number, self.path("last"))

    def _step(self, batch):
        settings, step = self.config.training, self.state["step"]
        # Reseeding each step makes dropout a function of (seed, step): resuming is exact.
        mx.random.seed((settings.seed * 1_000_003 + step) % 2 ** 31)
        rate = learning_rate_at(step, self.total_steps, settings, self.state["plateau_scale"])
        parts = [np.array_split(getattr(batch, name), len(self.contexts))
                 for name in ("images", "widths", "labels", "label_lengths")]
        losses = []
        with autograd.record():
            for context, part in zip(self.contexts, zip(*parts)):
                if len(part[0]):
                    losses.append(self._losses([nd.array(p, ctx=context) for p in part]))
            totals = [(main + extra).sum() / len(batch) for main, extra in losses]
        autograd.backward(totals)
        values = np.concatenate([main.asnumpy() for main, _ in losses])
        norm = float("nan")
        if np.isfinite(values).all():
            norm = self.optimiser.step(rate)
        if not np.isfinite(norm):
            self._not_finite(batch, values)
        if hasattr(self.net, "constrain"):
            self.net.constrain()
        self.state["step"] = step + 1
        if self.average:
            self.average.update(step + 1)
        if step % 20 == 0:
            self._writer.add_scalar("train/loss_batch", float(values.mean()), step)
            self._writer.add_scalar("train/learning_rate", rate, step)
            self._writer.add_scalar("train/gradient_norm", norm, step)
        return float(values.mean())

    def _losses(self, arrays):
        images, widths, labels, lengths = arrays
        logits, frames, *short = self.net(images, widths)
        main = self.loss(logits, labels, frames, lengths)
        if not short:
            return main, nd.zeros_like(main)
        extra = self.loss(short[0], labels, frames, lengths)
        return main, self.config.training.shortcut_weight * extra

    def _not_finite(self, batch, values):
        bad = [i for i, value in zip(batch.indices, values) if not np.isfinite(value)]
        what = "loss" if bad else "gradient"
        ids = ", ".join(self.prepared.dataset.samples[i].id for i in (bad or batch.indices))
        raise TrainingError(f"the {what} is not finite at epoch {self.state['epoch'] + 1}, step "
                            f"{self.state['step'] + 1}, for: {ids}; try a lower learning_rate")

    # -- after an epoch -------------------------------------------------------------------

    def _finish_epoch(self):
        settings, state = self.config.training, self.state
        epoch = state["epoch"] + 1
        entry = {"epoch": epoch, "step": state["step"],
                 "train_loss": state["loss_sum"] / max(state["lines"], 1),
                 "lines_per_second": state["lines"] / max(state["seconds"], 1e-9)}
        state.update(epoch=epoch, batch=0, loss_sum=0.0, lines=0, seconds=0.0)
        self._writer.add_scalar("train/loss", entry["train_loss"], epoch)
        self._writer.add_scalar("train/lines_per_second", entry["lines_per_second"], epoch)
        if epoch % settings.validate_every == 0 or epoch == settings.epochs:
            self._validate(entry)
        state["history"].append(entry)
        write_json(os.path.join(self.config.output, "history.json"), state["history"])
        validation = (f", validation CER {100 * entry['validation_cer']:.2f}%"
                      + (" (best)" if state["best_epoch"] == epoch else "")
                      if "validation_cer" in entry else "")
        self.say(f"epoch {epoch}/{settings.epochs}: loss {entry['train_loss']:.3f}, "
                 f"{entry['lines_per_second']:.1f} lines/s{validation}")

    def _validate(self, entry):
        settings, state = self.config.training, self.state
        nd.waitall()
        if self.average:
            self.average.swap()
        try:
            began = time.monotonic()
            logits = compute_logits(self.net, self.validation, settings.batch_size,
                                    self.contexts[0], settings.workers)
            seconds = time.monotonic() - began
            readings = [h[0].text for h in self.decoder.decode(logits)]
            metric = TextMetric()
            metric.update_many(self.validation.dataset.texts(), readings)
            summary = metric.summary(bootstrap=0)
            entry.update(validation_cer=summary.cer, validation_wer=summary.wer,
                         validation_loss=self._validation_loss(logits))
            better = state["best_cer"] is None or summary.cer < state["best_cer"]
            if better:
                state.update(best_cer=summary.cer, best_epoch=state["epoch"], bad_validations=0,
                             plateau_bad=0)
                self._save_best()
        finally:
            if self.average:
                self.average.swap()
        if not better:
            state["bad_validations"] += 1
            state["plateau_bad"] += 1
            if settings.schedule == "plateau" and state["plateau_bad"] > settings.plateau_patience:
                state["plateau_scale"] *= settings.plateau_factor
                state["plateau_bad"] = 0
        write = self._writer.add_scalar
        epoch = state["epoch"]
        write("validation/cer", summary.cer, epoch)
        write("validation/wer", summary.wer, epoch)
        write("validation/loss", entry["validation_loss"], epoch)
        write("validation/lines_per_second", len(logits) / max(seconds, 1e-9), epoch)
        self._log_images("validation", self.validation, readings, epoch)
        self._log_training_lines(epoch)

    def _validation_loss(self, logits):
        """Mean CTC loss of the validation lines that are feasible and within the alphabet."""
        from ..text.ctc import frames_needed

        losses = []
        for line, text in zip(logits, self.validation.dataset.texts()):
            label = [] if self.alphabet.unknown(text) else self.alphabet.encode(text)
            if label and frames_needed(label) <= len(line):
                losses.append(self.loss(nd.array(line[None]), nd.array([label])))
        if not losses:
            return float("nan")
        return float(nd.concat(*losses, dim=0).mean().asscalar())

    def _log_training_lines(self, epoch):
        """Read a few training lines, undistorted, with the current weights."""
        count = min(self.config.training.log_images, len(self.prepared))
        if not count:
            return
        some = self.prepared.first(count)
        logits = compute_logits(self.net, some, self.config.training.batch_size,
                                self.contexts[0], 0)
        readings = [h[0].text for h in self.decoder.decode(logits)]
        metric = TextMetric()
        metric.update_many(some.dataset.texts(), readings)
        self._writer.add_scalar("train/cer_of_shown_lines", metric.summary(bootstrap=0).cer, epoch)
        self._log_images("train", some, readings, epoch)

    def _log_images(self, split, prepared, readings, epoch):
        from .logging import caption_line

        for index in range(min(self.config.training.log_images, len(readings))):
            picture = caption_line(prepared[index], prepared.dataset.samples[index].text,
                                   readings[index])
            self._writer.add_image(f"{split}/line_{index}", picture, epoch)


def _check_same(stored, config, alphabet, path):
    """Raise `CheckpointError` when a run is resumed with settings that change its numbers."""
    def flat(value, prefix=()):
        if isinstance(value, dict):
            for key, item in value.items():
                yield from flat(item, prefix + (key,))
        else:
            yield prefix, value

    # Settings that the checkpoint is too old to hold had their defaults.
    complete = to_mapping(from_mapping(ExperimentConfig, stored.config))
    before, now = dict(flat(complete)), dict(flat(to_mapping(config)))
    changed = sorted(".".join(key) for key in before.keys() | now.keys()
                     if before.get(key) != now.get(key) and key not in FREE_ON_RESUME)
    if changed:
        raise CheckpointError(f"{path}: cannot resume, the settings differ: {', '.join(changed)}")
    if stored.alphabet != alphabet:
        raise CheckpointError(f"{path}: cannot resume, the alphabet differs")


def _transfer(net, path, alphabet, say, partial=False):
    """Start from a checkpoint's weights; output rows are matched by character."""
    source = load_checkpoint(path)
    weights, current = dict(source.weights), weights_of(net)
    shared = [c for c in alphabet.characters if c in source.alphabet]
    here = [alphabet.encode(c)[0] for c in shared] + [alphabet.blank]
    there = [source.alphabet.encode(c)[0] for c in shared] + [source.alphabet.blank]
    for name in current:
        # Output layers: one row a class. "short" is the training shortcut's.
        if (name.split(".")[0] in ("output", "short") and name in weights
                and weights[name].shape[1:] == current[name].shape[1:]):
            rows = current[name].copy()
            rows[here] = weights[name][there]
            weights[name] = rows
    taken = ""
    if partial:
        fitting = {name: value for name, value in weights.items()
                   if name in current and value.shape == current[name].shape}
        if 2 * len(fitting) < len(current):
            raise CheckpointError(f"{path}: of another kind of network, only "
                                  f"{len(fitting)} of {len(current)} weights fit")
        taken = f", {len(fitting)} of {len(current)} weights taken over"
        if anew := [name for name in current if name not in fitting]:
            taken += f", anew: {', '.join(anew)}"
        weights = {**current, **fitting}
    load_weights(net, weights, path)
    say(f"starting from {path}: {len(shared)} of {len(alphabet)} characters known there{taken}")


def _layers(block, path=""):
    """Yield the layers with weights inside a block, each after its name in checkpoints."""
    for name, child in block._children.items():
        if child.collect_params().keys():
            yield f"{path}{name}", child
            yield from _layers(child, f"{path}{name}.")


def _fix_statistics(block):
    if isinstance(block, nn.BatchNorm):
        block._kwargs["use_global_stats"] = True


def _freeze(net, names):
    """Take the weights of layers, by name, out of the training."""
    layers = dict(_layers(net))
    if unknown := [name for name in names if name not in layers]:
        raise TrainingError(f"freeze: no layer {', '.join(unknown)}; "
                            f"known: {', '.join(sorted(layers))}")
    for name in names:
        layers[name].collect_params().setattr("grad_req", "null")
        layers[name].apply(_fix_statistics)
    if all(parameter.grad_req == "null" for parameter in net.collect_params().values()):
        raise TrainingError("freeze: nothing is left to train")


def train(config, resume=False, say=print):
    """Open the data of an `ExperimentConfig`, train, and return the history."""
    train_set = open_split(config.data, "train")
    validation_set = open_split(config.data, "validation")
    alphabet = make_alphabet(config.alphabet, train_set)
    trainer = Trainer(config, train_set, validation_set, alphabet, resume, say)
    return trainer.run()
