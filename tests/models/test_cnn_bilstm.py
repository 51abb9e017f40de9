import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm.base.errors import ConfigError, ModelError, UnknownNameError
from ocr.base.backend import autograd, gluon, mx, nd
from ocr.models import get_model, list_models

TINY = {"height": 32, "body_channels": 4, "body_blocks": 1, "scale_channels": [6],
        "scale_blocks": [1], "hidden": [5, 7], "layers": 2, "dropout": 0.3}


def tiny(**overrides):
    mx.random.seed(3)
    net = get_model("small", 11, **{**TINY, **overrides})
    net.initialize(mx.init.Xavier())
    # Running statistics away from their start, as after training: padding must still be 0.
    for name, parameter in net._collect_params_with_prefix().items():
        if name.endswith(("beta", "running_mean")):
            parameter.set_data(nd.random.normal(0, 0.5, shape=parameter.shape))
    return net


def parameters(net):
    return sum(int(np.prod(p.shape)) for p in net.collect_params().values()
               if p.grad_req != "null")


def run(net, images, widths):
    logits, frames = net(nd.array(images), nd.array(widths))[:2]
    return logits.asnumpy(), frames.asnumpy().astype(int)


def test_registry():
    assert {"original", "base", "small"} <= set(list_models())
    with pytest.raises(UnknownNameError, match="known: .*base.*original.*small"):
        get_model("smal", 5)
    with pytest.raises(ConfigError, match="'model.hiden' .*known here: height"):
        get_model("small", 5, hiden=[3])


@pytest.mark.parametrize("name, digest", [
    ("small", "d4550a15fa765fca"), ("base", "4a4a67be8673085d"), ("original", "eb4cff5327de8cee")])
def test_weights_have_the_names_and_shapes_of_earlier_checkpoints(name, digest):
    net = get_model(name, 11)
    shapes = sorted((n, p.shape) for n, p in net._collect_params_with_prefix().items())
    assert hashlib.sha256(repr(shapes).encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize("name, options", [
    ("small", {"body_blocks": 10_000_000}), ("small", {"hidden": [10 ** 9, 4]}),
    ("small", {"layers": 10 ** 20}), ("base", {"scale_blocks": [10 ** 6]}),
    ("original", {"chunks": 10 ** 9}), ("small", {"num_downsamples": 10 ** 5}),
    ("densenet", {"block_layers": [10 ** 6] * 3}), ("captcha", {"hidden": [8] * 10 ** 5}),
    ("shixin", {"height": 10 ** 9}), ("flor", {"dense": 10 ** 9})])
def test_settings_beyond_all_measure_are_refused_at_once(name, options):
    with pytest.raises(ConfigError, match=f"^model.{{1,2}}{next(iter(options))}.{{1,60}}$"):
        get_model(name, 5, **options)


def test_original_has_the_published_shape_and_trains_a_step():
    net = get_model("original", 81)
    net.initialize(mx.init.Xavier())
    images = nd.random.normal(shape=(1, 1, 60, 800))
    widths = nd.array([800])
    with autograd.record():
        logits, frames = net(images, widths)
        loss = gluon.loss.CTCLoss(layout="NTC", label_layout="NT")(
            logits, nd.array([[3, 4, 4, 5]]), frames, nd.array([4]))
    assert logits.shape == (1, 160, 81) and frames.asscalar() == 160
    # 1.25 columns of 64 x 15 a frame at the first scale, 0.625 of 64 x 7 at the second.
    first = net.encoders[0][0].ahead.collect_params()
    assert [p.shape for n, p in first.items() if n.endswith("l0_i2h_weight")] == [(2048, 1200)]
    second = net.encoders[1][0].ahead.collect_params()
    assert [p.shape for n, p in second.items() if n.endswith("l0_i2h_weight")] == [(2048, 280)]
    assert parameters(net) == 23_337_361
    trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 1e-4})
    before = loss.asscalar()
    loss.backward()
    trainer.step(1)
    with autograd.predict_mode():
        after = gluon.loss.CTCLoss(layout="NTC", label_layout="NT")(
            net(images, widths)[0], nd.array([[3, 4, 4, 5]])).asscalar()
    assert np.isfinite(before) and np.isfinite(after) and before != after
    with pytest.raises(ModelError, match="800 pixels wide, not 640"):
        net.check_input((1, 1, 60, 640))


@settings(max_examples=8)
@given(st.lists(st.integers(9, 150), min_size=2, max_size=4), st.sampled_from(["max", "flatten"]),
       st.sampled_from([2, 1]), st.integers(0, 99))
