"""From an exported ONNX file back to a checkpoint, to train on."""

import os

import numpy as np

from lm.base.errors import CheckpointError, DataError
from lm.base.settings import from_mapping, to_mapping

from ..base.backend import autograd, nd, nn
from ..batching import evaluation_batches
from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.metadata import read_settings
from ..checkpoints.settings import ExperimentConfig
from ..models import build_network
from ..models.weights import assign, load_weights, weights_of
from ..text.alphabet import Alphabet
from .graph import trace
from .model import convert, require_onnx, verify

__all__ = ["restore"]

#: The weights' numbers begin here: what else an ONNX graph holds is smaller.
_FIRST = 1 << 10
#: Whole numbers beyond this are not all float32.
_LAST = 1 << 24


def restore(path, config, prepared):
    """Make a checkpoint of a model that ``ocr export`` wrote.

    The file holds batch norms within the convolutions. They come back as they act on
    `prepared`: their means and variances there, the network's function unchanged.

    Parameters
    ----------
    path : str
        Of 32-bit or 16-bit weights.
    config : ExperimentConfig
        For the checkpoint; network and preprocessing are replaced by the file's.
    prepared : callable
        PreprocessConfig -> PreparedLines, a few hundred at best.

    Returns
    -------
    Checkpoint

    Raises
    ------
    ExportError
        onnx is not installed.
    DataError
        No line can be read.
    CheckpointError
        The file cannot be read, has 8-bit weights, or is not what the network's export gives.
    """
    require_onnx()
    import onnx
    from onnx import numpy_helper

    settings = read_settings(path)
    try:
        alphabet = Alphabet.from_dict(settings["alphabet"])
        mapping = {**to_mapping(config), "preprocess": settings["preprocess"],
                   "model": settings["model"]}
        mapping["data"] = {**mapping["data"], "normalise": settings.get("normalise", ())}
        state = dict(settings["state"])
        config = from_mapping(ExperimentConfig, mapping)
        net = build_network(config, alphabet.num_classes)
        stored = onnx.load(path, load_external_data=False)
    except KeyError as error:
        raise CheckpointError(f"{path}: its settings lack {error}") from None
    except Exception as error:  # noqa: BLE001 - protobuf's errors share no base
        raise CheckpointError(f"{path}: {error}") from None
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL
           for tensor in stored.graph.initializer):
        raise CheckpointError(f"{path}: its weights lie in other files, which ocr export never "
                              "does")
    net.initialize()
    values = {tensor.name.removesuffix("_half"): numpy_helper.to_array(tensor)
              for tensor in stored.graph.initializer}
    numbers, size = _number(net)
    numbered = convert(net)
    pairs = _pairs(numbered.graph, stored.graph, path)
    found = np.zeros(size, np.float32)
    known = np.zeros(size, bool)
    for tensor in numbered.graph.initializer:
        places = numpy_helper.to_array(tensor)
        if tensor.name not in pairs or places.dtype != np.float32:
            continue
        places, value = _places(places, size), values[pairs[tensor.name]]
        if places is None:
            continue
        if value.shape != places.shape:
            raise CheckpointError(f"{path}: {tensor.name} has shape {value.shape}, the network "
                                  f"needs {places.shape}")
        found[places], known[places] = value, True
    weights = weights_of(net)
    for name, places in numbers.items():
        if not known[places].all():
            raise CheckpointError(f"{path}: {name} is not in the file")
        weights[name] = found[places]
    load_weights(net, weights, path)
    try:
        verify(net, stored)
    except Exception as error:  # onnxruntime's errors share no base
        raise CheckpointError(f"{path}: not what this network's export gives ({error})") from None
    lines = prepared(config.preprocess)
    if not len(lines):
        raise DataError("no line can be read to take means and variances of: "
                        f"{lines.dataset.report}")
    _take_statistics(net, lines)
    return Checkpoint(to_mapping(config), alphabet, weights_of(net),
                      {**state, "restored": os.path.basename(path)})


