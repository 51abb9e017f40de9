"""What the subcommands share: options, config files, error handling."""

import argparse
import os
import sys

from lm.base.errors import CheckpointError, ConfigError
from lm.base.settings import apply_overrides, from_mapping, read_yaml

__all__ = ["add_config", "experiment_config", "checkpoint_config", "add_checkpoint",
           "model_file", "options_from_yaml", "positive", "require_file", "say"]


def say(text):
    """Print progress to standard error, so that results alone go to standard output."""
    print(text, file=sys.stderr, flush=True)


def add_config(parser, required=False):
    """Add ``--config FILE`` and ``key=value`` overrides."""
    parser.add_argument("--config", metavar="YAML", required=required,
                        help="settings; see experiments/*.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key=value",
                        help="settings that go before the file's, e.g. training.epochs=5")


def add_checkpoint(parser, required=True):
    """Add ``--checkpoint``, ``--device`` and ``--batch-size``."""
    parser.add_argument("--checkpoint", "--model", required=required, metavar="FILE",
                        type=model_file,
                        help="file written by ocr train, or by ocr export (.onnx), or the name of "
                        "a model that comes with ocr"
                        + ("" if required else "; by default the model that comes with ocr"))
    parser.add_argument("--device", default="auto", help="auto, cpu, gpu or gpu:N")
    parser.add_argument("--batch-size", type=positive, default=16, metavar="N")


def model_file(text):
    """Argument type: a model's file, or the name of a shipped model."""
    if not os.path.exists(text):
        from ..checkpoints.shipped import list_shipped, model_path

        if text in list_shipped():
            return model_path(text)
    return text


def positive(text):
    """Argument type: an integer of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, not {text!r}")
    return value


def experiment_config(arguments, base=None):
    """Return the `ExperimentConfig` of ``--config`` and overrides, over the mapping `base`."""
    from ..checkpoints.settings import ExperimentConfig

    mapping = dict(base or {})
    if arguments.config:
        mapping.update(read_yaml(arguments.config))
    return from_mapping(ExperimentConfig, apply_overrides(mapping, arguments.overrides))


def checkpoint_config(arguments, recogniser):
    """Return the recogniser's settings with the command's overrides (data paths, usually)."""
    from lm.base.settings import to_mapping

    config = experiment_config(arguments, to_mapping(recogniser.config))
    if not config.data.source:
        raise ConfigError("an exported model names no data: give --config YAML, or "
                          "data.source=NAME and its options")
    return config


def options_from_yaml(parser, argv):
    """Take a subcommand's options from the YAML file of ``--config``, before it is parsed.

    Keys are option names with underscores; what the command line gives goes before.
    `ConfigError` lists the known keys.
    """
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--config")
    path = finder.parse_known_args(argv)[0].config
    if path is None:
        return
    actions = {a.dest: a for a in parser._actions if a.dest not in ("help", "config")}
    for key, value in read_yaml(path).items():
        if key not in actions:
            raise ConfigError(f"{path}: unknown setting {key!r}; "
                              f"known: {', '.join(sorted(actions))}")
        action = actions[key]
        if isinstance(value, str) and action.type is not None:
            try:
                value = action.type(value)
            except (argparse.ArgumentTypeError, ValueError) as error:
                raise ConfigError(f"{path}: {key}: {error}") from None
        if action.nargs == "+" and not isinstance(value, list):
            value = [value]
        action.default, action.required = value, False
        if action.nargs == "+":
            action.nargs = "*"


def require_file(path):
    """Raise `CheckpointError` when `path` is no file: before slow imports are paid for."""
    if not os.path.isfile(path):
        raise CheckpointError(f"{path}: no such checkpoint")