def test_padding_never_changes_a_line(widths, columns, pooling, seed):
    net = tiny(columns=columns, downsampler_convs=seed % 2, frame_pooling=[pooling])
    rng = np.random.default_rng(seed)
    total = -(-max(widths) // 64) * 64
    images = np.zeros((len(widths), 1, 32, total), np.float32)
    for image, width in zip(images, widths):
        image[0, :, :width] = rng.uniform(0, 1, (32, width))
    together, frames = run(net, images, widths)
    for index, width in enumerate(widths):
        alone_width = -(-width // net.stride) * net.stride
        alone, count = run(net, images[index:index + 1, :, :, :alone_width], [width])
        assert count[0] == frames[index] == net.frame_count(width)
        assert alone.shape[1] == count[0]
        np.testing.assert_allclose(alone[0], together[index, :count[0]], atol=2e-5)


@pytest.mark.parametrize("scales", [1, 2, 3])
def test_number_of_scales(scales):
    net = tiny(num_downsamples=scales, scale_channels=[6] * (scales - 1),
               scale_blocks=[1] * (scales - 1), hidden=[4] * scales, columns="flatten")
    logits, frames = run(net, np.zeros((2, 1, 32, 128), np.float32), [128, 50])
    stride = 4 * 2 ** (scales - 1)
    assert net.stride == stride
    assert logits.shape == (2, 128 // stride, 11)
    assert frames.tolist() == [128 // stride, -(-50 // stride)]


def test_frames_of_the_finer_scale():
    net = tiny(num_downsamples=3, scale_channels=[6, 6], scale_blocks=[1, 1], hidden=[4] * 3,
               frame_pooling=[1, 2])
    logits, frames = run(net, np.zeros((2, 1, 32, 128), np.float32), [128, 50])
    assert net.stride == 8 and logits.shape == (2, 16, 11) and frames.tolist() == [16, 7]
    assert tiny(frame_pooling=[1]).stride == 4 and tiny(frame_pooling=[]).stride == 8


def take_over(net, source):
    """Set the weights that `source` has too; what batch norms add elsewhere starts at 0."""
    weights = source._collect_params_with_prefix()
    for name, parameter in net._collect_params_with_prefix().items():
        if name in weights:
            parameter.set_data(weights[name].data())
        elif name.endswith(("beta", "running_mean")):
            parameter.set_data(nd.zeros(parameter.shape))


def test_a_network_with_more_blocks_begins_as_it_was():
    net = tiny(body_blocks=1, scale_channels=[4])
    grown = tiny(body_blocks=3, scale_channels=[4], scale_blocks=[2], last_gamma=True)
    plain = tiny(body_blocks=3, scale_channels=[4], scale_blocks=[2])
    take_over(grown, net)
    take_over(plain, net)
    images = np.random.default_rng(2).uniform(0, 1, (2, 1, 32, 64)).astype(np.float32)
    logits, _ = run(net, images, [64, 40])
    np.testing.assert_allclose(run(grown, images, [64, 40])[0], logits, atol=1e-5)
    assert np.abs(run(plain, images, [64, 40])[0] - logits).max() > 1e-3
    with autograd.record():
        total = grown(nd.array(images), nd.array([64, 40]))[0].sum()
    total.backward()
    # What is 0 learns.
    assert np.abs(grown.body[2].norm2.gamma.grad().asnumpy()).max() > 0


def test_hybridised_gives_the_same():
    net = tiny()
    images = np.random.default_rng(0).uniform(0, 1, (2, 1, 32, 64)).astype(np.float32)
    plain, _ = run(net, images, [64, 40])
    net.hybridize(static_alloc=True)
    np.testing.assert_allclose(run(net, images, [64, 40])[0], plain, atol=1e-6)


def test_shortcut_is_an_extra_output():
    net = tiny(shortcut=True)
    outputs = net(nd.zeros((1, 1, 32, 64)), nd.array([64]))
    assert [o.shape for o in outputs] == [(1, 8, 11), (1,), (1, 8, 11)]
    assert len(tiny(shortcut=False)(nd.zeros((1, 1, 32, 64)), nd.array([64]))) == 2


def test_wrong_input_is_named():
    net = tiny()
    with pytest.raises(ModelError, match=r"\(N, 1, 32, W\)"):
        net.check_input((1, 1, 30, 64))
    with pytest.raises(ModelError, match="multiples of 8, not 60"):
        net.check_input((1, 1, 32, 60))


@pytest.mark.parametrize("settings_", [{"num_downsamples": 0}, {"hidden": [3]},
                                       {"columns": "mean"}, {"dropout": 1.0},
                                       {"scale_channels": []}, {"height": 4},
                                       {"frame_pooling": [3]}, {"frame_pooling": [2, 2]},
                                       {"columns": "reshape", "frame_pooling": [1]}])
def test_bad_settings(settings_):
    with pytest.raises(ConfigError):
        get_model("small", 5, **{**TINY, **settings_})
