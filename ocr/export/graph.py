"""A network's symbol as a graph of plain nodes, with shapes and parameter values."""

import ast
import json
from dataclasses import dataclass, field
from typing import Optional

import numpy as np

from lm.base.errors import ExportError, ModelError

from ..base.backend import autograd, mx

__all__ = ["Dim", "Node", "takes_any_width", "trace"]

#: Sizes that the network is traced with twice; what differs depends on the input.
_BATCHES = (2, 3)
_WIDTHS = (5, 7)


@dataclass(frozen=True)
class Dim:
    """A size that depends on the input: the batch, or the input's width over `divisor`.

    `divisor` is 0 for the batch.
    """

    divisor: int


@dataclass(eq=False)
class Node:
    """An operator's first output, a parameter or an input of the network.

    Attributes
    ----------
    op : str
        MXNet's name; "null" for parameters and inputs.
    name : str
    attrs : dict
        Values as Python literals, strings where they are none.
    inputs : list of Node
    shape : tuple
        Of int and `Dim`.
    value : numpy.ndarray or None
        Of parameters, and of what is computed from parameters alone.
    users : list of Node
        Nodes that read this one.
    """

    op: str
    name: str
    attrs: dict
    inputs: list
    shape: tuple
    value: Optional[np.ndarray] = None
    users: list = field(default_factory=list)


def _literal(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _dimension(first, second, widths, where):
    if first == second:
        return first
    if (first, second) == _BATCHES:
        return Dim(0)
    divisor = widths[0] // first if first else 0
    if not divisor or (first * divisor, second * divisor) != widths:
        raise ExportError(f"{where}: a size of {first} and {second} for widths of {widths[0]} and "
                          f"{widths[1]} is no whole part of the width")
    return Dim(divisor)


def _shapes(symbol, height, widths):
    """Return {output name: shape}."""
    internals = symbol.get_internals()
    runs = []
    for batch, width in zip(_BATCHES, widths):
        found = internals.infer_shape(images=(batch, 1, height, width), widths=(batch,))[1]
        runs.append(dict(zip(internals.list_outputs(), found)))
    return {name: tuple(_dimension(a, b, widths, name) for a, b in zip(shape, runs[1][name]))
            for name, shape in runs[0].items()}


#: Operators that do nothing when a trained network reads.
_IDENTITIES = ("Dropout", "BlockGrad", "_copy", "identity")


def _is_identity(op, attrs):
    return op in _IDENTITIES or (op == "_mul_scalar" and attrs.get("scalar") == 1)


def _constant(op, attrs, inputs, shape, name):
    """Compute a node whose inputs are parameters alone."""
    values = [node.value for node in inputs]
    if op in ("Reshape", "reshape"):
        return values[0].reshape(shape)
    if op == "_rnn_param_concat":
        return np.concatenate(values, axis=attrs.get("dim", 0))
    raise ExportError(f"operator {op} ({name}) on parameters alone cannot be exported")


def takes_any_width(net):
    """Whether a network reads more widths than its stride alone."""
    try:
        net.check_input((1, 1, net.config.height, 2 * net.stride))
    except ModelError:
        return False
    return True


def trace(net):
    """Turn a network into nodes.

    Parameters
    ----------
    net : mxnet.gluon.HybridBlock
        As `ocr.models.get_model` builds it, initialised.

    Returns
    -------
    nodes : list of Node
        Inputs before those that read them. The inputs are called "images" and "widths".
    logits, frames : Node

    Raises
    ------
    ExportError
        A size that is neither fixed nor the batch nor a part of the width.
    """
    with autograd.predict_mode():
        outputs = net(mx.sym.var("images"), mx.sym.var("widths"))
    # A further output is for training.
    symbol = mx.sym.Group(list(outputs)[:2])
    widths = tuple(net.stride * (number if takes_any_width(net) else 1) for number in _WIDTHS)
    shapes = _shapes(symbol, net.config.height, widths)
    parameters = {p.name: p for p in net.collect_params().values()}
    graph = json.loads(symbol.tojson())
    outputs = []
    for entry in graph["nodes"]:
        op, name = entry["op"], entry["name"]
        attrs = {key: _literal(text) for key, text in entry.get("attrs", {}).items()}
        inputs = [_output(outputs, graph, *place) for place in entry["inputs"]]
        shape = next((shapes[key] for key in (name, f"{name}_output", f"{name}_output0")
                      if key in shapes), None)
        if _is_identity(op, attrs):
            outputs.append(inputs)
            continue
        if op == "SliceChannel":
            outputs.append(_parts(name, attrs, inputs, shape))
            continue
        value = None
        if name in parameters:
            value = parameters[name].data(parameters[name].list_ctx()[0])
            # Multiplied by 1: see `ocr.models.weights.assign`.
            value = (value * 1).asnumpy()
        elif inputs and all(node.value is not None for node in inputs):
            value = _constant(op, attrs, inputs, shape, name)
        outputs.append([Node(op, name, attrs, inputs, shape, value)])
    nodes = list({id(node): node for made in outputs for node in made}.values())
    for node in nodes:
        for source in node.inputs:
            source.users.append(node)
    logits, frames = (_output(outputs, graph, *place) for place in graph["heads"])
    return nodes, logits, frames


def _output(outputs, graph, index, number, *_):
    """Return an operator's output; of most there is but the first."""
    if number >= len(outputs[index]):
        entry = graph["nodes"][index]
        raise ExportError(f"operator {entry['op']} ({entry['name']}): a further output cannot be "
                          "exported")
    return outputs[index][number]


def _parts(name, attrs, inputs, shape):
    """Return equal parts along an axis as one node each."""
    axis, size = attrs.get("axis", 1), shape[attrs.get("axis", 1)]
    if attrs.get("squeeze_axis") or isinstance(size, Dim):
        raise ExportError(f"operator SliceChannel ({name}): squeezed parts, or parts of a size "
                          "that varies, cannot be exported")
    return [Node("slice_axis", f"{name}_{i}",
                 {"axis": axis, "begin": i * size, "end": (i + 1) * size}, inputs, shape)
            for i in range(attrs["num_outputs"])]
