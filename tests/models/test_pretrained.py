import os

import numpy as np
import pytest

from lm.base.errors import ModelError
from ocr.base.backend import mx, nd
from ocr.models import get_model
from ocr.models.pretrained import load_pretrained
from ocr.models.zoo import model_zoo


def line_network(**options):
    net = get_model("base", 5, hidden=[4, 4], scale_channels=[8], scale_blocks=[0], **options)
    net.initialize(mx.init.Xavier())
    return net


def zoo_file(folder, name):
    """A ResNet of the model zoo, its weights and statistics random; saved as the zoo has it."""
    mx.random.seed(1)
    zoo = model_zoo().get_model(name)
    zoo.initialize(mx.init.Xavier())
    zoo(nd.zeros((1, 3, 32, 32)))
    for parameter in zoo.collect_params().values():
        if parameter.name.endswith(("beta", "running_mean", "bias")):
            parameter.set_data(nd.random.normal(0, 0.5, shape=parameter.shape))
    path = str(folder / f"{name}.params")
    zoo.save_parameters(path)
    return path, zoo


def features_of(zoo, grey):
    """What gluoncv's own layers make of a grey image.

    Averaged filters on one channel are the colour filters on a third of it in each channel.
    """
    x = nd.concat(grey, grey, grey, dim=1) / 3
    if hasattr(zoo, "features"):
        return zoo.features[:5](x)
    return zoo.layer1(zoo.maxpool(zoo.relu(zoo.bn1(zoo.conv1(x)))))


@pytest.mark.parametrize("name", ["resnet34_v1", "resnet18_v1", "resnet50_v1", "resnet34_v1b",
                                  "resnet50_v1d"])
def test_body_equals_the_zoo(tmp_path, name):
    path, zoo = zoo_file(tmp_path, name)
    net = line_network(body=name)
    assert load_pretrained(net, path)
    grey = nd.random.uniform(shape=(2, 1, 64, 96))
    expected = features_of(zoo, grey).asnumpy()
    found = net.features(nd, grey, nd.array([24, 24])).asnumpy()
    assert found.shape == (2, 256 if "50" in name else 64, 16, 24)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_the_zoos_own_file_is_taken_for_imagenet(tmp_path, monkeypatch):
    path, zoo = zoo_file(tmp_path, "resnet18_v1")
    monkeypatch.setattr(model_zoo().model_store, "get_model_file",
                        lambda name: path if name == "resnet18_v1" else None)
    net = line_network(body="resnet18_v1")
    assert load_pretrained(net, "imagenet")
    np.testing.assert_array_equal(net.stem.weight.data().asnumpy(),
                                  zoo.features[0].weight.data().asnumpy().mean(1, keepdims=True))


def test_torchvision_state_dict(tmp_path):
    torch = pytest.importorskip("torch")
    state, names = {}, {"gamma": "weight", "beta": "bias"}
    rng = np.random.default_rng(0)

    def norm(prefix):
        for kind in ("gamma", "beta", "running_mean", "running_var"):
            state[f"{prefix}.{names.get(kind, kind)}"] = torch.tensor(rng.uniform(size=64))

    state["conv1.weight"] = torch.tensor(rng.normal(size=(64, 3, 7, 7)))
    norm("bn1")
    for block in range(3):
        for i in (1, 2):
            state[f"layer1.{block}.conv{i}.weight"] = torch.tensor(rng.normal(size=(64, 64, 3, 3)))
            norm(f"layer1.{block}.bn{i}")
    path = str(tmp_path / "resnet34.pth")
    torch.save(state, path)
    net = line_network()
    assert load_pretrained(net, path)
    np.testing.assert_allclose(net.body[2].conv2.weight.data().asnumpy(),
                               state["layer1.2.conv2.weight"].numpy(), rtol=1e-5)
    np.testing.assert_allclose(net.stem_norm.beta.data().asnumpy(), state["bn1.bias"].numpy(),
                               rtol=1e-5)


def test_what_cannot_be_loaded_is_named(tmp_path):
    path, _ = zoo_file(tmp_path, "resnet18_v1")
    net = line_network()
    with pytest.raises(ModelError, match="none.params: no such file"):
        load_pretrained(net, str(tmp_path / "none.params"))
    (tmp_path / "junk.params").write_bytes(b"junk")
    with pytest.raises(ModelError, match="junk.params: not a Gluon parameter file"):
        load_pretrained(net, str(tmp_path / "junk.params"))
    # ResNet18 has two blocks where ResNet34 has three.
    with pytest.raises(ModelError, match="no parameter 'features.4.2.body.0.weight'; not a resnet"):
        load_pretrained(net, path)
    small = get_model("small", 5)
    small.initialize()
    with pytest.raises(ModelError, match=r"features.0.weight has shape \(64, 1, 7, 7\), expected"):
        load_pretrained(small, path)
    with pytest.raises(ModelError, match="whose body is a ResNet of the model zoo"):
        load_pretrained(get_model("captcha", 5), path)


def test_an_unreachable_zoo_stops_unless_told_otherwise(tmp_path, monkeypatch):
    # No host answers at port 9; the store is asked for a file that is not there.
    monkeypatch.setenv("MXNET_GLUON_REPO", "http://127.0.0.1:9/")
    monkeypatch.setenv("HOME", str(tmp_path))
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    net = line_network()
    before = net.stem.weight.data().asnumpy()
    with pytest.raises(ModelError, match="resnet34_v1 cannot be fetched .*pretrained_required"):
        load_pretrained(net, "imagenet")
    with pytest.warns(UserWarning, match="cannot be fetched .* random weights"):
        assert load_pretrained(net, "imagenet", required=False) is False
    np.testing.assert_array_equal(net.stem.weight.data().asnumpy(), before)
    assert os.listdir(tmp_path) in ([], [".mxnet"])
