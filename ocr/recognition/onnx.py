"""Reading lines with onnxruntime: no MXNet, no training library."""

import os
from functools import cached_property

import numpy as np

from lm.base.cores import available_cores
from lm.base.errors import CheckpointError, DeviceError, ModelError, OCRError
from lm.base.settings import from_mapping

from ..checkpoints.metadata import read_settings
from ..image import PreprocessConfig
from ..text.alphabet import Alphabet
from .lines import LineRecogniser
from .tuned import stored_pipeline

__all__ = ["OnnxRecogniser"]


class OnnxRecogniser(LineRecogniser):
    """A recogniser in a file of ``ocr export``; needs NumPy, Pillow and onnxruntime alone.

    Parameters
    ----------
    path : str
    threads : int
        Of one run of the network; 0 for one a core.
    device : str
        "auto" and "cpu": the CPU; "gpu" or "gpu:N": CUDA, with the package onnxruntime-gpu.

    Attributes
    ----------
    settings : dict
        All that the file says about itself; see `ocr.checkpoints.metadata.read_settings`.
    height : int
        Of the network's input, in pixels.
    stride : int
        The input's width is a multiple of this.

    Others as in `LineRecogniser`.

    Raises
    ------
    CheckpointError
        Missing, cut short, or not written by ``ocr export``.
    ModelError
        onnxruntime is not installed.
    DeviceError
        A GPU was asked for that onnxruntime cannot use.
    """

    def __init__(self, path, threads=0, device="auto"):
        path = os.fspath(path)
        self.path, self.settings = path, read_settings(path)
        try:
            self.alphabet = Alphabet.from_dict(self.settings["alphabet"])
            self.preprocess = from_mapping(PreprocessConfig, self.settings["preprocess"],
                                           "preprocess")
            self.stride = int(self.settings["stride"])
            self.frame_pixels = float(self.settings["frame_pixels"])
            self.state = dict(self.settings["state"])
            self._model = dict(self.settings["model"])
            if not (0 < self.stride < 1 << 20 and 0 < self.frame_pixels < 1 << 20):
                raise ValueError(f"stride {self.stride}, frame_pixels {self.frame_pixels}")
        except (KeyError, TypeError, ValueError, OverflowError, OCRError) as error:
            raise CheckpointError(f"{path}: its settings are incomplete or damaged "
                                  f"({error})") from None
        # Damaged decoder settings are told now, not at the first line.
        stored_pipeline(path, self.settings)
        self._session = _open(path, threads, device)
        self._check_network()
        self.height = self.preprocess.height

    def _check_network(self):
        """Raise `CheckpointError` unless the graph takes and gives what an export does."""
        inputs, outputs = ({value.name: value.shape for value in values} for values in
                           (self._session.get_inputs(), self._session.get_outputs()))
        ranks = [{name: len(shape or ()) for name, shape in values.items()}
                 for values in (inputs, outputs)]
        if ranks != [{"images": 4, "widths": 1}, {"logits": 3, "frames": 1}]:
            raise CheckpointError(f"{self.path}: a network of other inputs and outputs than those "
                                  "that ocr export writes")
        _, channels, height, width = inputs["images"]
        if channels != 1 or height != self.preprocess.height:
            raise CheckpointError(f"{self.path}: its network reads lines of {height} pixels, its "
                                  f"settings make them {self.preprocess.height} pixels high")
        # A network that reads one width alone has a number here.
        self._width = width if isinstance(width, int) else None
        if outputs["logits"][2] != self.alphabet.num_classes:
            raise CheckpointError(f"{self.path}: its alphabet has {self.alphabet.num_classes} "
                                  f"classes, its network {outputs['logits'][2]}")

    @cached_property
    def config(self):
        """Settings as of an experiment (`ExperimentConfig`); it names no data."""
        from ..checkpoints.settings import DataConfig, ExperimentConfig, ModelConfig

        return ExperimentConfig(
            "", DataConfig("", normalise=tuple(self.settings.get("normalise", ()))),
            preprocess=self.preprocess,
            model=from_mapping(ModelConfig, self._model, "model"))

    def frame_count(self, width):
        """Return the number of frames of a line `width` pixels wide, margins included."""
        return int(-(-width // self.frame_pixels))

    def read_arrays(self, images, widths):
        """Run the network on prepared lines; see `LineRecogniser.read_arrays`."""
        shape = tuple(images.shape)
        if len(shape) != 4 or shape[1] != 1 or shape[2] != self.height:
            raise ModelError(f"expected images (N, 1, {self.height}, W), not {shape}")
        if shape[3] % self.stride or not shape[3] or (self._width or shape[3]) != shape[3]:
            raise ModelError(f"image widths must be {'' if self._width else 'multiples of '}"
                             f"{self._width or self.stride}, not {shape[3]}")
        try:
            logits, frames = self._session.run(("logits", "frames"), {
                "images": np.ascontiguousarray(images, np.float32),
                "widths": np.ascontiguousarray(widths, np.float32)})
        except Exception as error:  # noqa: BLE001 - onnxruntime's errors share no base
            raise ModelError(f"{self.path}: its network fails on images {shape} "
                             f"({_reason(error)})") from None
        if len(logits) != shape[0] or frames.max(initial=0) > logits.shape[1]:
            raise ModelError(f"{self.path}: its network gives logits {logits.shape} for images "
                             f"{shape}")
        return logits, frames


def _providers(device, available):
    if device in ("auto", "cpu"):
        return ["CPUExecutionProvider"]
    number = device[4:] if device.startswith("gpu:") else "0" if device == "gpu" else ""
    if not number.isdigit():
        raise DeviceError(f"unknown device {device!r}; an ONNX model runs on: auto, cpu, gpu, "
                          "gpu:N")
    if "CUDAExecutionProvider" not in available:
        raise DeviceError(f"device {device!r}: this onnxruntime has no CUDA; install "
                          "onnxruntime-gpu, or choose the device cpu")
    return [("CUDAExecutionProvider", {"device_id": int(number)}), "CPUExecutionProvider"]


def _open(path, threads, device):
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(f"onnxruntime cannot be imported ({error}); install it with "
                         "pip install 'ocr[runtime]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or available_cores()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers = _providers(device, onnxruntime.get_available_providers())
    try:
        return onnxruntime.InferenceSession(path, options, providers=providers)
    except Exception as error:  # noqa: BLE001 - onnxruntime's errors share no base
        raise CheckpointError(f"{path}: onnxruntime cannot load it ({_reason(error)})") from None


def _reason(error):
    return " ".join(str(error).split())[:300]
