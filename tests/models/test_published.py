import subprocess
import sys

import numpy as np
import pytest

from lm.base.errors import CheckpointError, ModelError
from ocr.base.backend import gluon, mx, nd, nn, rnn
from ocr.checkpoints.checkpoint import load_checkpoint
from ocr.models.published import published_checkpoint
from ocr.models.zoo import model_zoo
from ocr.recognition.network import Recogniser


class Published(gluon.Block):
    """The layers of the published recogniser under its names: what its file was saved from."""

    class Encoder(gluon.Block):
        def __init__(self, hidden, layers):
            super().__init__()
            self.lstm = rnn.LSTM(hidden, layers, bidirectional=True)

    def __init__(self, scales=2, hidden=8, layers=2, frames=160, outputs=81):
        super().__init__()
        self.frames = frames
        self.body, self.downsampler = nn.Sequential(), nn.Sequential()
        self.body.add(nn.Conv2D(64, 7, 2, 3, use_bias=False, in_channels=1),
                      *model_zoo().get_model("resnet34_v1").features[1:-4])
        for _ in range(2):
            self.downsampler.add(nn.Conv2D(64, 3, padding=1), nn.BatchNorm(in_channels=64),
                                 nn.Activation("relu"))
        self.downsampler.add(nn.MaxPool2D(2))
        self.encoders = nn.Sequential()
        for _ in range(scales):
            encoder = nn.Sequential()
            encoder.add(self.Encoder(hidden, layers), nn.Dropout(0.5))
            self.encoders.add(encoder)
        self.decoder = nn.Dense(outputs, flatten=False)

    def forward(self, x):
        x, states = self.body(x), []
        for scale, encoder in enumerate(self.encoders):
            x = self.downsampler(x) if scale else x
            # The whole map, column by column, cut into equal pieces.
            pieces = nd.reshape(nd.transpose(x, (0, 3, 1, 2)), (len(x), self.frames, -1))
            states.append(nd.transpose(encoder[0].lstm(nd.transpose(pieces, (1, 0, 2))), (1, 0, 2)))
        return self.decoder(nd.concat(*states, dim=2))


def saved(folder, **options):
    mx.random.seed(2)
    net = Published(**options)
    net.initialize(mx.init.Xavier())
    images = nd.random.normal(shape=(2, 1, 60, 800))
    net(images)
    net.downsampler(nd.zeros((1, 64, 8, 8)))
    for name, parameter in net._collect_params_with_prefix().items():
        if name.endswith(("beta", "running_mean", "bias")):
            parameter.set_data(nd.random.normal(0, 0.3, shape=parameter.shape))
    path = str(folder / "handwriting_line8.params")
    net.save_parameters(path)
    return path, images.asnumpy(), net(images).asnumpy()


@pytest.mark.parametrize("options", [
    {}, {"scales": 1, "layers": 1, "frames": 100, "outputs": 80}, {"scales": 3}])
def test_reads_as_it_did(tmp_path, options):
    path, images, expected = saved(tmp_path, **options)
    checkpoint = published_checkpoint(path)
    recogniser = Recogniser(checkpoint, "cpu")
    logits, frames = recogniser.read_arrays(images, np.full(2, 800, np.float32))
    assert logits.shape == expected.shape and set(frames) == {options.get("frames", 160)}
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    characters = "".join(checkpoint.alphabet.characters)
    quotation = "'" if options.get("outputs") else "\\'"
    assert characters.startswith(f" !\"#&{quotation}()*+,-./0")
    assert len(characters) == options.get("outputs", 81) - 1


def test_the_other_way_of_naming_lstm_weights(tmp_path):
    path, _, _ = saved(tmp_path)
    loaded = nd.load(path)
    unfused = [name for name in loaded if "_unfused" in name]
    renamed = {name: value for name, value in loaded.items() if name not in unfused}
    for name in unfused:
        head, layer, cell = name.replace("._unfused", "").rsplit(".", 3)[0:1] + \
            name.rsplit(".", 3)[1:3]
        renamed[f"{head}.{cell[0]}{layer}_{name.rsplit('.', 1)[1]}"] = loaded[name]
    assert "encoders.0.0.lstm.l0_i2h_weight" in renamed
    expected = published_checkpoint(path).weights
    nd.save(path, renamed)
    found = published_checkpoint(path).weights
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], value) for name, value in expected.items())


def test_what_is_not_such_a_file_is_refused(tmp_path):
    path, _, _ = saved(tmp_path)
    loaded = nd.load(path)
    nd.save(path, {"extra": nd.zeros(1), **loaded})
    with pytest.raises(CheckpointError, match=r"line8.params: .* surplus \['extra'\]"):
        published_checkpoint(path)
    nd.save(path, {name: value for name, value in loaded.items() if "body.4.1" not in name})
    with pytest.raises(CheckpointError, match=r"missing \['body.1.conv1.weight'"):
        published_checkpoint(path)
    nd.save(path, {"features.0.weight": nd.zeros(1)})
    with pytest.raises(ModelError, match="not the published line recogniser's parameters"):
        published_checkpoint(path)
    with pytest.raises(ModelError, match="no such file"):
        published_checkpoint(str(tmp_path / "none.params"))
    assert published_checkpoint(saved(tmp_path, hidden=4)[0])
    with pytest.raises(ModelError, match="12 outputs; the alphabet"):
        published_checkpoint(saved(tmp_path, outputs=12)[0])


def test_ocr_restore(tmp_path):
    path, _, _ = saved(tmp_path, hidden=4, layers=1)
    output = str(tmp_path / "line8.ckpt")
    subprocess.run([sys.executable, "-m", "ocr", "restore", "--model", path, "--output", output],
                   check=True)
    assert load_checkpoint(output).config["model"]["name"] == "original"
