"""Tuned decoder settings, stored beside a checkpoint."""

import dataclasses
import json
import os

from ..exceptions import ConfigError
from ..files import write_json
from .base import DecoderConfig, resolve

__all__ = ["save_decoder", "load_decoder"]


def save_decoder(path, config, tuned=None):
    """Write settings to `path` (JSON, atomically).

    Parameters
    ----------
    path : str
    config : DecoderConfig
        The language model's path is stored relative to the file's folder.
    tuned : dict, optional
        How they were chosen: data, split, scores.
    """
    folder = os.path.dirname(os.path.abspath(path))
    if config.lm:
        config = dataclasses.replace(
            config, lm=os.path.relpath(os.path.abspath(config.lm), folder))
    write_json(path, {"decoder": config.to_dict(),
                      "tuned": tuned or {}})


def load_decoder(path):
    """Read what `save_decoder` wrote; paths come back relative to the current folder.

    Raises
    ------
    ConfigError
        Missing, not JSON, or not decoder settings; the message names the file.
    """
    try:
        with open(path, encoding="utf-8") as source:
            config = DecoderConfig.from_dict(json.load(source)["decoder"])
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not stored decoder settings ({error})") from None
    if not config.lm:
        return config
    folder = os.path.dirname(os.path.abspath(path))
    return dataclasses.replace(config, lm=os.path.normpath(resolve(config.lm, folder)))
