"""What a training starts from: the weights of another, those of a run that goes on."""

import os
from collections.abc import Callable, Sequence
from typing import Any

from lm.base.errors import CheckpointError, TrainingError
from lm.base.settings import from_mapping, to_mapping

from ..base.backend import gluon, nn
from ..checkpoints.checkpoint import Checkpoint, load_checkpoint
from ..checkpoints.settings import ExperimentConfig
from ..models.summary import layers_of
from ..models.weights import load_weights, weights_of
from ..text.alphabet import Alphabet

__all__ = ["FREE_ON_RESUME", "check_same", "freeze", "refuse_existing", "transfer"]

#: Settings that may change between a run and its resumption: they do not shape its numbers.
FREE_ON_RESUME = {("output",), ("training", "device"), ("training", "workers"),
                  ("training", "checkpoint_minutes"), ("training", "log_images"),
                  ("training", "keep_epochs"), ("model", "pretrained_required"),
                  ("data", "cache")}


def refuse_existing(*paths: str) -> None:
    """Raise `TrainingError` where a new run would replace a checkpoint."""
    for path in paths:
        if os.path.exists(path):
            raise TrainingError(f"{path} is there already: resume it, or choose another output "
                                "folder")


def check_same(stored: Checkpoint, config: ExperimentConfig, alphabet: Alphabet,
               path: str) -> None:
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


def transfer(net: gluon.Block, path: str, alphabet: Alphabet, say: Callable[[str], Any],
             partial: bool = False) -> None:
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


def _fix_statistics(block):
    if isinstance(block, nn.BatchNorm):
        block._kwargs["use_global_stats"] = True


def freeze(net: gluon.Block, names: Sequence[str]) -> None:
    """Take the weights of layers, by name, out of the training."""
    layers = dict(layers_of(net))
    if unknown := [name for name in names if name not in layers]:
        raise TrainingError(f"freeze: no layer {', '.join(unknown)}; "
                            f"known: {', '.join(sorted(layers))}")
    for name in names:
        layers[name].collect_params().setattr("grad_req", "null")
        layers[name].apply(_fix_statistics)
    if all(parameter.grad_req == "null" for parameter in net.collect_params().values()):
        raise TrainingError("freeze: nothing is left to train")
