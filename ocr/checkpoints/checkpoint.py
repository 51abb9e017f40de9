"""Checkpoints: one file that holds a network, its alphabet and all its settings."""

import json
import math
import os
import zipfile
from collections.abc import Sequence
from typing import Any, Optional, Union

import numpy as np

from lm.base.errors import AlphabetError, CheckpointError, DataError
from lm.base.files import atomic_path, check_regular, parse_json

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

    def __init__(self, config: dict[str, Any], alphabet: Alphabet,
                 weights: dict[str, np.ndarray], state: Optional[dict] = None,
                 arrays: Optional[dict[str, np.ndarray]] = None):
        self.config, self.alphabet, self.weights = config, alphabet, weights
        self.state, self.arrays = state or {}, arrays or {}


def save_checkpoint(path: Union[str, os.PathLike], checkpoint: Checkpoint) -> None:
    """Write a `Checkpoint` to `path`, atomically (a NumPy ``.npz`` archive, no pickles)."""
    meta = {"format": FORMAT, "config": checkpoint.config,
            "alphabet": checkpoint.alphabet.to_dict(), "state": checkpoint.state}
    arrays = {"meta": np.frombuffer(json.dumps(meta).encode(), np.uint8)}
    arrays.update({f"weights/{k}": v for k, v in checkpoint.weights.items()})
    arrays.update({f"arrays/{k}": v for k, v in checkpoint.arrays.items()})
    with atomic_path(path) as temporary:
        with open(temporary, "wb") as out:
            np.savez(out, **arrays)


def load_checkpoint(path: Union[str, os.PathLike]) -> Checkpoint:
    """Read a checkpoint.

    Raises
    ------
    CheckpointError
        Missing, cut short, damaged, not a checkpoint, or of weights that are no finite numbers;
        the message names the file.
    """
    if not os.path.exists(path):
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        check_regular(path)
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            values = {member.filename.removesuffix(".npy"): _read_array(archive, member)
                      for member in archive.infolist()}
        meta = values.pop("meta").tobytes()
    except DataError as error:
        raise CheckpointError(str(error)) from None
    except Exception as error:  # noqa: BLE001 - damage shows itself in many ways
        raise CheckpointError(f"{path}: not a checkpoint, or cut short "
                              f"({str(error) or type(error).__name__})") from None
    # A loss may have been NaN.
    meta = parse_json(meta, f"{path}: its settings", error=CheckpointError, finite=False)
    if meta.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of this library's format {FORMAT}")
    for name in ("config", "alphabet", "state"):
        if not isinstance(meta.get(name), dict):
            raise CheckpointError(f"{path}: its {name} is missing or no mapping")
    try:
        alphabet = Alphabet.from_dict(meta["alphabet"])
    except AlphabetError as error:
        raise CheckpointError(f"{path}: its alphabet: {error}") from None
    if "preprocess" in meta["config"]:
        meta["config"]["preprocess"] = stored_preprocess(meta["config"]["preprocess"])
    weights = {k[8:]: v for k, v in values.items() if k.startswith("weights/")}
    for name, value in weights.items():
        if value.dtype.kind != "f" or not np.isfinite(value).all():
            raise CheckpointError(f"{path}: {name} holds values of {value.dtype} that are no "
                                  "finite numbers")
    arrays = {k[7:]: v for k, v in values.items() if k.startswith("arrays/")}
    return Checkpoint(meta["config"], alphabet, weights, meta["state"], arrays)


def _read_array(archive, member):
    """Return an array of the archive; what its head claims is compared with its size first."""
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{member.filename} is compressed")
    with archive.open(member) as source:
        version = np.lib.format.read_magic(source)
        read_head = {(1, 0): np.lib.format.read_array_header_1_0,
                     (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, dtype = read_head(source)
        if dtype.hasobject:
            raise ValueError(f"{member.filename} holds objects")
        count = math.prod(shape)
        if count * dtype.itemsize != member.file_size - source.tell():
            raise ValueError(f"{member.filename} claims the shape {shape} and holds "
                             f"{member.file_size} bytes")
        value = np.frombuffer(bytearray(source.read()), dtype) if count else np.zeros(0, dtype)
        return value.reshape(shape, order="F" if fortran else "C")


def average_checkpoints(paths: Sequence[Union[str, os.PathLike]]) -> Checkpoint:
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