def _number(net):
    """Fill a network with whole numbers, to find them again in its export.

    Batch norms that the export takes into convolutions are made to do nothing but shift, and
    those convolutions have no bias of their own.

    Returns
    -------
    numbers : dict of str to numpy.ndarray
        Weight's name -> the number of each of its elements, from 0 on, in its shape.
    size : int
    """
    # Structural names; the graph has MXNet's own.
    named = net._collect_params_with_prefix()
    structural = {parameter.name: name for name, parameter in named.items()}
    fixed = {}
    for norm in _batch_norms(net):
        rows = norm.running_var.shape
        fixed[structural[norm.running_mean.name]] = np.zeros(rows)
        fixed[structural[norm.running_var.name]] = np.full(rows, 1 - norm._kwargs["eps"])
    for node in trace(net)[0]:
        source = node.inputs[0] if node.op == "BatchNorm" else None
        if source is not None and source.op == "Convolution" and len(source.users) == 1:
            gamma = structural[node.inputs[1].name]
            fixed[gamma] = np.ones(named[gamma].shape)
            if len(source.inputs) > 2:
                bias = structural[source.inputs[2].name]
                fixed[bias] = np.zeros(named[bias].shape)
    fixed.update((name, np.zeros(parameter.shape)) for name, parameter in named.items()
                 if name.startswith("short."))
    numbers, size, filled = {}, 0, {}
    # Weights of convolutions are multiplied by almost 1, which small numbers bear.
    for name, parameter in sorted(named.items(), key=lambda item: -len(item[1].shape)):
        if name in fixed:
            filled[name] = fixed[name].astype(np.float32)
            continue
        count = int(np.prod(parameter.shape))
        numbers[name] = np.arange(size, size + count).reshape(parameter.shape)
        filled[name] = _as_value(numbers[name])
        size += count
    load_weights(net, filled)
    return numbers, size


def _as_value(numbers):
    """Numbers as float32; beyond half of them negative, to have twice as many."""
    room = _LAST - _FIRST
    return np.where(numbers < room, numbers + _FIRST, room - _FIRST - 1 - numbers).astype(
        np.float32)


def _places(values, size):
    """Return the numbers that `_as_value` has made these of, or None where they are not such."""
    room = _LAST - _FIRST
    whole = np.round(values.astype(np.float64)).astype(np.int64)
    numbers = np.where(whole > 0, whole - _FIRST, room - _FIRST - 1 - whole)
    inside = (np.abs(whole) >= _FIRST) & (numbers >= 0) & (numbers < size)
    return numbers if inside.all() else None


def _pairs(ours, theirs, path):
    """Return {constant of one graph: the same one of the other}."""
    nodes = [[node for node in graph.node if not node.name.endswith("_cast")]
             for graph in (ours, theirs)]
    if [n.op_type for n in nodes[0]] != [n.op_type for n in nodes[1]]:
        raise CheckpointError(f"{path}: its graph is not that of {len(nodes[0])} operators which "
                              "its network's export gives; weights of 8 bits cannot be restored")
    constants = {tensor.name for tensor in ours.initializer}
    return {mine: other for pair in zip(*nodes) for mine, other in zip(pair[0].input, pair[1].input)
            if mine in constants}


def _batch_norms(block):
    if isinstance(block, nn.BatchNorm):
        yield block
    for child in block._children.values():
        yield from _batch_norms(child)


def _take_statistics(net, prepared):
    """Give batch norms the means and variances of lines; what they compute stays the same."""
    norms = list(_batch_norms(net))
    sums = [np.zeros((3, norm.running_mean.shape[0])) for norm in norms]

    def collect(total):
        def hook(_, inputs):
            x = inputs[0]
            rest = tuple(axis for axis in range(x.ndim) if axis != 1)
            count = x.size / x.shape[1]
            total[:] += [np.full(total.shape[1], count), x.sum(axis=rest).asnumpy(),
                         x.square().sum(axis=rest).asnumpy()]
        return hook

    hooks = [norm.register_forward_pre_hook(collect(total)) for norm, total in zip(norms, sums)]
    try:
        with autograd.predict_mode():
            for batch in evaluation_batches(prepared, 8, workers=0):
                net(nd.array(batch.images), nd.array(batch.widths))
    finally:
        for hook in hooks:
            hook.detach()
    for norm, (count, total, squares) in zip(norms, sums):
        mean = total / count
        variance = np.maximum(squares / count - mean ** 2, 0)
        gamma, beta = norm.gamma.data().asnumpy(), norm.beta.data().asnumpy()
        for parameter, value in (
                (norm.running_mean, mean), (norm.running_var, variance),
                (norm.gamma, gamma * np.sqrt(variance + norm._kwargs["eps"])),
                (norm.beta, beta + gamma * mean)):
            assign(parameter, value)
