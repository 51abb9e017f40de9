"""The networks of the older systems: Flor, the two captcha readers, DenseNet."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm.base.errors import ConfigError, ModelError
from lm.base.settings import from_mapping
from ocr.base.backend import autograd, gluon, mx, nd
from ocr.checkpoints.settings import ExperimentConfig, TrainingConfig
from ocr.models import get_model, list_models
from ocr.training.optimiser import Optimiser

TINY = {
    "flor": {"height": 64, "channels": [3, 4, 4, 5, 4, 6], "hidden": 4, "dense": 5},
    "captcha": {"height": 13, "channels": [4, 6], "dense": 16, "hidden": [5, 3]},
    "shixin": {"height": 22, "channels": [3, 4, 3], "hidden": [4, 5]},
    "densenet": {"height": 17, "stem_channels": 5, "block_layers": [2, 1, 2], "growth": 3,
                 "transition_channels": 6}}
NAMES = sorted(TINY)
STRIDES = {"flor": 4, "captcha": 4, "shixin": 4, "densenet": 8}


def tiny(name, **overrides):
    mx.random.seed(3)
    net = get_model(name, 7, **{**TINY[name], **overrides})
    net.initialize(mx.init.Xavier())
    # Statistics and shifts away from their start, as after training: padding must still be 0.
    for key, parameter in net._collect_params_with_prefix().items():
        if key.endswith(("beta", "bias", "running_mean", "alpha")):
            parameter.set_data(nd.random.normal(0, 0.5, shape=parameter.shape))
        # Small enough that what happens at one column is seen at the output.
        elif key.endswith("running_var"):
            parameter.set_data(nd.random.uniform(0.1, 0.2, shape=parameter.shape))
    return net


def run(net, images, widths):
    logits, frames = net(nd.array(images), nd.array(widths))
    return logits.asnumpy(), frames.asnumpy().astype(int)


def lines(net, widths, seed=0):
    """Random lines of these widths in one batch, padded as training pads them."""
    rng = np.random.default_rng(seed)
    images = np.zeros((len(widths), 1, net.config.height, -(-max(widths) // 64) * 64), np.float32)
    for image, width in zip(images, widths):
        image[0, :, :width] = rng.uniform(0, 1, (net.config.height, width))
    return images


def count(net, trained=True):
    return sum(int(np.prod(p.shape)) for p in net.collect_params().values()
               if p.grad_req != "null" or not trained)


def test_they_are_registered():
    assert set(NAMES) < set(list_models())


@pytest.mark.parametrize("name,classes,height,width,frames,trained,all_values", [
    # At 4 rows of the last map, not pooled to 2, it would have 920,560.
    ("flor", 96, 128, 1024, 256, 822_256, 822_768),
    # Keras' 432,725 and a second bias for each of the LSTMs' 1,536 gates.
    ("captcha", 21, 50, 200, 50, 432_725 + 1536, 434_261),
    # The published 6,739,877 count running means and variances.
    ("shixin", 37, 70, 160, 40, 6_739_781, 6_739_877),
    ("densenet", 5990, 32, 280, 35, 4_889_254, 4_896_742)])
def test_published_shape(name, classes, height, width, frames, trained, all_values):
    net = get_model(name, classes)
    net.initialize(mx.init.Xavier())
    assert (net.config.height, net.num_classes, net.stride) == (height, classes, STRIDES[name])
    assert (count(net), count(net, trained=False)) == (trained, all_values)
    net.check_input((1, 1, height, width))
    logits, counts = run(net, np.zeros((1, 1, height, width), np.float32), [width])
    assert logits.shape == (1, frames, classes)
    assert counts.tolist() == [frames] == [net.frame_count(width)]


def test_flor_without_row_pooling_has_all_rows():
    assert count(get_model("flor", 96)) == 822_256
    net = get_model("flor", 96, row_pooling=1)
    # Two directions of 3 gates x 128 units, each with 2 x 64 more inputs.
    assert count(net) == 822_256 + 2 * 3 * 128 * 2 * 64
    assert tiny("flor", height=32, row_pooling=1)(nd.zeros((1, 1, 32, 8)),
                                                  nd.array([8]))[0].shape == (1, 2, 7)


def test_flor_prelu_is_mxnets():
    net = tiny("flor")
    slope, rng = net.blocks[1].prelu, np.random.default_rng(2)
    x = nd.array(rng.normal(size=(2, 4, 5, 6)))
    given_back = []
    for function in (slope, lambda x: nd.LeakyReLU(x, slope.alpha.data(), act_type="prelu")):
        x.attach_grad()
        with autograd.record():
            y = function(x)
        y.backward(nd.array(np.random.default_rng(3).normal(size=x.shape)))
        given_back.append([v.asnumpy() for v in (y, x.grad, slope.alpha.grad())])
    for ours, theirs in zip(*given_back):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    assert np.abs(given_back[0][2]).min() > 1e-3


def test_captcha_starts_with_keras_forget_gates():
    net = get_model("captcha", 7, **TINY["captcha"])
    net.initialize(mx.init.Xavier())
    for key, parameter in net._collect_params_with_prefix().items():
        if key.startswith("encoder") and key.endswith("bias"):
            gates = parameter.data().asnumpy().reshape(4, -1)
            # Of the two biases one is 1.
            assert (gates[1] == ("i2h" in key)).all() and not gates[[0, 2, 3]].any()


@pytest.mark.parametrize("name", NAMES)
def test_padding_never_changes_a_line(name):
    net = tiny(name)

    @settings(max_examples=8)
    @given(st.lists(st.integers(1, 130), min_size=2, max_size=4), st.integers(0, 99))
    def check(widths, seed):
        images = lines(net, widths, seed)
        together, frames = run(net, images, widths)
        for index, width in enumerate(widths):
            alone_width = -(-width // net.stride) * net.stride
            alone, number = run(net, images[index:index + 1, :, :, :alone_width], [width])
            assert alone.shape[1] == number[0] == frames[index] == net.frame_count(width)
            np.testing.assert_allclose(alone[0], together[index, :number[0]],
                                       atol=1e-5 * max(1, np.abs(alone).max()))

    check()


@pytest.mark.parametrize("name", NAMES)
def test_each_frame_sees_its_own_columns(name):
    """No part of a line is lost, its first and last columns of pixels included."""
    net = tiny(name)
    images = lines(net, [64])
    before, _ = run(net, images, [64])
    for column, frame in ((0, 0), (63, -1)):
        moved = 0.0
        # Either way: one of them may fall where every ReLU of a tiny network is 0.
        for change in (1, -1):
            changed = images.copy()
            changed[..., column] += change
            after, _ = run(net, changed, [64])
            moved = max(moved, np.abs(after[0, frame] - before[0, frame]).max())
        assert moved > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_hybridised_gives_the_same_and_learns(name):
    net = tiny(name)
    widths, labels = [64, 41], nd.array([[1, 2, 3], [0, 5, -1]])
    images = lines(net, widths)
    plain, frames = run(net, images, widths)
    net.hybridize(static_alloc=True)
    np.testing.assert_allclose(run(net, images, widths)[0], plain, atol=1e-6)

    def loss(logits):
        return gluon.loss.CTCLoss(layout="NTC", label_layout="NT")(
            logits, labels, nd.array(frames), nd.array([3, 2]))

    trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 0.02})
    losses = [loss(nd.array(plain)).mean().asscalar()]
    for _ in range(12):
        with autograd.record():
            value = loss(net(nd.array(images), nd.array(widths))[0])
        value.backward()
        gradients = {key: p.grad().asnumpy()
                     for key, p in net._collect_params_with_prefix().items()
                     if p.grad_req != "null"}
        trainer.step(2)
        # Reading between steps, as validation does, changes how oneDNN lays out the weights.
        losses.append(loss(nd.array(run(net, images, widths)[0])).mean().asscalar())
    assert np.isfinite(losses).all() and losses[1] != losses[0]
    assert min(losses) < 0.85 * losses[0]
    # The weights that nothing reaches would be dead.
    assert not [key for key, g in gradients.items() if key.endswith("weight") and not g.any()]


def test_densenet_of_the_published_channels_learns():
    # Its 128 and 192 channels are what oneDNN lays out in blocks of 16.
    net = get_model("densenet", 5)
    net.initialize(mx.init.Xavier())
    net.hybridize(static_alloc=True)
    images, widths = nd.array(lines(net, [64])), nd.array([64])
    before = net(images, widths)[0].asnumpy()
    trainer = gluon.Trainer(net.collect_params(), "adam")
    with autograd.record():
        logits, frames = net(images, widths)
        loss = gluon.loss.CTCLoss(layout="NTC", label_layout="NT")(
            logits, nd.array([[1, 2]]), frames)
    loss.backward()
    trainer.step(1)
    after = net(images, widths)[0].asnumpy()
    assert np.isfinite(after).all() and np.abs(after - before).max() > 1e-3


@pytest.mark.parametrize("optimiser,everything", [("adam", False), ("adamw", True)])
def test_densenet_weight_decay(optimiser, everything):
    net = tiny("densenet")
    decaying = Optimiser(net, TrainingConfig(optimiser=optimiser, weight_decay=0.5))
    named = net._collect_params_with_prefix()
    before = {key: p.data().asnumpy() for key, p in named.items() if p.grad_req != "null"}
    with autograd.record():
        nothing = sum((named[key].data() * 0).sum() for key in before)
    nothing.backward()
    decaying.step(0.1)
    changed = {key for key, value in before.items()
               if not np.array_equal(named[key].data().asnumpy(), value)}
    original = {"stem.weight", "transitions.0.conv.weight", "transitions.1.conv.weight"}
    weights = {key for key in before if key.endswith("weight")}
    assert changed == (weights if everything else original)


def filter_norms(net):
    return [np.sqrt((block.gate.conv.weight.data().asnumpy() ** 2).sum((1, 2, 3)))
            for block in list(net.blocks)[:-1]]


def test_flor_constrains_its_last_three_gates():
    net = tiny("flor")
    run(net, lines(net, [32]), [32])
    weights = [block.gate.conv.weight for block in list(net.blocks)[:-1]]
    for weight in weights:
        weight.set_data(nd.random.normal(0, 4 / weight.shape[1] ** 0.5 / 3, shape=weight.shape))
    before, values = filter_norms(net), [w.data().asnumpy() for w in weights]
    assert all(norms.min() < 4 < norms.max() for norms in before[2:])
    net.constrain()
    for i, (old, norms, weight) in enumerate(zip(values, before, weights)):
        factor = np.minimum(1, 4 / norms) if i > 1 else np.ones_like(norms)
        np.testing.assert_allclose(weight.data().asnumpy(), old * factor[:, None, None, None],
                                   rtol=1e-5)
        unchanged = norms <= 4
        np.testing.assert_array_equal(weight.data().asnumpy()[unchanged], old[unchanged])
    free = tiny("flor", max_norm=0)
    before = filter_norms(free)
    free.constrain()
    np.testing.assert_array_equal(np.concatenate(filter_norms(free)), np.concatenate(before))


def test_training_constrains_flor(table, tmp_path):
    from ocr.training.sources import make_alphabet, open_split
    from ocr.training.trainer import Trainer

    config = from_mapping(ExperimentConfig, {
        "output": str(tmp_path / "run"), "preprocess": {"height": 64},
        "model": {"name": "flor", "options": {**TINY["flor"], "max_norm": 0.3}},
        "data": {"source": "table", "train": {"path": str(table[0])},
                 "validation": {"path": str(table[1])}},
        "training": {"epochs": 1, "batch_size": 8, "log_images": 0, "device": "cpu"}})
    train_set = open_split(config.data, "train")
    trainer = Trainer(config, train_set, open_split(config.data, "validation"),
                      make_alphabet("data", train_set), say=lambda line: None)
    assert max(norms.max() for norms in filter_norms(trainer.net)[2:]) > 0.5
    trainer.run()
    norms = filter_norms(trainer.net)
    assert max(n.max() for n in norms[2:]) < 0.3001 and max(n.max() for n in norms[:2]) > 0.5


def test_flor_gate_is_half_times_sigmoid_of_the_other_half():
    net = tiny("flor")
    gate = net.blocks[1].gate
    x = nd.random.normal(shape=(2, 4, 5, 6))
    both = gate.conv(x).asnumpy()
    np.testing.assert_allclose(gate(x).asnumpy(), both[:, :4] / (1 + np.exp(-both[:, 4:])),
                               rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["captcha", "shixin"])
def test_recurrent_layers_run_both_ways(name):
    """Reversed input and exchanged directions give the reversed output, halves exchanged."""
    net = tiny(name)
    first = net.encoder[0]
    x = nd.random.normal(shape=(6, 1, first.ahead._input_size))
    straight = first(x, nd.array([6])).asnumpy()
    ahead, back = first.ahead.collect_params().values(), first.back.collect_params().values()
    for one, other in zip(ahead, back):
        kept = one.data().copy()
        one.set_data(other.data())
        other.set_data(kept)
    turned = first(nd.reverse(x, axis=0), nd.array([6])).asnumpy()[::-1]
    np.testing.assert_allclose(np.roll(turned, turned.shape[2] // 2, axis=2), straight, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_input_is_named(name):
    net, height, stride = tiny(name), TINY[name]["height"], STRIDES[name]
    with pytest.raises(ModelError, match=rf"\(N, 1, {height}, W\)"):
        net.check_input((1, 1, height + 1, 64))
    for width in (0, 60 + stride // 4):
        with pytest.raises(ModelError, match=f"multiples of {stride}, not {width}"):
            net.check_input((1, 1, height, width))
    with pytest.raises(ModelError, match="at least one character"):
        get_model(name, 1)


@pytest.mark.parametrize("name,setting,value,said", [
    ("flor", "height", 96, "height 96 is no multiple of 64"),
    ("flor", "height", 0, "height must be at least 1 and at most 8192, not 0"),
    ("flor", "channels", [4, 4], "channels needs 6 values, not 2"),
    ("flor", "row_pooling", 0, "row_pooling must be at least 1"),
    ("flor", "max_norm", -1, "max_norm must be at least 0"),
    ("flor", "max_norm", float("nan"), "max_norm must be finite"),
    ("flor", "gate_dropout", 1.0, "gate_dropout must be at least 0 and below 1, not 1"),
    ("flor", "hidden", [128], "model.hidden: expected int"),
    ("captcha", "height", 3, "height 3 is less than 4"),
    ("captcha", "channels", [32, 64, 64], "channels needs 2 values, not 3"),
    ("captcha", "hidden", [], "hidden has 0 values; expected 1 to 64"),
    ("captcha", "dropout", -0.1, "dropout must be at least 0 and below 1, not -0.1"),
    ("captcha", "rows", 3, "unknown setting 'model.rows'.* known here: height, channels"),
    ("shixin", "height", 7, "height 7 is less than 8"),
    ("shixin", "channels", [16], "channels needs 3 values, not 1"),
    ("shixin", "hidden", [512, 0], "hidden\\[1\\] must be at least 1 and"),
    ("densenet", "height", 7, "height 7 is less than 8"),
    ("densenet", "block_layers", [8, 0], "block_layers\\[1\\] must be at least 1 and"),
    ("densenet", "growth", 0, "growth must be at least 1"),
    ("densenet", "dropout", 2, "dropout must be at least 0 and below 1")])
def test_bad_settings(name, setting, value, said):
    with pytest.raises(ConfigError, match=said):
        get_model(name, 5, **{setting: value})
