"""MXNet's operators in ONNX, one function each."""

import math
from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from lm.base.errors import ExportError

from .graph import Dim

__all__ = ["Converter"]

#: MXNet's name -> function(converter, node) -> name of the ONNX value
_MAPPINGS: dict[str, Callable] = {}


def _maps(*names):
    def add(function):
        _MAPPINGS.update(dict.fromkeys(names, function))
        return function
    return add


def _unsupported(node, what):
    raise ExportError(f"operator {node.op} ({node.name}): {what} cannot be exported")


class Converter:
    """Goes through a network's nodes and adds what computes them to a `Builder`.

    Attributes
    ----------
    builder : Builder
    values : dict of Node to str
        The ONNX value of each node converted so far.
    small : dict of Node to str
        For a node that repeats a smaller value to a full size: the smaller one, which ONNX's
        elementwise operators broadcast themselves.
    """

    def __init__(self, builder):
        self.builder, self.values, self.small = builder, {}, {}

    def add(self, op, *inputs, **attributes):
        """Add an ONNX operator; inputs are names of values."""
        return self.builder.add(op, inputs, **attributes)

    def convert(self, node):
        """Add the nodes that compute `node`, whose inputs are converted already.

        Raises
        ------
        ExportError
            The operator, or a setting of it, has no counterpart here; the message names it.
        """
        if node.op == "null":
            self.values[node] = node.name if node.value is None else None
            return
        if node.value is not None or node.op == "_zeros":
            return
        if node.op not in _MAPPINGS:
            raise ExportError(f"operator {node.op} ({node.name}) has no mapping to ONNX; mapped: "
                              f"{', '.join(sorted(_MAPPINGS))}")
        self.values[node] = _MAPPINGS[node.op](self, node)

    def input(self, node, index=0):
        """Return the ONNX value of a node's input."""
        source = node.inputs[index]
        if source.value is not None:
            return self.builder.constant(source.value)
        if source.op == "_zeros":
            _unsupported(node, "reading zeros")
        return self.values[source]


# -- convolutions -------------------------------------------------------------------------------


def _weights(node):
    weight = node.inputs[1].value
    if weight is None:
        _unsupported(node, "a weight that is computed")
    if node.attrs.get("no_bias"):
        return weight, np.zeros(weight.shape[0], np.float32)
    return weight, node.inputs[2].value


def _convolution(converter, node, weight, bias):
    attrs = node.attrs
    if attrs.get("layout") not in (None, "None", "NCHW", "NCW"):
        _unsupported(node, f"layout {attrs['layout']}")
    kernel = attrs["kernel"]
    ones, pad = (1,) * len(kernel), attrs.get("pad") or (0,) * len(kernel)
    inputs = [converter.input(node), converter.builder.constant(weight)]
    if bias.any():
        inputs.append(converter.builder.constant(bias))
    return converter.add("Conv", *inputs, kernel_shape=kernel, pads=[*pad, *pad],
                         strides=attrs.get("stride") or ones,
                         dilations=attrs.get("dilate") or ones, group=attrs.get("num_group", 1))


@_maps("Convolution")
def _(converter, node):
    return _convolution(converter, node, *_weights(node))


def _scale_and_shift(node):
    gamma, beta, mean, variance = (source.value.astype(np.float64) for source in node.inputs[1:])
    if node.attrs.get("fix_gamma", True):
        gamma = np.ones_like(gamma)
    scale = gamma / np.sqrt(variance + node.attrs.get("eps", 1e-3))
    return scale, beta - mean * scale


@_maps("BatchNorm")
def _(converter, node):
    if node.attrs.get("axis", 1) != 1:
        _unsupported(node, "an axis other than 1")
    scale, shift = _scale_and_shift(node)
    source = node.inputs[0]
    if source.op == "Convolution" and len(source.users) == 1:
        weight, bias = _weights(source)
        weight = weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))
        return _convolution(converter, source, weight.astype(np.float32),
                            (bias * scale + shift).astype(np.float32))
    # Statistics of 0 and 1 with an epsilon of 0: the same, and nothing is left to compute.
    constants = [scale, shift, np.zeros_like(scale), np.ones_like(scale)]
    return converter.add("BatchNormalization", converter.input(node),
                         *map(converter.builder.constant, constants), epsilon=0.0)


