"""Training a line recogniser with CTC: resumable, logged, chosen on validation CER."""

import os
import shlex
import time
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np

from lm.base.errors import TrainingError
from lm.base.files import write_json, write_text
from lm.base.settings import to_mapping
from lm.base.signals import Interrupted, collect_signals

from ..base.backend import autograd, devices, mx, nd
from ..batching import PreparedLines, TrainingBatches
from ..checkpoints.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ..checkpoints.settings import ExperimentConfig
from ..data.base import LineDataset
from ..data.overlap import warn_of_shared_lines
from ..decoding import build_decoder
from ..models import build_network
from ..models.pretrained import load_pretrained
from ..models.summary import summarise
from ..models.weights import load_weights, weights_of
from ..text.alphabet import Alphabet
from .optimiser import Optimiser, WeightAverage, learning_rate_at
from .pictures import caption_line, log_text, save_curve, save_samples
from .sources import Labels, make_alphabet, open_split
from .start import check_same, freeze, refuse_existing, transfer
from .validation import ctc_loss, validate

__all__ = ["Trainer", "train"]

class Trainer:
    """Trains one network as an `ExperimentConfig` says.

    Writes into ``config.output``: ``best.ckpt`` (lowest validation CER, or loss), ``last.ckpt``
    (all that resuming needs), ``history.json``, ``curve.png``, ``samples.png`` (lines as they
    are trained on), ``summary.txt`` (the network's layers), ``skipped.json`` (lines left out,
    with reasons) and mxboard logs in ``logs``.

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

    def __init__(self, config: ExperimentConfig, train_set: LineDataset,
                 validation_set: LineDataset, alphabet: Alphabet, resume: bool = False,
                 say: Callable[[str], Any] = print):
        self.config, self.alphabet, self.say = config, alphabet, say
        settings = config.training
        self.contexts = devices(settings.device)
        stored = load_checkpoint(self.path("last")) if resume else None
        if stored is not None:
            check_same(stored, config, alphabet, self.path("last"))
        else:
            refuse_existing(self.path("last"), self.path("best"))
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
        self.loss = ctc_loss()
        self.decoder = build_decoder("greedy", alphabet)
        self.state: dict[str, Any] = {
            "epoch": 0, "batch": 0, "step": 0, "loss_sum": 0.0, "lines": 0, "seconds": 0.0,
            "plateau_scale": 1.0, "bad_validations": 0, "plateau_bad": 0, "best": None,
            "best_cer": None, "best_epoch": None, "start": None, "history": []}
        if stored is not None:
            load_weights(self.net, stored.weights, self.path("last"))
        elif settings.initial_checkpoint:
            transfer(self.net, settings.initial_checkpoint, alphabet, say,
                      settings.initial_partial)
        elif config.model.pretrained:
            load_pretrained(self.net, config.model.pretrained,
                            config.model.pretrained_required)
        if settings.freeze:
            freeze(self.net, settings.freeze)
        self._summary = summarise(self.net)
        write_text(os.path.join(config.output, "summary.txt"), self._summary + "\n")
        self.net.hybridize(static_alloc=True)
        self.optimiser = Optimiser(self.net, settings)
        self.average = (WeightAverage(self.net, settings.ema, settings.ema_warmup)
                        if settings.ema else None)
        if stored is not None:
            self._restore(stored)
        self._writer = None

    def path(self, name: str) -> str:
        """Return the path of the checkpoint "best", "last" or "epoch-NNN"."""
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
        labels = Labels(self.alphabet, prepared.dataset.samples)
        return prepared, labels if usable.stream else list(labels)

    # -- state ----------------------------------------------------------------------------

    def save_last(self) -> None:
        """Write ``last.ckpt``: weights, optimiser, average, progress, settings."""
        nd.waitall()
        updates, arrays = self.optimiser.state()
        if self.average:
            arrays.update(self.average.state())
        save_checkpoint(self.path("last"), Checkpoint(
            to_mapping(self.config), self.alphabet, weights_of(self.net),
            {**self.state, "updates": updates}, arrays))

    def _save_weights(self, name):
        kept = {k: self.state[k] for k in ("epoch", "step", "best_cer")}
        save_checkpoint(self.path(name), Checkpoint(
            to_mapping(self.config), self.alphabet, weights_of(self.net), kept))

    def _restore(self, stored):
        # Older checkpoints know fewer figures; their best was always the CER's.
        self.state.update(best=stored.state["best_cer"])
        self.state.update({k: stored.state[k] for k in self.state if k in stored.state})
        if stored.state["updates"]:
            self.optimiser.load_state(stored.state["updates"], stored.arrays)
        if self.average:
            self.average.load_state(stored.arrays)
        self.say(f"resuming at epoch {self.state['epoch'] + 1}, "
                 f"batch {self.state['batch'] + 1} of {len(self.batches)}")

    # -- running --------------------------------------------------------------------------

    def run(self) -> list[dict]:
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
        logs = os.path.join(self.config.output, "logs")
        self.say(f"to watch: tensorboard --logdir {shlex.quote(logs)}")
        with collect_signals() as received, SummaryWriter(
                logs, flush_secs=10, verbose=False) as self._writer:
            self._saved = time.monotonic()
            if not self.state["step"]:
                self._show_start()
            while self.state["epoch"] < settings.epochs and not self._exhausted():
                self._epoch(received)
        return self.state["history"]

    def _show_start(self):
        """Show what is trained on and, going on from another network, what that one reads."""
        settings, output = self.config.training, self.config.output
        log_text(self._writer, "network", self._summary)
        if some := [int(i) for i in self.batches.usable[:settings.log_images]]:
            save_samples(os.path.join(output, "samples.png"),
                         [self.batches.line(0, i) for i in some],
                         [self.prepared.dataset.samples[i].text for i in some])
        if settings.initial_checkpoint:
            scores = self._read(self.validation)
            self.state["start"] = {"validation_cer": scores.cer, "validation_wer": scores.wer,
                                   "validation_loss": scores.loss}
            self._log_validation(scores, 0)
            self.say(f"before the first epoch: validation CER {100 * scores.cer:.2f}%, "
                     f"loss {scores.loss:.3f}")

    def parameter_count(self) -> int:
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
        losses, totals = [], []
        with autograd.record():
            for context, rows in zip(self.contexts, np.array_split(np.arange(len(batch)),
                                                                   len(self.contexts))):
                # A device that gets no line of a short batch computes one that does not count:
                # it needs gradients, of 0, like the others.
                part = [nd.array(array[rows if len(rows) else [0]], ctx=context) for array in (
                    batch.images, batch.widths, batch.labels, batch.label_lengths)]
                main, extra = self._losses(part)
                totals.append((main + extra).sum() * (1 if len(rows) else 0) / len(batch))
                losses += [main] if len(rows) else []
        autograd.backward(totals)
        values = np.concatenate([main.asnumpy() for main in losses])
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
        self._writer.add_scalar("loss", {"train": entry["train_loss"]}, epoch)
        self._writer.add_scalar("train/lines_per_second", entry["lines_per_second"], epoch)
        told = (f"epoch {epoch}/{settings.epochs}: loss {entry['train_loss']:.3f}, "
                f"{entry['lines_per_second']:.1f} lines/s")
        validated = epoch % settings.validate_every == 0 or epoch == settings.epochs
        if validated:
            scores = self._validate()
            entry.update(validation_cer=scores.cer, validation_wer=scores.wer,
                         validation_loss=scores.loss)
            told += (f", validation CER {100 * scores.cer:.2f}%, loss {scores.loss:.3f}"
                     + (" (best)" if state["best_epoch"] == epoch else "")
                     + f'\n  "{scores.readings[0]}" read for '
                       f'"{self.validation.dataset.samples[0].text}"')
        state["history"].append(entry)
        write_json(os.path.join(self.config.output, "history.json"), state["history"])
        if validated:
            save_curve(os.path.join(self.config.output, "curve.png"), state["history"],
                       state["start"])
        self.say(told)

    def _validate(self):
        """Read the validation lines with the averaged weights; keep them where they are best."""
        settings, state = self.config.training, self.state
        nd.waitall()
        if self.average:
            self.average.swap()
        try:
            scores = self._read(self.validation)
            value = getattr(scores, settings.monitor)
            if not np.isfinite(value):
                raise TrainingError(f"the validation lines have no {settings.monitor}: their "
                                    "transcripts are empty, or none fits the alphabet and CTC")
            if better := state["best"] is None or value < state["best"]:
                state.update(best=value, best_cer=scores.cer, best_epoch=state["epoch"],
                             bad_validations=0, plateau_bad=0)
                self._save_weights("best")
            if settings.keep_epochs:
                self._save_weights(f"epoch-{state['epoch']:03d}")
        finally:
            if self.average:
                self.average.swap()
        if not better:
            state["bad_validations"] += 1
            state["plateau_bad"] += 1
            if settings.schedule == "plateau" and state["plateau_bad"] >= settings.plateau_patience:
                state["plateau_scale"] *= settings.plateau_factor
                state["plateau_bad"] = 0
        self._log_validation(scores, state["epoch"])
        self._log_training_lines(state["epoch"])
        return scores

    def _read(self, prepared):
        settings = self.config.training
        return validate(self.net, prepared, self.decoder, self.alphabet, settings.batch_size,
                        self.contexts[0], settings.workers, max(settings.log_images, 1))

    def _log_validation(self, scores, epoch):
        write = self._writer.add_scalar
        write("loss", {"validation": scores.loss}, epoch)
        for name in ("cer", "wer", "lines_per_second"):
            write(f"validation/{name}", getattr(scores, name), epoch)
        self._log_images("validation", self.validation, scores.readings, epoch)

    def _log_training_lines(self, epoch):
        """Read a few training lines, undistorted, with the current weights."""
        if count := min(self.config.training.log_images, len(self.prepared)):
            some = self.prepared.part(0, count)
            scores = self._read(some)
            self._writer.add_scalar("train/cer_of_shown_lines", scores.cer, epoch)
            self._log_images("train", some, scores.readings, epoch)

    def _log_images(self, split, prepared, readings, epoch):
        samples = prepared.dataset.samples
        for index, reading in enumerate(readings[:self.config.training.log_images]):
            picture = np.asarray(caption_line(prepared[index], samples[index].text, reading))
            self._writer.add_image(f"{split}/line_{index}",
                                   picture.astype(np.float32).transpose(2, 0, 1)[None] / 255, epoch)


def train(config: ExperimentConfig, resume: bool = False,
          say: Callable[[str], Any] = print) -> list[dict]:
    """Open the data of an `ExperimentConfig`, train, and return the history."""
    train_set = open_split(config.data, "train")
    validation_set = open_split(config.data, "validation")
    # Those that are streamed are too many to be looked through.
    if not (resume or train_set.stream or validation_set.stream):
        warn_of_shared_lines({"training": train_set, "validation": validation_set})
    alphabet = make_alphabet(config.alphabet, train_set)
    trainer = Trainer(config, train_set, validation_set, alphabet, resume, say)
    return trainer.run()
