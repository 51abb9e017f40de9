"""Checkpoints: one file that holds a network, its alphabet and all its settings."""

import json
import os
import zipfile

import numpy as np

from lm.base.errors import CheckpointError
from lm.base.files import atomic_path, parse_json

from ..image.preprocess import stored_preprocess
from ..text.alphabet import Alphabet

__all__ = ["save_checkpoint", "load_checkpoint", "average_checkpoints", "Checkpoint", "FORMAT"]

FORMAT = "ocr-checkpoint-1"


class Checkpoint:
    """Contents of a checkpoint file.

    Attributes
    ----------
    config : dict
        The experiment's settings (see `ocr.checkpoints.settings.ExperimentConfig`).
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
        meta = values.pop("meta").tobytes()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile,
            AttributeError) as error:
        raise CheckpointError(f"{path}: not a checkpoint, or cut short ({error})") from None
    # A loss may have been NaN.
    meta = parse_json(meta, f"{path}: its settings", error=CheckpointError, finite=False)
    if meta.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of this library's format {FORMAT}")
    if "preprocess" in meta["config"]:
        meta["config"]["preprocess"] = stored_preprocess(meta["config"]["preprocess"])
    weights = {k[8:]: v for k, v in values.items() if k.startswith("weights/")}
    arrays = {k[7:]: v for k, v in values.items() if k.startswith("arrays/")}
    return Checkpoint(meta["config"], Alphabet.from_dict(meta["alphabet"]), weights,
                      meta["state"], arrays)


def average_checkpoints(paths):
    """Average the weights of several trainings of one network.

    Trainings that went on from the same weights, with other lines or another seed, mostly end
    where their mean reads better than each ("model soups", Wortsman et al. 2022): measure it on
    the validation split.

    Parameters
    ----------
    paths : list of str
        Two checkpoints or more, of networks of one shape and one alphabet.

    Returns
    -------
    Checkpoint
        With the first one's settings; ``state["averaged"]`` names all.

    Raises
    ------
    CheckpointError
        Fewer than two files, one that cannot be read, or one that is another network's.
    """
    if len(paths) < 2:
        raise CheckpointError("an average needs at least two checkpoints")
    first = load_checkpoint(paths[0])
    sums = {name: value.astype(np.float64) for name, value in first.weights.items()}
    for path in paths[1:]:
        other = load_checkpoint(path)
        if other.alphabet != first.alphabet:
            raise CheckpointError(f"{path}: its alphabet is not that of {paths[0]}")
        # Networks of one shape may differ in what their weights mean.
        for part in ("model", "preprocess"):
            if other.config.get(part) != first.config.get(part):
                raise CheckpointError(f"{path}: its settings of {part} are not those of {paths[0]}")
        for name in sorted(sums.keys() | other.weights.keys()):
            value = other.weights.get(name)
            if name not in sums or value is None or value.shape != sums[name].shape:
                raise CheckpointError(f"{path}: {name} is not as in {paths[0]}")
            sums[name] += value
    weights = {name: (total / len(paths)).astype(first.weights[name].dtype)
               for name, total in sums.items()}
    return Checkpoint(first.config, first.alphabet, weights,
                      {"averaged": [os.fspath(path) for path in paths]})