@_maps("slice_axis")
def _(converter, node):
    axis, begin, end = (node.attrs[key] for key in ("axis", "begin", "end"))
    source = node.inputs[0]
    axis %= len(source.shape)
    if (source.op == "Convolution" and axis == 1 and source.attrs.get("num_group", 1) == 1
            and all(user.op == "slice_axis" for user in source.users)):
        # Several convolutions with fewer filters instead of one that is cut up.
        weight, bias = _weights(source)
        return _convolution(converter, source, weight[begin:end], bias[begin:end])
    end = np.iinfo(np.int64).max if end in (None, "None") else end
    constants = (converter.builder.constant([value], np.int64) for value in (begin, end, axis))
    return converter.add("Slice", converter.input(node), *constants)


@_maps("Pooling")
def _(converter, node):
    attrs, kind = node.attrs, node.attrs.get("pool_type", "max")
    if kind not in ("max", "avg"):
        _unsupported(node, f"pool_type {kind}")
    name = {"max": "MaxPool", "avg": "AveragePool"}[kind]
    if attrs.get("global_pool"):
        return converter.add(f"Global{name}", converter.input(node))
    convention = attrs.get("pooling_convention", "valid")
    if convention not in ("valid", "full"):
        _unsupported(node, f"pooling_convention {convention}")
    kernel = attrs["kernel"]
    pad = attrs.get("pad") or (0,) * len(kernel)
    extra = {} if kind == "max" else {
        "count_include_pad": int(attrs.get("count_include_pad") in (True, None, "None"))}
    if kind == "avg" and convention == "full":
        _unsupported(node, "an average over incomplete windows")
    return converter.add(name, converter.input(node), kernel_shape=kernel, pads=[*pad, *pad],
                         strides=attrs.get("stride") or (1,) * len(kernel),
                         ceil_mode=int(convention == "full"), **extra)


@_maps("FullyConnected")
def _(converter, node):
    weight, bias = _weights(node)
    x = converter.input(node)
    if node.attrs.get("flatten", True):
        x = converter.add("Flatten", x, axis=1)
    result = converter.add("MatMul", x, converter.builder.constant(weight.T))
    return converter.add("Add", result, converter.builder.constant(bias)) if bias.any() else result


# -- activations and arithmetic -----------------------------------------------------------------

_ACTIVATIONS = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softrelu": "Softplus",
                "softsign": "Softsign"}
