"""The data sets and the alphabet that an experiment's settings name (no MXNet needed)."""

import dataclasses
import typing
from collections.abc import Sequence

import numpy as np

from lm.base.errors import ConfigError
from lm.denoising import k_fold_indices
from lm.normalisation import Normaliser

from ..checkpoints.checkpoint import load_checkpoint
from ..checkpoints.settings import DataConfig
from ..data import open_dataset
from ..data.base import LineDataset
from ..data.sources import DATASETS
from ..text.alphabet import PRESETS, Alphabet

__all__ = ["Labels", "open_split", "make_alphabet", "DEFAULT_SPLITS"]

#: What a source's `split` option is where the settings do not say. Of sources that annotate it
#: as one of the three names it is that name.
DEFAULT_SPLITS = {
    "synthetic": {"train": "train", "validation": "validation1", "test": "test"},
    "iam": {"train": "official/train", "validation": "official/validation1",
            "test": "official/test"},
    "hdf5": {"train": "train", "validation": "validation", "test": "test"},
}


def open_split(data: DataConfig, split: str) -> LineDataset:
    """Open a split of an experiment.

    Parameters
    ----------
    data : DataConfig
    split : {"train", "validation", "test"}

    Returns
    -------
    LineDataset
        Its transcripts normalised by `data`'s rules; synthetic lines are drawn from these. A
        line whose transcript is empty then is left out and reported.

    Raises
    ------
    UnknownNameError, ConfigError, DataError
        As `ocr.data.open_dataset`.
    """
    share = data.validation_share if split != "test" else 0
    opened = "train" if share else split
    options = {**data.options, **getattr(data, opened)}
    if data.source in DEFAULT_SPLITS:
        options.setdefault("split", DEFAULT_SPLITS[data.source][opened])
    elif opened in typing.get_args(
            typing.get_type_hints(DATASETS.get(data.source)).get("split")):
        options.setdefault("split", opened)
    dataset = _normalise(open_dataset(data.source, **options), data.normalise)
    return _part(dataset, share, split) if share else dataset


def _part(dataset, share, split):
    """The training lines that are held out, or those that are not: the same each time."""
    folds = round(1 / share)
    if len(dataset) < folds:
        raise ConfigError(f"data.validation_share is {share}, and there are {len(dataset)} lines")
    writers = [sample.writer for sample in dataset.samples]
    known = all(writers) and len(set(writers)) >= folds
    held_out = k_fold_indices(len(dataset), folds, writers if known else None)[0]
    if split == "train":
        held_out = np.setdiff1d(np.arange(len(dataset)), held_out)
    part = dataset.subset(held_out.tolist(), split)
    part.report = dataset.report
    return part


def _normalise(dataset, rules):
    if not rules:
        return dataset
    normaliser = Normaliser(rules)
    samples, dataset.samples = dataset.samples, []
    for sample in samples:
        text = normaliser(sample.text)
        if text.strip():
            dataset.samples.append(dataclasses.replace(sample, text=text))
        else:
            dataset.report.add(sample.id, "empty transcript",
                               f"{sample.text!r} once normalised ({', '.join(rules)})")
    return dataset


def make_alphabet(setting: str, dataset: LineDataset) -> Alphabet:
    """Return the alphabet of an experiment's `alphabet` setting.

    Parameters
    ----------
    setting : str
        "data" (the characters of `dataset`), a preset, a file of characters, or a checkpoint
        (``.ckpt``), whose alphabet it is then. With ``+data`` behind it the alphabet grows by the
        characters of `dataset` that it lacks; those it has keep their places.
    dataset : LineDataset
        Training lines.
    """
    if setting.endswith("+data"):
        known = make_alphabet(setting[:-5], dataset)
        found = Alphabet.from_texts(dataset.texts()).characters
        return Alphabet(known.characters + tuple(c for c in found if c not in known),
                        known.replacement)
    if setting == "data":
        return Alphabet.from_texts(dataset.texts())
    if setting in PRESETS:
        return Alphabet.preset(setting)
    if setting.endswith(".ckpt"):
        return load_checkpoint(setting).alphabet
    return Alphabet.from_file(setting)


class Labels(Sequence):
    """The encoded transcripts of samples, each made when it is asked for."""

    def __init__(self, alphabet, samples):
        self._alphabet, self._samples = alphabet, samples

    def __len__(self):
        return len(self._samples)

    def __getitem__(self, index):
        return self._alphabet.encode(self._samples[index].text)
