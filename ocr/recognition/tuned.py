"""Which decoder and correctors a model file is read with: its own, or tuned beside it."""

import glob
import importlib.util
import json
import os
import re
import warnings

from lm.base.errors import CheckpointError, OCRError

from ..checkpoints.metadata import read_settings
from ..correction import CORRECTORS, PipelineConfig, Stage, load_pipeline, parse_name
from ..decoding import DECODERS, DecoderConfig
from ..decoding.base import resolve

__all__ = ["tuned_path", "tuned_names", "stored_in", "missing", "best_name", "pipeline_of",
           "stored_pipeline"]


def tuned_path(model, name):
    """Return where ``ocr tune`` stores the settings of the pipeline `name` for a model file."""
    return os.path.join(os.path.dirname(os.path.abspath(model)), f"decoder-{name}.json")


def tuned_names(model):
    """Return the names of the pipelines that were tuned for a model file."""
    pattern = tuned_path(glob.escape(model), "*")
    return sorted(re.fullmatch(r"decoder-(.*)\.json", os.path.basename(path))[1]
                  for path in glob.glob(pattern))


def stored_in(model):
    """Return the `PipelineConfig` within an exported model, None where there is none."""
    if not model.lower().endswith(".onnx"):
        return None
    return stored_pipeline(model, read_settings(model))


def missing(config):
    """Return the packages, comma-separated, without which a `PipelineConfig` cannot run here."""
    needed = [*DECODERS.get(config.decoder.name).needs(config.decoder),
              *(n for s in config.correctors for n in CORRECTORS.get(s.name).needs(s.settings))]
    return ", ".join(dict.fromkeys(
        name.replace("|", " or ") for name in needed
        if not any(importlib.util.find_spec(one) for one in name.split("|"))))


def best_name(model, otherwise="greedy"):
    """Return the pipeline that reads a model's lines best.

    Parameters
    ----------
    model : str
    otherwise : str
        Where none is stored in the file or tuned beside it.

    Returns
    -------
    str
        What is stored in the file, else the one with the best scores on the lines it was
        tuned on, or that `ocr restore` took out of a file. What is stored but cannot run here,
        for a package is missing, is passed over with a warning.
    """
    if stored := stored_in(model):
        if not (packages := missing(stored)):
            return stored.name
        warnings.warn(f"{model} reads better with its decoder {stored.name}, which needs: "
                      f"{packages}", stacklevel=2)
        return otherwise
    best, lowest = None, float("inf")
    for name in tuned_names(model):
        try:
            with open(tuned_path(model, name), encoding="utf-8") as source:
                tuned = json.load(source)["tuned"]
            score = tuned["cer"] + tuned["wer"] / 4 if tuned else float("inf")
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if best is None or score < lowest:
            best, lowest = name, score
    return best or otherwise


def pipeline_of(model, name=None):
    """Return the settings that a pipeline has for a model file.

    Parameters
    ----------
    model : str
        Of ``ocr train`` or ``ocr export``.
    name : str, optional
        Such as "greedy" or "beam-char+spelling"; `best_name` by default.

    Returns
    -------
    PipelineConfig
        As stored in the file or tuned; else the defaults, behind what was tuned for the decoder
        alone.

    Raises
    ------
    UnknownNameError
        No such decoder or corrector.
    """
    name = name or best_name(model)
    decoder, correctors = parse_name(name)
    stored = stored_in(model)
    if stored and stored.name == name:
        return stored
    if os.path.exists(tuned_path(model, name)):
        return load_pipeline(tuned_path(model, name))
    # What was tuned for the decoder alone is a better start than the defaults.
    alone = tuned_path(model, decoder)
    start = load_pipeline(alone).decoder if correctors and os.path.exists(alone) \
        else DecoderConfig(name=decoder)
    return PipelineConfig(start, tuple(Stage.of(corrector) for corrector in correctors))


def stored_pipeline(path, settings):
    """Return the decoder settings that a model brings along.

    Parameters
    ----------
    path : str
        The model; files that the settings name are found from its folder.
    settings : dict
        As `read_settings` gives them.

    Returns
    -------
    PipelineConfig or None

    Raises
    ------
    CheckpointError
        They are damaged.
    """
    stored = settings.get("pipeline")
    if stored is None:
        return None
    folder = os.path.dirname(os.path.abspath(path))
    try:
        config = PipelineConfig.from_dict(stored)
    except OCRError as error:
        raise CheckpointError(f"{path}: its decoder settings: {error}") from None
    return config.map_paths(lambda name: os.path.normpath(resolve(name, folder)))
