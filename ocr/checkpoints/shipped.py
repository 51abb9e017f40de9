"""Models that come with the library: ``ocr/weights/NAME.onnx``."""

import os
from typing import Optional, Union

from lm.base.errors import MissingDataError, UnknownNameError, did_you_mean

__all__ = ["default_model", "list_shipped", "model_path"]

_FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "weights")
_SUFFIX = ".onnx"
#: What is taken where several are shipped and none is named.
_DEFAULT = "french"


def list_shipped() -> list[str]:
    """Return the names of the shipped models."""
    try:
        entries = os.listdir(_FOLDER)
    except FileNotFoundError:
        return []
    return sorted(name[:-len(_SUFFIX)] for name in entries if name.endswith(_SUFFIX))


def default_model() -> str:
    """Return the path of the model that is used where none is named.

    Raises
    ------
    MissingDataError
        None is shipped.
    """
    names = list_shipped()
    if not names:
        raise MissingDataError("no trained model comes with this installation; name one "
                               "(a file of ocr train or ocr export)")
    name = _DEFAULT if _DEFAULT in names else names[0]
    return os.path.join(_FOLDER, name + _SUFFIX)


def model_path(model: Optional[Union[str, os.PathLike]] = None) -> str:
    """Return the file of a model.

    Parameters
    ----------
    model : str, optional
        Path of a file, or name of a shipped model, which a folder of that name does not hide;
        the default one where it is not given.

    Raises
    ------
    MissingDataError
        None was named, and none is shipped.
    UnknownNameError
        Neither a file nor a shipped model's name.
    """
    if model is None:
        return default_model()
    path = os.fspath(model)
    if os.path.isfile(path):
        return path
    names = list_shipped()
    if path in names:
        return os.path.join(_FOLDER, path + _SUFFIX)
    raise UnknownNameError(f"{path}: neither a model file nor a shipped model; shipped: "
                           + (", ".join(names) or "none") + did_you_mean(path, names))
