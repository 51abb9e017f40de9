"""Opening a trained model, whatever runs it."""

import os

from .onnx import OnnxRecogniser

__all__ = ["open_recogniser"]


def open_recogniser(path, device="auto", threads=0):
    """Open a trained model: an ONNX file by the light runtime, a checkpoint by MXNet.

    Parameters
    ----------
    path : str
        File written by ``ocr export`` (``.onnx``) or by ``ocr train``.
    device : str
        As in `ocr.base.backend.devices`; ONNX files run on the CPU with "auto".
    threads : int
        Of one run of an ONNX network; 0 for one a core.

    Returns
    -------
    OnnxRecogniser or Recogniser

    Raises
    ------
    CheckpointError
        Missing, cut short, or another kind of file.
    DeviceError
        No such device here.
    """
    path = os.fspath(path)
    if path.lower().endswith(".onnx"):
        return OnnxRecogniser(path, threads, device)
    # MXNet is not installed where ONNX files are all that is read.
    from .network import Recogniser

    return Recogniser(path, device)
