"""Back from ONNX: the same function, and batch norms that training can go on with."""

import json

import numpy as np
import onnx
import pytest

from lm.base.errors import CheckpointError, DataError
from lm.base.settings import from_mapping
from ocr.base.backend import autograd, nd
from ocr.batching import PreparedLines, evaluation_batches
from ocr.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from ocr.checkpoints.metadata import SETTINGS_KEY
from ocr.checkpoints.settings import ExperimentConfig
from ocr.data.base import LineDataset, LineSample
from ocr.export import export_onnx, restore
from ocr.models import list_models
from ocr.recognition import open_recogniser
from ocr.recognition.network import Recogniser

from .networks import grey_images, write_checkpoint

CONFIG = from_mapping(ExperimentConfig, {"output": "somewhere"})


class Greys(LineDataset):
    def __init__(self, count=12):
        super().__init__("greys", "all", [LineSample(str(i), "ab") for i in range(count)])
        self.images = grey_images(count, seed=4)

    def image(self, index):
        return self.images[int(self.samples[index].id)]

    def image_key(self, index):
        return self.samples[index].id


def prepare(preprocess):
    return PreparedLines(Greys(), preprocess, progress=False)


def restored(path, tmp_path):
    save_checkpoint(str(tmp_path / "restored.ckpt"), restore(str(path), CONFIG, prepare))
    return Recogniser(str(tmp_path / "restored.ckpt"), "cpu")


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", list_models())
def test_every_network_comes_back(name, half, tmp_path):
    checkpoint = write_checkpoint(tmp_path / "best.ckpt", name)
    export_onnx(checkpoint, str(tmp_path / "x.onnx"), half=half)
    light = open_recogniser(str(tmp_path / "x.onnx"))
    again = restored(tmp_path / "x.onnx", tmp_path)
    assert again.alphabet == light.alphabet and again.preprocess == light.preprocess
    assert again.config.model == Recogniser(checkpoint, "cpu").config.model
    images = grey_images(5)
    for ours, theirs in zip(again.logits_of_images(images), light.logits_of_images(images)):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    # And once more: nothing is lost on the way.
    export_onnx(again, str(tmp_path / "y.onnx"))
    for ours, theirs in zip(open_recogniser(str(tmp_path / "y.onnx")).logits_of_images(images),
                            light.logits_of_images(images)):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_batch_norms_have_the_statistics_of_the_lines(tmp_path):
    """Training's own statistics, of a batch, are then nearly those that reading takes."""
    export_onnx(write_checkpoint(tmp_path / "best.ckpt", "small"), str(tmp_path / "x.onnx"))
    recogniser = restored(tmp_path / "x.onnx", tmp_path)
    prepared = prepare(recogniser.preprocess)
    net = recogniser.net
    net.hybridize(False)
    net.drop._rate = 0.0
    [batch] = evaluation_batches(prepared, len(prepared), workers=0)
    arrays = nd.array(batch.images), nd.array(batch.widths)
    reading = net(*arrays)[0].asnumpy()
    with autograd.train_mode():
        training = net(*arrays)[0].asnumpy()
    assert np.abs(reading - training).max() < 0.05 * np.abs(reading).max()
    # Without them they would be far off.
    plain = load_checkpoint(str(tmp_path / "best.ckpt"))
    again = load_checkpoint(str(tmp_path / "restored.ckpt"))
    assert not np.allclose(plain.weights["stem_norm.running_mean"],
                           again.weights["stem_norm.running_mean"], atol=0.05)


def test_8_bit_weights_do_not_come_back(tmp_path):
    export_onnx(write_checkpoint(tmp_path / "best.ckpt", "small"), str(tmp_path / "x.onnx"),
                int8=True)
    with pytest.raises(CheckpointError, match="x.onnx.*8 bits cannot be restored"):
        restored(tmp_path / "x.onnx", tmp_path)


def edit(path, change):
    model = onnx.load(path)
    for entry in model.metadata_props:
        if entry.key == SETTINGS_KEY:
            settings = json.loads(entry.value)
            change(settings, model)
            entry.value = json.dumps(settings)
    # Not the checksum, which stands last.
    del model.metadata_props[-1]
    onnx.save(model, path)


def spread_out(model):
    """Have a 3x3 convolution read every second pixel."""
    second = [node for node in model.graph.node if node.op_type == "Conv"][1]
    for attribute in second.attribute:
        if attribute.name in ("pads", "dilations"):
            attribute.ints[:] = [2] * len(attribute.ints)


@pytest.mark.parametrize("change,message", [
    (lambda settings, model: settings["model"]["options"].update(body_blocks=2), "not that of"),
    (lambda settings, model: settings["model"]["options"].update(hidden=[4, 5]), "has shape"),
    (lambda settings, model: spread_out(model), "logits differ"),
])
def test_a_file_that_is_another_networks(change, message, tmp_path):
    path = str(tmp_path / "x.onnx")
    export_onnx(write_checkpoint(tmp_path / "best.ckpt", "small"), path)
    edit(path, change)
    with pytest.raises(CheckpointError, match=f"x.onnx.*{message}"):
        restored(path, tmp_path)


def test_what_is_no_export(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match="x.onnx"):
        restored(tmp_path / "x.onnx", tmp_path)


def test_no_line_to_take_statistics_of(tmp_path):
    export_onnx(write_checkpoint(tmp_path / "best.ckpt", "captcha"), str(tmp_path / "x.onnx"))
    with pytest.raises(DataError, match="no line can be read"):
        restore(str(tmp_path / "x.onnx"), CONFIG,
                lambda preprocess: PreparedLines(Greys(0), preprocess, progress=False))


def test_weights_in_another_file(tmp_path):
    export_onnx(write_checkpoint(tmp_path / "best.ckpt", "captcha"), str(tmp_path / "x.onnx"))
    model = onnx.load(tmp_path / "x.onnx")
    del model.metadata_props[-1]
    onnx.save(model, tmp_path / "x.onnx", save_as_external_data=True, location="x.data",
              size_threshold=0)
    for _ in range(2):
        with pytest.raises(CheckpointError, match="its weights lie in other files"):
            restore(str(tmp_path / "x.onnx"), CONFIG, prepare)
        # Gone or there, it is all the same.
        (tmp_path / "x.data").unlink(missing_ok=True)


@pytest.mark.parametrize("part", ["model", "alphabet", "preprocess", "state"])
def test_settings_that_lack_a_part(part, tmp_path):
    export_onnx(write_checkpoint(tmp_path / "best.ckpt", "captcha"), str(tmp_path / "x.onnx"))
    edit(str(tmp_path / "x.onnx"), lambda settings, model: settings.pop(part))
    with pytest.raises(CheckpointError, match=f"x.onnx: its settings lack '{part}'"):
        restore(str(tmp_path / "x.onnx"), CONFIG, prepare)
