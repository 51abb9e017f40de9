"""From a trained recogniser to an ONNX file, or to MXNet's symbol and parameters."""

import json
import os

import numpy as np

from lm.base.errors import ExportError
from lm.base.files import atomic_path
from lm.base.settings import to_mapping
from lm.base.version import __version__

from ..batching import evaluation_batches
from ..checkpoints.metadata import FORMAT, FORMAT_KEY, SETTINGS_KEY, seal
from ..recognition.network import Recogniser
from .graph import takes_any_width, trace

__all__ = ["convert", "export_onnx", "export_symbol"]

#: Largest difference of logits, as a share of the largest logit (or of 1).
_TOLERANCE = 1e-4
#: Smaller tensors stay as they are when weights are halved.
_LEAST_HALVED = 256


def convert(net):
    """Write a network as an ONNX model, without settings.

    Parameters
    ----------
    net : mxnet.gluon.HybridBlock
        As `ocr.models.get_model` builds it, initialised.

    Returns
    -------
    onnx.ModelProto
        Inputs: images, float32 (N, 1, height, W), and widths, float32 (N,). Outputs: logits,
        float32 (N, T, classes), and frames, int64 (N,).

    Raises
    ------
    ExportError
        An operator has no counterpart; the message names it.
    """
    require_onnx()
    from onnx import TensorProto

    from .builder import Builder
    from .operators import Converter

    nodes, logits, frames = trace(net)
    images = next(node for node in nodes if node.name == "images")
    fixed = not takes_any_width(net)
    builder = Builder(["N", 1, net.config.height, net.stride if fixed else "W"])
    converter = Converter(builder)
    converter.values[images] = "images"
    for node in nodes:
        converter.convert(node)
    count = builder.add("Cast", [converter.values[frames]], to=TensorProto.INT64)
    shape = ["N", logits.shape[1] if fixed else "T", net.num_classes]
    return builder.model({"logits": (converter.values[logits], TensorProto.FLOAT, shape),
                          "frames": (count, TensorProto.INT64, ["N"])})


def export_onnx(recogniser, path, half=False, int8=False, calibration=None, pipeline=None):
    """Write a recogniser as one ONNX file that `ocr.checkpoints` reads without MXNet.

    Parameters
    ----------
    recogniser : Recogniser or str
        Or the path of a checkpoint.
    path : str
        Its folder is made when missing.
    half : bool
        Store weights as float16, which halves the file; they are computed with as float32.
    int8 : bool
        Compute LSTMs and dense layers with 8-bit weights, their inputs quantised as they come.
    calibration : PreparedLines, optional
        With `int8`: lines, a few dozen, that show which values convolutions see, so that these
        are computed with 8 bits as well.
    pipeline : PipelineConfig, optional
        Decoder and correctors to read with; their files are named relative to `path`.

    Raises
    ------
    ExportError
        onnx is not installed, an operator has no counterpart, or onnxruntime (where it is
        installed) reads otherwise than MXNet.
    CheckpointError
        The checkpoint cannot be read.
    """
    require_onnx()
    import onnx

    if not isinstance(recogniser, Recogniser):
        recogniser = Recogniser(os.fspath(recogniser), "cpu")
    model = convert(recogniser.net)
    verify(recogniser.net, model)
    if int8:
        model = _quantise(model, calibration)
    if half:
        _halve(model)
    kinds = (("int8", int8), ("convolutions", int8 and calibration is not None), ("half", half))
    precision = "+".join(name for name, chosen in kinds if chosen) or "float32"
    settings = _settings(recogniser, pipeline, os.path.dirname(os.path.abspath(path)), precision)
    onnx.helper.set_model_props(model, {
        FORMAT_KEY: FORMAT, SETTINGS_KEY: json.dumps(settings, ensure_ascii=False)})
    model.producer_version = __version__
    with atomic_path(path) as temporary:
        onnx.save(model, temporary)
        seal(temporary)


def _settings(recogniser, pipeline, folder, precision):
    config, model = recogniser.config, recogniser.config.model
    stored = None
    if pipeline is not None:
        stored = pipeline.map_paths(
            lambda name: os.path.relpath(os.path.abspath(name), folder)).to_dict()
    return {
        "version": __version__,
        "alphabet": recogniser.alphabet.to_dict(),
        "preprocess": to_mapping(config.preprocess),
        # Neither the machine's paths nor the history are of use elsewhere.
        "model": {"name": model.name, "options": model.options},
        "normalise": list(config.data.normalise),
        "state": {key: value for key, value in recogniser.state.items()
                  if isinstance(value, (int, float, str))},
        "stride": recogniser.net.stride,
        "frame_pixels": recogniser.frame_pixels,
        "precision": precision,
        "pipeline": stored,
    }


