"""Whole jobs as functions: what ``import ocr`` offers beside the parts themselves.

Settings are those of the YAML files, as keywords: ``training={"epochs": 3}`` stands for
``training.epochs: 3``.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Optional, Union

from lm.base.errors import ConfigError
from lm.base.settings import from_mapping, to_mapping
from lm.denoising import DenoisingPair

from .checkpoints.settings import DataConfig, ExperimentConfig, read_experiment
from .checkpoints.shipped import list_shipped as list_models
from .checkpoints.shipped import model_path
from .correction import PipelineConfig
from .data import open_dataset
from .data.folder import open_folder as FolderDataset
from .data.hdf5 import open_hdf5 as HDF5Dataset
from .data.iam import open_iam as IAMDataset
from .data.index_file import open_index as IndexDataset
from .data.pages import open_alto as ALTODataset
from .data.pages import open_page as PAGEDataset
from .data.table import open_table as TableDataset
from .recognition.tuned import pipeline_of, tuned_names
from .synthesis.captcha import open_captcha as CaptchaDataset
from .synthesis.synthetic import open_synthetic as SyntheticDataset

__all__ = ["ALTODataset", "CaptchaDataset", "FolderDataset", "HDF5Dataset", "IAMDataset",
           "IndexDataset", "PAGEDataset", "SyntheticDataset", "TableDataset", "denoising_pairs",
           "evaluate", "list_models", "open_dataset", "train", "tune"]

Config = Union[str, os.PathLike, Mapping, ExperimentConfig]
Decoder = Union[str, PipelineConfig]


def train(config: Config, resume: bool = False, say: Callable[[str], None] = print,
          **settings: Any) -> str:
    """Train a network; mxboard's logs are written into the folder ``logs`` of its output.

    Parameters
    ----------
    config : str, path-like, mapping or ExperimentConfig
        A recipe's name (``ocr list recipes``), a YAML file, or settings.
    resume : bool
        Go on from ``last.ckpt`` in the output folder.
    say : callable
        Receives progress lines.
    **settings
        Before those of `config`, mappings within mappings.

    Returns
    -------
    str
        The checkpoint that read the validation lines best; ``history.json`` lies beside it.

    Raises
    ------
    OCRError
        Settings or data that cannot be used.

    Examples
    --------
    >>> import ocr
    >>> ocr.train("iam", output="runs/iam", data={"options": {"root": "IAM"}})  # doctest: +SKIP
    'runs/iam/best.ckpt'
    """
    from .training.trainer import train as run

    if isinstance(config, (str, os.PathLike)):
        base = _plain(read_experiment(os.fspath(config), [f"output={settings['output']}"]
                                      if "output" in settings else []))
    else:
        base = _plain(config)
    chosen = from_mapping(ExperimentConfig, _merged(base, settings))
    run(chosen, resume, say)
    return os.path.join(chosen.output, "best.ckpt")


def evaluate(model: Union[str, os.PathLike, None] = None,
             decoders: Optional[Iterable[Decoder]] = None, split: str = "test",
             data: Union[Mapping, DataConfig, None] = None, device: str = "auto",
             batch_size: int = 16, tokenisation: str = "space"):
    """Score decoders on a split.

    Parameters
    ----------
    model : str or path-like, optional
        As for `ocr.open_model`.
    decoders : iterable of str or PipelineConfig, optional
        Names such as "beam-char+spelling", or settings as `decoder_settings` gives them; greedy
        and all that was tuned for the model by default.
    split : {"test", "validation", "train"}
    data : mapping or DataConfig, optional
        Where the lines are, over what the model was trained on.
    device : str
    batch_size : int
    tokenisation : str
        Of the WER.

    Returns
    -------
    ocr.evaluation.EvaluationReport
        ``print(report.table())``; `report.systems` has the readings.
    """
    from .evaluation.run import evaluate as run
    from .training.sources import open_split

    path, recogniser = _open(model, device)
    if decoders is None:
        decoders = dict.fromkeys(["greedy", *tuned_names(path), recogniser.pipeline.name])
    pipelines = [one if isinstance(one, PipelineConfig) else pipeline_of(path, one)
                 for one in decoders]
    dataset = open_split(_data(recogniser, data), split)
    return run(recogniser, dataset, {one.name: one for one in pipelines}, tokenisation,
               batch_size=batch_size)[0]


def tune(model: Union[str, os.PathLike], decoder: Decoder = "beam-lm",
         data: Union[Mapping, DataConfig, None] = None, budget_minutes: float = 10.0,
         metric: str = "cer+wer", max_lines: Optional[int] = None,
         output: Optional[str] = None, device: str = "auto", batch_size: int = 16,
         **settings: Any) -> PipelineConfig:
    """Choose a decoder's settings on validation lines and store them with the model.

    Parameters
    ----------
    model : str or path-like
    decoder : str or PipelineConfig
        What to start from.
    data : mapping or DataConfig, optional
        As for `evaluate`; its validation split is tuned on.
    budget_minutes, metric, max_lines
        As for `ocr.correction.tuning.tune`.
    output : str, optional
        Another file than the one beside the model, where it is found by itself.
    device : str
    batch_size : int
    **settings
        Of the decoder, such as ``lm="words"``.

    Returns
    -------
    PipelineConfig
        What was chosen.
    """
    from .evaluation.tuning import tune_model

    path, recogniser = _open(model, device)
    config = decoder if isinstance(decoder, PipelineConfig) else pipeline_of(path, decoder)
    return tune_model(recogniser, path, config.changed(**settings), _data(recogniser, data),
                      metric, budget_minutes, max_lines, output, batch_size).config


def denoising_pairs(model: Union[str, os.PathLike], split: str = "validation",
                    decoder: Decoder = "greedy", output: Optional[str] = None,
                    data: Union[Mapping, DataConfig, None] = None, n_best: int = 1,
                    device: str = "auto", batch_size: int = 16) -> list[DenoisingPair]:
    """Pair what was written in a split with what a model reads there.

    Parameters
    ----------
    model : str or path-like
    split : {"validation", "test", "train"}
        Lines that the model was trained on are read better than any others ever will be.
    decoder : str or PipelineConfig
    output : str, optional
        Folder for ``SPLIT.jsonl`` and ``SPLIT.json``.
    data : mapping or DataConfig, optional
        As for `evaluate`.
    n_best : int
        Readings a line.
    device : str
    batch_size : int

    Returns
    -------
    list of lm.denoising.DenoisingPair
    """
    from .denoising.collect import collect_split

    path, recogniser = _open(model, device)
    config = decoder if isinstance(decoder, PipelineConfig) else pipeline_of(path, decoder)
    return collect_split(recogniser, path, _data(recogniser, data), split, config, output, n_best,
                         batch_size)[0]


def _open(model, device):
    from .recognition import open_recogniser

    path = model_path(model)
    return path, open_recogniser(path, device)


def _data(recogniser, data):
    """Return a model's `DataConfig`, with changes."""
    if isinstance(data, DataConfig):
        return data
    config = from_mapping(DataConfig, _merged(_plain(recogniser.config.data), data or {}), "data")
    if not config.source:
        raise ConfigError("the model names no data: give data={'source': NAME, ...}")
    return config


def _plain(settings):
    return to_mapping(settings) if not isinstance(settings, Mapping) else settings


def _merged(base, changes):
    """Return `base` with `changes`, mappings merged; another source begins anew."""
    if "source" in changes and changes["source"] != base.get("source"):
        return dict(changes)
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(value, Mapping) \
            and isinstance(old, Mapping) else value
    return result
