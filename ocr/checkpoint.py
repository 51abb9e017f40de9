"""Checkpoints: one file that holds a network, its alphabet and all its settings."""

import json
import os
import zipfile

import numpy as np

from .data.alphabet import Alphabet
from .exceptions import CheckpointError
from .files import atomic_path

__all__ = ["save_checkpoint", "load_checkpoint", "Checkpoint", "FORMAT"]

FORMAT = "ocr-checkpoint-1"


class Checkpoint:
    """Contents of a checkpoint file.

    Attributes
    ----------
    config : dict
        The experiment's settings (see `ocr.training.config.ExperimentConfig`).
    alphabet : Alphabet
    weights : dict of str to numpy.ndarray
        The network's parameters by structural name.
    state : dict
        Progress: epoch, step, history, ...; `arrays` holds its NumPy part.
    arrays : dict of str to numpy.ndarray
        Optimiser state and the like; empty in a best checkpoint.
    """

    def __init__(self, config, alphabet, weights, state=None, arrays=None):
        self.config, self.alphabet, self.weights = config, alphabet, weights
        self.state, self.arrays = state or {}, arrays or {}


def save_checkpoint(path, checkpoint):
    """Write a `Checkpoint` to `path`, atomically (a NumPy ``.npz`` archive, no pickles)."""
    meta = {"format": FORMAT, "config": checkpoint.config,
            "alphabet": checkpoint.alphabet.to_dict(), "state": checkpoint.state}
    arrays = {"meta": np.frombuffer(json.dumps(meta).encode(), np.uint8)}
    arrays.update({f"weights/{k}": v for k, v in checkpoint.weights.items()})
    arrays.update({f"arrays/{k}": v for k, v in checkpoint.arrays.items()})
    with atomic_path(path) as temporary:
        with open(temporary, "wb") as out:
            np.savez(out, **arrays)


def load_checkpoint(path):
    """Read a checkpoint.

    Raises
    ------
    CheckpointError
        Missing, cut short, or not a checkpoint; the message names the file.
    """
    if not os.path.isfile(path):
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        with np.load(path, allow_pickle=False) as archive:
            values = {name: archive[name] for name in archive.files}
        meta = json.loads(values.pop("meta").tobytes().decode())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile,
            AttributeError) as error:
        raise CheckpointError(f"{path}: not a checkpoint, or cut short ({error})") from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of this library's format {FORMAT}")
    weights = {k[8:]: v for k, v in values.items() if k.startswith("weights/")}
    arrays = {k[7:]: v for k, v in values.items() if k.startswith("arrays/")}
    return Checkpoint(meta["config"], Alphabet.from_dict(meta["alphabet"]), weights,
                      meta["state"], arrays)
