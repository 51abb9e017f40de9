import numpy as np
import pytest

from lm.base.errors import ModelError
from ocr.base.backend import gluon, mx, nd
from ocr.models import get_model
from ocr.models.pretrained import load_pretrained


def base():
    net = get_model("base", 5, hidden=[4, 4], scale_channels=[8], scale_blocks=[0])
    net.initialize(mx.init.Xavier())
    return net


@pytest.fixture(scope="module")
def zoo_file(tmp_path_factory):
    """A Gluon ResNet34 v1 with random weights, as the model zoo saves it."""
    path = str(tmp_path_factory.mktemp("zoo") / "resnet34.params")
    zoo = gluon.model_zoo.vision.resnet34_v1()
    zoo.initialize(mx.init.Xavier())
    zoo(nd.zeros((1, 3, 32, 32)))
    zoo.save_parameters(path)
    return path, zoo


def test_body_equals_the_zoo_resnet(zoo_file):
    path, zoo = zoo_file
    net = base()
    assert load_pretrained(net, path)
    grey = nd.random.uniform(shape=(1, 1, 64, 64))
    # Averaged filters on one channel = the colour filters on a third of it in each channel.
    expected = nd.concat(grey, grey, grey, dim=1) / 3
    for layer in zoo.features[:5]:
        expected = layer(expected)
    x = nd.relu(net.stem_norm(net.stem(grey)))
    x = nd.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")
    for block in net.body:
        x = block(x, nd.array([16]))
    np.testing.assert_allclose(x.asnumpy(), expected.asnumpy(), atol=1e-4)


def test_torchvision_state_dict(tmp_path, zoo_file):
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
    net = base()
    assert load_pretrained(net, path)
    np.testing.assert_allclose(net.body[2].conv2.weight.data().asnumpy(),
                               state["layer1.2.conv2.weight"].numpy(), rtol=1e-5)


def test_what_cannot_be_loaded_is_named(tmp_path, zoo_file):
    with pytest.raises(ModelError, match="no such file"):
        load_pretrained(base(), str(tmp_path / "none.params"))
    (tmp_path / "junk.params").write_bytes(b"junk")
    with pytest.raises(ModelError, match="junk.params"):
        load_pretrained(base(), str(tmp_path / "junk.params"))
    small = get_model("small", 5)
    small.initialize()
    with pytest.raises(ModelError, match="body_channels 64"):
        load_pretrained(small, zoo_file[0])


def test_unreachable_zoo_warns_and_goes_on(monkeypatch):
    def unreachable(**options):
        raise OSError("no network")

    monkeypatch.setattr(gluon.model_zoo.vision, "resnet34_v1", unreachable)
    with pytest.warns(UserWarning, match="cannot be fetched .* random weights"):
        assert load_pretrained(base(), "imagenet") is False