_UNARY = {"ceil": "Ceil", "floor": "Floor", "relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh",
          "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "abs": "Abs", "negative": "Neg"}
_BINARY = {"elemwise_add": "Add", "elemwise_sub": "Sub", "elemwise_mul": "Mul",
           "elemwise_div": "Div", "broadcast_add": "Add", "broadcast_sub": "Sub",
           "broadcast_mul": "Mul", "broadcast_div": "Div", "broadcast_maximum": "Max",
           "broadcast_minimum": "Min"}
_SCALAR = {"_plus_scalar": "Add", "_minus_scalar": "Sub", "_mul_scalar": "Mul",
           "_div_scalar": "Div"}


@_maps("Activation")
def _(converter, node):
    kind = node.attrs["act_type"]
    if kind not in _ACTIVATIONS:
        _unsupported(node, f"act_type {kind}")
    return converter.add(_ACTIVATIONS[kind], converter.input(node))


@_maps("LeakyReLU")
def _(converter, node):
    kind, slope = node.attrs.get("act_type", "leaky"), float(node.attrs.get("slope", 0.25))
    if kind == "prelu":
        slopes = node.inputs[1].value
        slopes = slopes.reshape(-1, *(1,) * (len(node.shape) - 2))
        return converter.add("PRelu", converter.input(node), converter.builder.constant(slopes))
    if kind not in ("leaky", "elu"):
        _unsupported(node, f"act_type {kind}")
    return converter.add({"leaky": "LeakyRelu", "elu": "Elu"}[kind], converter.input(node),
                         alpha=slope)


@_maps(*_UNARY)
def _(converter, node):
    return converter.add(_UNARY[node.op], converter.input(node))


def _prelu(node):
    """Return (x, slopes) where `node` is relu(x) + slopes (x - relu(x)), else None."""
    if node.op != "elemwise_add":
        return None
    positive, product = node.inputs
    if product.op != "Convolution" or product.inputs[0].op != "elemwise_sub":
        return None
    (x, same), slopes = product.inputs[0].inputs, product.inputs[1].value
    if (same is not positive or positive.op != "Activation" or positive.inputs[0] is not x
            or positive.attrs["act_type"] != "relu" or slopes is None
            or not product.attrs.get("no_bias") or slopes.shape != (len(slopes), 1, 1, 1)
            or product.attrs.get("num_group") != len(slopes)):
        return None
    return x, slopes[:, 0]


@_maps(*_BINARY)
def _(converter, node):
    if (found := _prelu(node)) is not None:
        return converter.add("PRelu", converter.values[found[0]],
                             converter.builder.constant(found[1]))
    small = [converter.small.get(source) for source in node.inputs]
    inputs = [converter.input(node, i) for i in (0, 1)]
    # One of the two must have the full size.
    if small[1] is not None:
        inputs[1] = small[1]
    elif small[0] is not None:
        inputs[0] = small[0]
    return converter.add(_BINARY[node.op], *inputs)


@_maps(*_SCALAR)
def _(converter, node):
    return converter.add(_SCALAR[node.op], converter.input(node),
                         converter.builder.constant(node.attrs["scalar"]))


# -- shapes -------------------------------------------------------------------------------------


@_maps("Reshape", "reshape", "Flatten", "expand_dims", "squeeze")
def _(converter, node):
    return converter.builder.reshape(converter.input(node), node.inputs[0].shape, node.shape)


@_maps("transpose")
def _(converter, node):
    axes = node.attrs.get("axes") or tuple(range(len(node.shape)))[::-1]
    return converter.builder.transpose(converter.input(node), list(axes))


@_maps("broadcast_like")
def _(converter, node):
    if node.attrs.get("lhs_axes", "None") not in (None, "None"):
        _unsupported(node, "lhs_axes")
    converter.small[node] = converter.input(node)
    return converter.add("Expand", converter.input(node),
                         converter.add("Shape", converter.input(node, 1)))


@_maps("ones_like")
def _(converter, node):
    shape = converter.builder.add("Concat", [converter.builder.size(s) for s in node.shape],
                                  axis=0)
    return converter.add("Expand", converter.builder.constant(1.0), shape)


@_maps("SequenceMask")
def _(converter, node):
    """Zeros, or `value`, from each sequence's length on."""
    attrs, source = node.attrs, node.inputs[0]
    axis, fill = attrs.get("axis", 0), float(attrs.get("value", 0.0))
    if not attrs.get("use_sequence_length"):
        return converter.input(node)
    builder = converter.builder
    size = builder.size(source.shape[axis])
    size = builder.add("Cast", [builder.reshape(size, (1,), ())], to=TensorProto.FLOAT)
    steps = converter.add("Range", builder.constant(0.0), size, builder.constant(1.0))
    lengths = builder.add("Unsqueeze", [converter.input(node, 1), builder.constant([1], np.int64)])
    inside = converter.add("Less", steps, lengths)
    rank = len(source.shape)
    if axis == 0:
        inside = builder.transpose(inside, [1, 0])
    if rank > 2:
        axes = builder.constant(list(range(2, rank)), np.int64)
        inside = builder.add("Unsqueeze", [inside, axes])
    if source.op == "ones_like" and fill == 0 and rank == 2:
        return builder.add("Cast", [inside], to=TensorProto.FLOAT)
    return converter.add("Where", inside, converter.input(node), builder.constant(fill))


# -- sequences ----------------------------------------------------------------------------------


@_maps("SequenceReverse")
def _(converter, node):
    if not node.attrs.get("use_sequence_length"):
        _unsupported(node, "a reversal without lengths")
    lengths = converter.builder.add("Cast", [converter.input(node, 1)], to=TensorProto.INT64)
    return converter.add("ReverseSequence", converter.input(node), lengths, time_axis=0,
                         batch_axis=1)


@_maps("Concat", "concat")
def _(converter, node):
    pair = _opposite_layers(node)
    if pair is not None:
        ahead, back, lengths = pair
        lengths = converter.builder.add("Cast", [converter.values[lengths]],
                                        to=TensorProto.INT32)
        return _recurrent(converter, [ahead, back], lengths)
    inputs = [converter.input(node, i) for i in range(len(node.inputs))]
    return converter.add("Concat", *inputs, axis=node.attrs.get("dim", 1))


def _opposite_layers(node):
    """Return (forward layer, backward layer, lengths) where `node` joins such, else None.

    The backward layer reads the reversed input, and its result is reversed again.
    """
    if len(node.inputs) != 2 or node.attrs.get("dim", 1) != 2:
        return None
    ahead, turned = node.inputs
    if ahead.op != "RNN" or turned.op != "SequenceReverse" or turned.inputs[0].op != "RNN":
        return None
    back, lengths = turned.inputs[0], turned.inputs[1]
    before = back.inputs[0]
    if (before.op != "SequenceReverse" or before.inputs[0] is not ahead.inputs[0]
            or before.inputs[1] is not lengths
            or ahead.attrs["mode"] != back.attrs["mode"]
            or ahead.attrs["state_size"] != back.attrs["state_size"]):
        return None
    return ahead, back, lengths


@_maps("RNN")
def _(converter, node):
    return _recurrent(converter, [node], "")


#: Mode -> (ONNX operator, MXNet's gates in ONNX's order, attributes)
_RECURRENT = {"lstm": ("LSTM", (0, 3, 1, 2), {}),
              "gru": ("GRU", (1, 0, 2), {"linear_before_reset": 1})}


def _recurrent(converter, layers, lengths):
    """Add one layer, or two of opposite direction; gives (T, N, directions * units)."""
    node = layers[0]
    op, order, attributes = _RECURRENT.get(node.attrs["mode"]) or _unsupported(
        node, f"mode {node.attrs['mode']}")
    size = node.attrs["state_size"]
    parts = [_gates(layer, order, size) for layer in layers]
    weights, states, biases = (np.stack(kind) for kind in zip(*parts))
    builder = converter.builder
    result = builder.add(op, [converter.input(node), builder.constant(weights),
                              builder.constant(states), builder.constant(biases), lengths],
                         hidden_size=size, direction=("forward", "bidirectional")[len(layers) - 1],
                         **attributes)
    time, batch = node.shape[:2]
    # (T, directions, N, units)
    if len(layers) == 1:
        return builder.add("Squeeze", [result, builder.constant([1], np.int64)])
    result = builder.transpose(result, [0, 2, 1, 3])
    return builder.reshape(result, (time, batch, 2, size), (time, batch, 2 * size))


def _gates(node, order, size):
    """Cut a layer's parameters into input weights, state weights and biases, gates as in ONNX."""
    attrs = node.attrs
    for key, plain in (("num_layers", 1), ("bidirectional", False), ("projection_size", None),
                       ("use_sequence_length", False), ("lstm_state_clip_nan", False),
                       ("lstm_state_clip_min", None), ("lstm_state_clip_max", None)):
        if attrs.get(key, plain) not in (plain, str(plain)):
            _unsupported(node, f"{key} {attrs[key]}")
    if any(state.op != "_zeros" for state in node.inputs[2:]):
        _unsupported(node, "a first state that is not zero")
    flat, gates = node.inputs[1].value, len(order)
    width = node.inputs[0].shape[2]
    shapes = ((gates, size, width), (gates, size, size), (gates, size), (gates, size))
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    if isinstance(width, Dim) or flat is None or flat.size != ends[-1]:
        _unsupported(node, "this kind of parameters")
    pieces = [piece.reshape(shape)[list(order)]
              for piece, shape in zip(np.split(flat, ends[:-1]), shapes)]
    return (pieces[0].reshape(-1, width), pieces[1].reshape(-1, size),
            np.concatenate([piece.ravel() for piece in pieces[2:]]))
