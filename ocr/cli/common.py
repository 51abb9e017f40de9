"""What the subcommands share: options, config files, error handling."""

import argparse
import os
import sys

from ..config import apply_overrides, from_mapping, read_yaml
from ..exceptions import CheckpointError, ConfigError

__all__ = ["add_config", "experiment_config", "add_checkpoint", "merge_yaml", "say"]


def say(text):
    """Print progress to standard error, so that results alone go to standard output."""
    print(text, file=sys.stderr, flush=True)


def add_config(parser, required=False):
    """Add ``--config FILE`` and ``key=value`` overrides."""
    parser.add_argument("--config", metavar="YAML", required=required,
                        help="settings; see experiments/*.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key=value",
                        help="settings that go before the file's, e.g. training.epochs=5")


def add_checkpoint(parser):
    """Add ``--checkpoint`` and ``--device``."""
    parser.add_argument("--checkpoint", required=True, metavar="FILE",
                        help="file written by ocr train")
    parser.add_argument("--device", default="auto", help="auto, cpu, gpu or gpu:N")
    parser.add_argument("--batch-size", type=positive, default=16, metavar="N")


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
    from ..training import ExperimentConfig

    mapping = dict(base or {})
    if arguments.config:
        mapping.update(read_yaml(arguments.config))
    return from_mapping(ExperimentConfig, apply_overrides(mapping, arguments.overrides))


def checkpoint_config(arguments, recogniser):
    """Return the recogniser's settings with the command's overrides (data paths, usually)."""
    from ..config import to_mapping

    return experiment_config(arguments, to_mapping(recogniser.config))


def merge_yaml(parser, arguments, argv):
    """Fill options from ``--config`` that the command line does not give.

    Keys are option names with underscores; `ConfigError` lists the known ones.
    """
    if not getattr(arguments, "config", None):
        return arguments
    settings = read_yaml(arguments.config)
    actions = {a.dest: a for a in parser._actions if a.dest not in ("help", "config")}
    for key in settings:
        if key not in actions:
            raise ConfigError(f"{arguments.config}: unknown setting {key!r}; "
                              f"known: {', '.join(sorted(actions))}")
    parser.set_defaults(**settings)
    for key in settings:
        actions[key].required = False
    return parser.parse_args(argv)


def beside(checkpoint, name):
    """Return the path of the file `name` in a checkpoint's folder."""
    return os.path.join(os.path.dirname(os.path.abspath(checkpoint)), name)


def require_file(path):
    """Raise `CheckpointError` when `path` is no file: before slow imports are paid for."""
    if not os.path.isfile(path):
        raise CheckpointError(f"{path}: no such checkpoint")
