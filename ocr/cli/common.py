"""What the subcommands share: options, settings of experiments."""

import os
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Mapping
from typing import Any, Optional

from lm.base.command import Parser
from lm.base.errors import CheckpointError, ConfigError
from lm.base.settings import to_mapping

from ..checkpoints.settings import ExperimentConfig, read_experiment

__all__ = ["add_config", "experiment_config", "checkpoint_config", "add_checkpoint",
           "model_file", "named_data", "positive", "require_file", "say"]


def say(text: object) -> None:
    """Print progress to standard error, so that results alone go to standard output."""
    print(text, file=sys.stderr, flush=True)


def add_config(parser: Parser, required: bool = False) -> None:
    """Have the command take the settings of an experiment (``--config`` and ``key=value``)."""
    parser.add_argument("--config", metavar="YAML", required=required,
                        help="settings of an experiment: a file, or a recipe of ocr list; "
                             "key=value goes before, anywhere on the line, e.g. training.epochs=5")
    parser.takes(lambda: ExperimentConfig)


def add_checkpoint(parser: Parser, required: bool = True) -> None:
    """Add ``--checkpoint``, ``--device`` and ``--batch-size``."""
    parser.add_argument("--checkpoint", "--model", required=required, metavar="FILE",
                        type=model_file,
                        help="file written by ocr train, or by ocr export (.onnx), or the name of "
                        "a model that comes with ocr"
                        + ("" if required else "; by default the model that comes with ocr"))
    parser.add_argument("--device", default="auto", help="auto, cpu, gpu or gpu:N")
    parser.add_argument("--batch-size", type=positive, default=16, metavar="N")


def model_file(text: str) -> str:
    """Argument type: a model's file, the name of a shipped model, or a folder of versions."""
    from ..checkpoints.shipped import list_shipped, model_path

    return text if os.path.isdir(text) and text not in list_shipped() else model_path(text)


def positive(text: str) -> int:
    """Argument type: an integer of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise ArgumentTypeError(f"expected a whole number of at least 1, not {text!r}")
    return value


def experiment_config(arguments: Namespace, base: Optional[Mapping] = None) -> ExperimentConfig:
    """Return the `ExperimentConfig` of ``--config`` and ``key=value``, over the mapping `base`."""
    return read_experiment(arguments.config, arguments.overrides, base)


def named_data(arguments: Namespace) -> ExperimentConfig:
    """Return the `ExperimentConfig` of a command that takes no more of it than the data."""
    if not arguments.config and not any(o.startswith("data.source=") for o in arguments.overrides):
        raise ConfigError("name the data: --config YAML, or data.source=NAME and its options")
    # Nothing is trained, so there need be no output.
    return experiment_config(arguments, {"output": "none"})


def checkpoint_config(arguments: Namespace, recogniser: Any) -> ExperimentConfig:
    """Return the recogniser's settings with the command's overrides (data paths, usually)."""
    config = experiment_config(arguments, to_mapping(recogniser.config))
    if not config.data.source:
        raise ConfigError("an exported model names no data: give --config YAML, or "
                          "data.source=NAME and its options")
    return config


def require_file(path: str) -> None:
    """Raise `CheckpointError` when `path` is no file: before slow imports are paid for."""
    if not os.path.isfile(path):
        raise CheckpointError(f"{path}: no such checkpoint")