def export_symbol(recogniser, prefix):
    """Write MXNet's own pair ``PREFIX-symbol.json`` and ``PREFIX-0000.params``.

    Parameters
    ----------
    recogniser : Recogniser or str
        Or the path of a checkpoint.
    prefix : str

    Returns
    -------
    tuple of str
        The two paths.
    """
    from ..base.backend import mx, nd

    if not isinstance(recogniser, Recogniser):
        recogniser = Recogniser(os.fspath(recogniser), "cpu")
    net = recogniser.net
    symbol = mx.sym.Group(list(net(mx.sym.var("images"), mx.sym.var("widths")))[:2])
    arguments, auxiliary = set(symbol.list_arguments()), set(symbol.list_auxiliary_states())
    values = {}
    for parameter in net.collect_params().values():
        value = parameter.data(parameter.list_ctx()[0]).as_in_context(mx.cpu()) * 1
        if parameter.name in arguments:
            values[f"arg:{parameter.name}"] = value
        elif parameter.name in auxiliary:
            values[f"aux:{parameter.name}"] = value
    paths = f"{prefix}-symbol.json", f"{prefix}-0000.params"
    with atomic_path(paths[0]) as temporary:
        symbol.save(temporary)
    with atomic_path(paths[1]) as temporary:
        nd.save(temporary, values)
    return paths


def require_onnx():
    try:
        import onnx  # noqa: F401
    except ImportError:
        raise ExportError("export needs the package onnx: pip install 'ocr[export]'") from None


def verify(net, model):
    """Raise `ExportError` where onnxruntime and MXNet disagree on lines of noise."""
    try:
        import onnxruntime
    except ImportError:
        return
    from ..base.backend import nd

    height = net.config.height
    width = net.stride * (max(2, 256 // net.stride) if takes_any_width(net) else 1)
    rng = np.random.default_rng(0)
    widths = np.array([width, max(1, width // 3)], np.float32)
    images = np.zeros((2, 1, height, width), np.float32)
    for image, used in zip(images, widths.astype(int)):
        image[0, :, :used] = rng.uniform(0, 1, (height, used))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    ours, counts = session.run(("logits", "frames"), {"images": images, "widths": widths})
    context = next(iter(net.collect_params().values())).list_ctx()[0]
    theirs, frames = (value.asnumpy() for value in net(nd.array(images, ctx=context),
                                                       nd.array(widths, ctx=context))[:2])
    if not np.array_equal(counts, frames):
        raise ExportError(f"onnxruntime counts {counts.tolist()} frames, MXNet {frames.tolist()}")
    gap = max(np.abs(a[:n] - b[:n]).max() for a, b, n in zip(ours, theirs, counts))
    if not gap <= _TOLERANCE * max(1, np.abs(theirs).max()):
        raise ExportError(f"onnxruntime's logits differ from MXNet's by {gap:.2g}")


def _quantise(model, calibration):
    """Return the model with 8-bit weights in LSTMs and matrix products, or convolutions too."""
    import logging
    import tempfile

    import onnx

    try:
        from onnxruntime.quantization import (
            CalibrationDataReader,
            QuantFormat,
            QuantType,
            quantize_dynamic,
            quantize_static,
        )
    except ImportError as error:
        raise ExportError(f"8-bit weights need onnxruntime's quantisation ({error}): "
                          "pip install 'ocr[export]'") from None

    class Lines(CalibrationDataReader):
        def __init__(self):
            self._batches = evaluation_batches(calibration, 8, workers=0)

        def get_next(self):
            batch = next(self._batches, None)
            return batch and {"images": batch.images, "widths": batch.widths}

    # 7-bit weights: x86 without VNNI adds products of 8 bits up in 16.
    kinds = {"per_channel": True, "reduce_range": True, "weight_type": QuantType.QInt8}
    with tempfile.TemporaryDirectory() as folder:
        before, between, after = (os.path.join(folder, f"{name}.onnx") for name in "abc")
        onnx.save(model, before)
        # It advises a preparation that a graph of ours does not need.
        logging.disable(logging.WARNING)
        try:
            if calibration is not None:
                quantize_static(before, between, Lines(), quant_format=QuantFormat.QDQ,
                                # Signed ones have no fast kernels on x86.
                                activation_type=QuantType.QUInt8,
                                op_types_to_quantize=["Conv"], **kinds)
                before = between
            quantize_dynamic(before, after, op_types_to_quantize=["MatMul", "LSTM"], **kinds)
        finally:
            logging.disable(logging.NOTSET)
        return onnx.load(after)


def _halve(model):
    """Store large float32 tensors as float16, in place, each behind a cast back."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or tensor.name.endswith("_scale"):
            continue
        value = numpy_helper.to_array(tensor)
        # Beyond float16's range, or so small that all precision would be lost: as it is.
        if value.size < _LEAST_HALVED or not 1e-4 < np.abs(value).max() < 6e4:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float16), f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], f"{name}_cast",
                                      to=TensorProto.FLOAT))
    nodes = casts + list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
