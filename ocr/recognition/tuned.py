"""Which decoder and correctors a model file is read with: tuned for it, or its own."""

import glob
import hashlib
import os
import warnings
from functools import lru_cache
from typing import Optional

from lm.base.errors import CheckpointError, OCRError
from lm.base.files import read_json
from lm.base.plugins import missing_packages

from ..checkpoints.metadata import read_settings
from ..correction import PipelineConfig, load_pipeline, parse_name, save_pipeline
from ..decoding.base import resolve

__all__ = ["tuned_path", "tuned_names", "tuned_mark", "save_tuned", "stored_in", "best_name",
           "pipeline_of", "stored_pipeline"]

#: Endings of files that hold a pipeline's settings.
_FILES = (".json", ".yaml", ".yml")


def tuned_path(model: str, name: str) -> str:
    """Return where ``ocr tune`` stores the settings of the pipeline `name` for a model file."""
    return f"{os.path.abspath(model)}.decoder-{name}.json"


def _tuned_files(model):
    """Return {pipeline's name: file} of what was tuned under a model's name, for any weights."""
    pattern = tuned_path(glob.escape(model), "*")
    start = len(os.path.basename(tuned_path(model, ""))) - len(".json")
    found = {os.path.basename(path)[start:-len(".json")]: path for path in glob.glob(pattern)}
    return dict(sorted(found.items()))


def tuned_mark(model: str) -> tuple:
    """Return something that changes when a model is tuned anew: a part of keys of caches."""
    return tuple((name, os.stat(path).st_mtime_ns) for name, path in _tuned_files(model).items())


def save_tuned(model: str, config: PipelineConfig, tuned: Optional[dict] = None,
               path: Optional[str] = None) -> str:
    """Store a pipeline as tuned for a model file.

    Parameters
    ----------
    model : str
    config : PipelineConfig
    tuned : dict, optional
        How it was chosen: scores, data. ``helps`` false keeps it from being taken unasked.
    path : str, optional
        Another file than `tuned_path`.

    Returns
    -------
    str
        The file.
    """
    path = path or tuned_path(model, config.name)
    save_pipeline(path, config, {**(tuned or {}), "model": fingerprint(model)})
    return path


def fingerprint(model: str) -> str:
    """Return a hash of a model file, which tells its weights from any others."""
    stat = os.stat(model)
    return _fingerprint(os.path.abspath(model), stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)
def _fingerprint(path, changed, size):
    digest = hashlib.sha256()
    with open(path, "rb") as source:
        while block := source.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:32]


def _how_tuned(model, path):
    """Return what a file says about its tuning; None when it was for other weights."""
    try:
        tuned = read_json(path)["tuned"]
        if tuned["model"] == fingerprint(model):
            return tuned
    except (OSError, ValueError, KeyError, TypeError):
        warnings.warn(f"{path}: damaged, and not taken", stacklevel=4)
        return None
    warnings.warn(f"{path} was tuned for other weights than {model} has now, and is not taken; "
                  "run ocr tune again", stacklevel=4)
    return None


def tuned_names(model: str) -> list[str]:
    """Return the names of the pipelines that were tuned for a model file."""
    return [name for name, path in _tuned_files(model).items() if _how_tuned(model, path)]


def stored_in(model: str) -> Optional[PipelineConfig]:
    """Return the `PipelineConfig` within an exported model, None where there is none."""
    if not model.lower().endswith(".onnx"):
        return None
    return stored_pipeline(model, read_settings(model))


def _runs(model, config):
    """Tell whether a pipeline can run here; warn of what is missing."""
    if packages := missing_packages(config.needs()):
        warnings.warn(f"{model} reads better with its decoder {config.name}, which needs: "
                      f"{packages}", stacklevel=4)
    return not packages


def best_name(model: str, otherwise: str = "greedy") -> str:
    """Return the pipeline that reads a model's lines best.

    Parameters
    ----------
    model : str
    otherwise : str
        Where none was tuned for it and none is stored in the file.

    Returns
    -------
    str
        The one with the best scores among those that were tuned for this very model and helped;
        else what is stored in the file, or was taken out of it by ``ocr restore``. What cannot
        run here, for a package is missing, is passed over with a warning.
    """
    found = []
    for name, path in _tuned_files(model).items():
        tuned = _how_tuned(model, path)
        if tuned and tuned.get("helps", True):
            scores = [tuned.get(rate) for rate in ("cer", "wer")]
            known = all(isinstance(score, (int, float)) for score in scores)
            found.append((scores[0] + scores[1] / 4 if known else float("inf"), name))
    for _, name in sorted(found):
        if _runs(model, load_pipeline(tuned_path(model, name))):
            return name
    stored = None if found else stored_in(model)
    return stored.name if stored and _runs(model, stored) else otherwise


def pipeline_of(model: str, name: Optional[str] = None) -> PipelineConfig:
    """Return the settings that a pipeline has for a model file.

    Parameters
    ----------
    model : str
        Of ``ocr train`` or ``ocr export``.
    name : str, optional
        Such as "greedy" or "beam-char+spelling", or a JSON or YAML file of settings;
        `best_name` by default.

    Returns
    -------
    PipelineConfig
        As tuned for the model or stored in its file; else the defaults, behind what was tuned
        for the decoder alone.

    Raises
    ------
    UnknownNameError
        No such decoder or corrector.
    """
    name = name or best_name(model)
    if name.lower().endswith(_FILES):
        return load_pipeline(name)
    decoder, correctors = parse_name(name)
    return _of_name(model, name) or PipelineConfig.of(
        (_of_name(model, decoder) or PipelineConfig.of(decoder)).decoder, correctors=correctors)


def _of_name(model, name):
    path = tuned_path(model, name)
    if os.path.exists(path) and _how_tuned(model, path):
        return load_pipeline(path)
    stored = stored_in(model)
    return stored if stored and stored.name == name else None


def stored_pipeline(path: str, settings: dict) -> Optional[PipelineConfig]:
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
