"""Building an ONNX graph: each value once, nothing that no output needs."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lm.base.errors import ExportError

from .graph import Dim

__all__ = ["OPSET", "Builder"]

OPSET = 17
#: Of the file format; readable by onnxruntime 1.11 and newer.
_IR_VERSION = 8


class Builder:
    """Collects ONNX nodes; the same operator on the same inputs is made once.

    Parameters
    ----------
    images : tuple
        Shape of the input "images": int, or str for a size that varies.
    """

    def __init__(self, images):
        self._images = images
        self._nodes, self._made = [], {}
        #: name -> the node that makes it
        self.producers = {}
        self._constants, self._constant_names = {}, {}

    def add(self, op, inputs, **attributes):
        """Add a node with one output; returns the output's name."""
        key = (op, tuple(inputs), repr(sorted(attributes.items())))
        if key not in self._made:
            name = f"{op}_{len(self._nodes)}"
            node = helper.make_node(op, list(inputs), [name], name, **attributes)
            self._nodes.append(node)
            self.producers[name] = node
            self._made[key] = name
        return self._made[key]

    def constant(self, value, dtype=np.float32):
        """Add an initialiser; returns its name."""
        value = np.ascontiguousarray(value, dtype).reshape(np.shape(value))
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self._constant_names:
            name = f"constant_{len(self._constants)}"
            self._constant_names[key] = name
            self._constants[name] = value
        return self._constant_names[key]

    def transpose(self, name, axes):
        """Permute axes; two permutations in a row become one."""
        made = self.producers.get(name)
        if made is not None and made.op_type == "Transpose":
            [before] = (a.ints for a in made.attribute)
            name, axes = made.input[0], [before[axis] for axis in axes]
        return name if list(axes) == sorted(axes) else self.add("Transpose", [name], perm=axes)

    def size(self, dimension):
        """Return the name of a size as an int64 vector of one."""
        if not isinstance(dimension, Dim):
            return self.constant([dimension], np.int64)
        axis = 3 if dimension.divisor else 0
        size = self.add("Slice", [self.add("Shape", ["images"]),
                                  self.constant([axis], np.int64),
                                  self.constant([axis + 1], np.int64)])
        if dimension.divisor > 1:
            size = self.add("Div", [size, self.constant([dimension.divisor], np.int64)])
        return size

    def reshape(self, name, before, after):
        """Change the shape from `before` to `after` (int and `Dim`)."""
        if before == after:
            return name
        target = []
        for axis, size in enumerate(after):
            if isinstance(size, Dim):
                # ONNX copies a size where the shape says 0.
                size = 0 if axis < len(before) and before[axis] == size else -1
            target.append(size)
        if target.count(-1) > 1:
            shape = self.add("Concat", [self.size(size) for size in after], axis=0)
        else:
            shape = self.constant(target, np.int64)
        return self.add("Reshape", [name, shape])

    def model(self, outputs):
        """Return the checked model.

        Parameters
        ----------
        outputs : dict of str to (str, int, tuple)
            Output name -> (value, ONNX type, shape).

        Raises
        ------
        ExportError
            The graph does not satisfy ONNX.
        """
        ends = []
        for name, (value, _, _) in outputs.items():
            ends.append(helper.make_node("Identity", [value], [name], name))
        needed, nodes = {i for node in ends for i in node.input}, ends
        for node in reversed(self._nodes):
            if node.output[0] in needed:
                nodes = [node] + nodes
                needed.update(node.input)
        graph = helper.make_graph(
            nodes, "ocr",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, self._images),
             helper.make_tensor_value_info("widths", TensorProto.FLOAT, ["N"])],
            [helper.make_tensor_value_info(name, kind, shape)
             for name, (_, kind, shape) in outputs.items()],
            [numpy_helper.from_array(value, name) for name, value in self._constants.items()
             if name in needed])
        model = helper.make_model(graph, producer_name="ocr", ir_version=_IR_VERSION,
                                  opset_imports=[helper.make_opsetid("", OPSET)])
        try:
            onnx.checker.check_model(model)
            onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise ExportError(f"the graph is not valid ONNX: {error}") from None
        return model
