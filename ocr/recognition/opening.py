"""Opening a trained model, whatever runs it."""

import os
from typing import Optional, Union

from ..checkpoints.shipped import model_path
from .lines import LineRecogniser
from .onnx import OnnxRecogniser

__all__ = ["open_recogniser"]


def open_recogniser(model: Optional[Union[str, os.PathLike]] = None, device: str = "auto",
                    threads: int = 0) -> LineRecogniser:
    """Open a trained model: an ONNX file by the light runtime, a checkpoint by MXNet.

    Parameters
    ----------
    model : str or path-like, optional
        File written by ``ocr export`` (``.onnx``) or by ``ocr train``, or the name of a shipped
        model; the default one where it is not given.
    device : str
        As in `ocr.base.backend.devices`; ONNX files run on the CPU with "auto".
    threads : int
        Of one run of an ONNX network; 0 for one a core.

    Returns
    -------
    OnnxRecogniser or Recogniser

    Raises
    ------
    UnknownNameError
        Neither a file nor a shipped model's name; these are listed.
    CheckpointError
        Cut short, damaged, or another kind of file.
    DeviceError
        No such device here.
    """
    path = model_path(model)
    if path.lower().endswith(".onnx"):
        return OnnxRecogniser(path, threads, device)
    # MXNet is not installed where ONNX files are all that is read.
    from .network import Recogniser

    return Recogniser(path, device)
