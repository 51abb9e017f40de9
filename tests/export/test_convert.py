"""Networks as ONNX: what onnxruntime computes is what MXNet computes."""

import types

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm.base.errors import ExportError
from ocr.base.backend import gluon, nd, nn, rnn
from ocr.export import convert
from ocr.models import list_models

from .networks import lines, randomise, tiny


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options,
                                        providers=["CPUExecutionProvider"])


def both(net, onnx_session, images, widths):
    """Return ((MXNet's logits, frames), (onnxruntime's))."""
    theirs = [value.asnumpy() for value in net(nd.array(images), nd.array(widths))[:2]]
    return theirs, onnx_session.run(("logits", "frames"), {"images": images, "widths": widths})


def agree(net, onnx_session, images, widths):
    (logits, frames), (ours, counts) = both(net, onnx_session, images, widths)
    assert ours.shape == logits.shape and counts.dtype == np.int64
    np.testing.assert_array_equal(counts, frames)
    # 1e-4 of the logits, which reach some 10 here, at most.
    for line, ours_line, count in zip(logits, ours, counts):
        np.testing.assert_allclose(ours_line[:count], line[:count], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", list_models())
def test_every_network_agrees_with_mxnet(name):
    net = tiny(name)
    runtime = session(convert(net))
    longest = net.stride if name == "original" else 140

    @settings(max_examples=4)
    @given(st.lists(st.integers(1, longest), min_size=1, max_size=4), st.integers(0, 99))
    def check(widths, seed):
        agree(net, runtime, *lines(net, widths, seed))

    check()


@pytest.mark.parametrize("overrides", [
    {"columns": "flatten", "num_downsamples": 3, "scale_channels": [6, 7], "scale_blocks": [0, 1],
     "frame_pooling": [2, 1], "hidden": [3, 4, 5], "downsampler_convs": 1, "height": 33},
    {"num_downsamples": 1, "scale_channels": [], "scale_blocks": [], "hidden": [4],
     "columns": "flatten"}])
def test_settings_of_a_network(overrides):
    net = tiny("base", **overrides)
    agree(net, session(convert(net)), *lines(net, [77, 5, 40]))


@pytest.mark.parametrize("name", list_models())
def test_a_line_reads_the_same_alone_and_padded(name):
    net = tiny(name)
    runtime = session(convert(net))
    images, widths = lines(net, [net.stride] * 2 if name == "original" else [130, 41])
    together, counts = runtime.run(None, {"images": images, "widths": widths})
    width = -(-int(widths[1]) // net.stride) * net.stride
    alone, count = runtime.run(None, {"images": images[1:, :, :, :width], "widths": widths[1:]})
    assert count[0] == counts[1]
    np.testing.assert_allclose(alone[0, :count[0]], together[1, :count[0]], atol=1e-5)


def test_two_directions_are_one_layer_and_masks_are_made_once():
    counts = {}
    for node in convert(tiny("base")).graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    # Two layers at each of two scales; batch norms are within the convolutions.
    assert counts["LSTM"] == 4 and "ReverseSequence" not in counts
    assert "BatchNormalization" not in counts and "Expand" not in counts
    assert counts["Range"] == counts["Less"] == 2


def test_flor_has_no_cut_up_convolutions():
    kinds = [node.op_type for node in convert(tiny("flor")).graph.node]
    assert kinds.count("PRelu") == 6 and kinds.count("GRU") == 2
    # Six layers and five gates of two halves; the one Slice takes the batch's width.
    assert kinds.count("Conv") == 16 and kinds.count("Slice") == 1


def test_the_file_names_its_inputs_outputs_and_opset():
    model = convert(tiny("small"))
    assert [(i.domain, i.version) for i in model.opset_import] == [("", 17)]
    shapes = {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
              for v in [*model.graph.input, *model.graph.output]}
    assert shapes == {"images": ["N", 1, 18, "W"], "widths": ["N"], "logits": ["N", "T", 7],
                      "frames": ["N"]}
    onnx.checker.check_model(model, full_check=True)


class Odd(gluon.HybridBlock):
    """Reads lines by what `body(F, x, widths, layers)` does."""

    stride, num_classes, config = 4, 6, types.SimpleNamespace(height=10)

    def __init__(self, body, **layers):
        super().__init__()
        self._body = body
        with self.name_scope():
            for name, make in layers.items():
                setattr(self, name, make())

    def check_input(self, shape):
        pass

    def hybrid_forward(self, F, x, widths):
        return self._body(self, F, x, widths)


def pooled(self, F, x, widths):
    x = self.norm(x)
    x = F.LeakyReLU(self.conv(x), act_type="leaky", slope=0.1)
    y = F.LeakyReLU(F.Activation(x, act_type="softrelu"), act_type="elu", slope=0.7)
    x = F.broadcast_maximum(self.prelu(x), F.sigmoid(y)) - F.sqrt(F.exp(y)) / 3
    x = F.Pooling(x, kernel=(3, 2), stride=(2, 2), pool_type="max", pooling_convention="full")
    x = F.Pooling(x, kernel=(3, 3), stride=(1, 2), pad=(1, 1), pool_type="avg",
                  count_include_pad=False)
    # (W / 4, N, 30)
    x = F.reshape(F.transpose(F.transpose(x, axes=(0, 1, 3, 2)), axes=(2, 0, 1, 3)),
                  shape=(0, 0, -1))
    return F.transpose(self.dense(x), axes=(1, 0, 2)), F.ceil(widths / 4)


def sequence(self, F, x, widths):
    frames = F.floor((widths + 3) / 4)
    x = F.reshape(F.transpose(x, axes=(3, 0, 1, 2)), shape=(-4, -1, 4, 0, -3))
    x = F.reshape(F.transpose(x, axes=(0, 2, 1, 3)), shape=(0, 0, -3))
    x = F.SequenceMask(x, frames, use_sequence_length=True, value=-2.0)
    ones = F.SequenceMask(F.ones_like(F.slice_axis(x, axis=2, begin=0, end=-1)), frames,
                          use_sequence_length=True)
    y = self.lstm(self.gru(F.SequenceReverse(x, frames, use_sequence_length=True)))
    first = F.slice_axis(y, axis=0, begin=0, end=1)
    y = F.broadcast_like(first, y) * y + F.broadcast_like(first, y) + F.tanh(y)
    x = F.concat(y, F.slice_axis(ones, axis=2, begin=0, end=3), dim=2)
    return F.transpose(self.dense(x), axes=(1, 0, 2)), frames


def test_operators_that_no_registered_network_uses():
    net = randomise(Odd(pooled, norm=lambda: nn.BatchNorm(in_channels=1),
                        conv=lambda: nn.Conv2D(6, 3, padding=1, in_channels=1, groups=1),
                        prelu=lambda: nn.PReLU(in_channels=6),
                        dense=lambda: nn.Dense(6, flatten=False, in_units=30)))
    agree(net, session(convert(net)), *lines(net, [32, 17, 4]))


def test_single_layers_reversals_and_sequence_masks():
    net = randomise(Odd(sequence, gru=lambda: rnn.GRU(5, input_size=40),
                        lstm=lambda: rnn.LSTM(4, input_size=5),
                        dense=lambda: nn.Dense(6, flatten=False, in_units=7)))
    agree(net, session(convert(net)), *lines(net, [32, 17, 4]))


def frames_of(F, x):
    return F.reshape(F.transpose(x, axes=(0, 3, 1, 2)), shape=(0, 0, -1))


@pytest.mark.parametrize("body,layers,message", [
    (lambda self, F, x, w: (frames_of(F, F.erf(x)), w), {}, r"operator erf \(.*no mapping"),
    (lambda self, F, x, w: (frames_of(F, F.Pooling(x, kernel=(2, 1), pool_type="sum")), w), {},
     "operator Pooling .*pool_type sum"),
    (lambda self, F, x, w: (self.lstm(frames_of(F, x)), w),
     {"lstm": lambda: rnn.LSTM(3, num_layers=2, input_size=10)}, "operator RNN .*num_layers 2"),
    (lambda self, F, x, w: (self.cell(frames_of(F, x)), w),
     {"cell": lambda: rnn.RNN(3, input_size=10)}, "operator RNN .*mode rnn_relu"),
    (lambda self, F, x, w: (frames_of(F, F.Pooling(x, kernel=(1, 2), stride=(1, 1))), w), {},
     "no whole part of the width"),
    (lambda self, F, x, w: (F.SequenceReverse(frames_of(F, x)), w), {}, "without lengths")])
def test_what_has_no_counterpart_is_named(body, layers, message):
    with pytest.raises(ExportError, match=message):
        convert(randomise(Odd(body, **layers)))
