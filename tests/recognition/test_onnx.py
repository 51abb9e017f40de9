"""Reading with an exported model: batches, positions, errors, and no MXNet anywhere."""

import json
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm.base.errors import CheckpointError, DataError, DeviceError, ModelError, UnknownNameError
from ocr.checkpoints.metadata import FORMAT, FORMAT_KEY, SETTINGS_KEY, read_settings
from ocr.checkpoints.shipped import model_path
from ocr.decoding import Span, decoder_stage
from ocr.export import export_onnx
from ocr.image import PreprocessConfig, image_columns, input_width, resized_width
from ocr.recognition import open_recogniser
from ocr.recognition.onnx import OnnxRecogniser

from ..export.networks import grey_images, write_checkpoint


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """An exported model of the kind captcha."""
    folder = tmp_path_factory.mktemp("runtime")
    export_onnx(write_checkpoint(folder / "best.ckpt", "captcha"), str(folder / "m.onnx"))
    return str(folder / "m.onnx")


@pytest.fixture(scope="module")
def recogniser(exported):
    return OnnxRecogniser(exported, threads=1)


#: Reads an image with packages blocked; prints what was read and which modules were loaded.
ALONE = """
import json, sys
for name in ("mxnet", "onnx", "yaml", "rapidfuzz", "tqdm", "scipy", "skimage", "h5py",
             "pyctcdecode", "kenlm", "ocr.base.backend"):
    sys.modules[name] = None
import numpy as np
from ocr.recognition import open_recogniser
recogniser = open_recogniser(sys.argv[1])
images = [np.load(path) for path in sys.argv[2:]]
print(json.dumps([[h.text, h.confidence] for h in recogniser.recognise(images)]))
"""


def test_it_needs_no_mxnet_nor_anything_else(exported, recogniser, tmp_path):
    images, paths = grey_images(3), []
    for i, image in enumerate(images):
        paths.append(str(tmp_path / f"{i}.npy"))
        np.save(paths[-1], image)
    done = subprocess.run([sys.executable, "-c", ALONE, exported, *paths], capture_output=True,
                          text=True, env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert done.returncode == 0, done.stderr
    for (text, confidence), ours in zip(json.loads(done.stdout), recogniser.recognise(images)):
        assert text == ours.text and confidence == pytest.approx(ours.confidence, abs=1e-5)


def test_the_command_line_needs_no_mxnet(exported, tmp_path):
    from PIL import Image

    Image.fromarray(grey_images(1)[0]).save(tmp_path / "line.png")
    code = ("import sys; sys.modules['mxnet'] = None; from ocr.cli.main import main; "
            "sys.exit(main(sys.argv[1:]))")
    done = subprocess.run(
        [sys.executable, "-c", code, "recognise", str(tmp_path / "line.png"), "--model",
         exported, "--lines", "one"], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() and done.stdout.count("\n") == 1


@settings(max_examples=10)
@given(st.integers(1, 9), st.integers(1, 4), st.integers(0, 50))
def test_batches_change_nothing(recogniser, count, size, seed):
    images = grey_images(count, seed)
    together = recogniser.logits_of_images(images, size)
    assert len(together) == count
    for image, line in zip(images, together):
        [alone] = recogniser.logits_of_images([image])
        assert line.shape == alone.shape
        np.testing.assert_allclose(line, alone, atol=1e-5)



def test_models_are_opened_by_file_or_by_name(tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match="none.onnx: no such model"):
        OnnxRecogniser("none.onnx")
    with pytest.raises(UnknownNameError, match="frnch: neither a model file nor a shipped model; "
                       r"shipped: english, french \(did you mean 'french'"):
        open_recogniser("frnch")
    # A folder of that name hides nothing.
    (tmp_path / "french").mkdir()
    monkeypatch.chdir(tmp_path)
    assert open_recogniser("french").path == model_path("french") == open_recogniser().path
    with pytest.raises(UnknownNameError, match="neither a model file"):
        open_recogniser(tmp_path)


def test_an_empty_list_of_images(recogniser):
    assert recogniser.recognise([]) == [] == recogniser.logits_of_images([])


def test_other_decoders(recogniser):
    images = grey_images(2)
    greedy = recogniser.recognise(images, "greedy")
    beam = recogniser.recognise(images, decoder_stage("beam", workers=1))
    assert all(b.score >= g.score - 1e-3 for g, b in zip(greedy, beam))
    with pytest.raises(UnknownNameError, match="unknown decoder"):
        recogniser.recognise(images, "best")


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32),
                                   np.zeros((0, 4), np.uint8)])
def test_a_wrong_image_is_named(recogniser, image):
    with pytest.raises(DataError, match="image 1: expected a grey uint8 image"):
        recogniser.logits_of_images([grey_images(1)[0], image])


@pytest.mark.parametrize("shape,message", [
    ((1, 1, 12, 64), "13"), ((1, 13, 64), "13"), ((1, 2, 13, 64), "13"),
    ((1, 1, 13, 62), "multiples of 4"), ((1, 1, 13, 0), "multiples of 4")])
def test_arrays_that_do_not_fit(recogniser, shape, message):
    with pytest.raises(ModelError, match=message):
        recogniser.read_arrays(np.zeros(shape, np.float32), np.ones(1, np.float32))


def test_arrays_are_read_whatever_their_type(recogniser):
    images = np.random.default_rng(0).uniform(0, 1, (2, 1, 13, 32))
    wide, counts = recogniser.read_arrays(images, [32, 9])
    narrow, _ = recogniser.read_arrays(images.astype(np.float32), np.array([32, 9], np.float32))
    assert wide.dtype == np.float32 and counts.tolist() == [8, 3]
    np.testing.assert_array_equal(wide, narrow)


# -- positions ----------------------------------------------------------------------------------


def test_positions_are_columns_of_the_image(recogniser):
    # 26 rows become 13, and the margin is 3 columns: frame 0 begins before the image.
    assert recogniser.columns_of(Span("a", 0, 2, 1.0), (26, 100)) == (0, 10)
    assert recogniser.columns_of(Span("a", 2, 99, 1.0), (26, 100)) == (10, 100)


@given(st.integers(1, 300), st.integers(1, 3000), st.integers(0, 20),
       st.sampled_from([None, 40, 800]))
def test_the_whole_line_is_the_whole_image(height, width, margin, box):
    config = PreprocessConfig(height=40, width=box, margin=margin)
    total = input_width(resized_width(height, width, config), config)
    left, right = image_columns((0, total), height, width, config)
    assert left == 0 and right == width
    columns = image_columns(np.linspace(0, total, 9), height, width, config)
    assert list(columns) == sorted(columns)


# -- files that are not ours --------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_file(exported, tmp_path, share):
    with open(exported, "rb") as source:
        content = source.read()
    path = tmp_path / "cut.onnx"
    path.write_bytes(content[:int(share * len(content))])
    with pytest.raises(CheckpointError, match="cut.onnx: .*cut short"):
        OnnxRecogniser(str(path))


@settings(max_examples=30)
@given(st.binary(max_size=200))
def test_noise_is_no_model(tmp_path, noise):
    (tmp_path / "noise.onnx").write_bytes(noise)
    with pytest.raises(CheckpointError, match="noise.onnx: "):
        OnnxRecogniser(str(tmp_path / "noise.onnx"))


def changed(exported, path, **values):
    """Copy a model with other settings; None takes one away."""
    model = onnx.load(exported)
    settings = {**read_settings(exported), **values}
    settings = {key: value for key, value in settings.items() if value is not None}
    onnx.helper.set_model_props(model, {FORMAT_KEY: FORMAT, SETTINGS_KEY: json.dumps(settings)})
    onnx.save(model, str(path))
    return str(path)


@pytest.mark.parametrize("values,message", [
    ({"alphabet": None}, "incomplete or damaged .*alphabet"),
    ({"alphabet": {}}, "incomplete or damaged .*characters"),
    ({"alphabet": {"characters": "ab"}}, "alphabet has 3 classes, its network 7"),
    ({"preprocess": {"height": 2}}, "incomplete or damaged .*height"),
    ({"stride": "x"}, "incomplete or damaged"),
    ({"model": None}, "incomplete or damaged .*model"),
    ({"pipeline": {"decoder": {"beam": 3}}}, "decoder settings: a decoder needs a name")])
def test_damaged_settings(exported, tmp_path, values, message):
    with pytest.raises(CheckpointError, match=message):
        OnnxRecogniser(changed(exported, tmp_path / "m.onnx", **values))


@pytest.mark.parametrize("properties,message", [
    ({}, "not a model of this library's format"),
    ({FORMAT_KEY: "ocr-onnx-99", SETTINGS_KEY: "{}"}, "not a model of this library's format"),
    ({FORMAT_KEY: FORMAT, SETTINGS_KEY: "{"}, "not JSON"),
    ({FORMAT_KEY: FORMAT, SETTINGS_KEY: "[]"}, "expected an object of JSON")])
def test_another_onnx_file(exported, tmp_path, properties, message):
    model = onnx.load(exported)
    onnx.helper.set_model_props(model, properties)
    onnx.save(model, str(tmp_path / "m.onnx"))
    with pytest.raises(CheckpointError, match=message):
        OnnxRecogniser(str(tmp_path / "m.onnx"))


def test_settings_without_a_network(exported, tmp_path):
    model = onnx.load(exported)
    del model.graph.node[2:]
    del model.metadata_props[2:]
    onnx.save(model, str(tmp_path / "m.onnx"))
    with pytest.raises(CheckpointError, match="onnxruntime cannot load it"):
        OnnxRecogniser(str(tmp_path / "m.onnx"))


def test_a_flipped_bit_is_found_wherever_it_is(exported, tmp_path):
    with open(exported, "rb") as source:
        content = bytearray(source.read())
    path = tmp_path / "flipped.onnx"
    for place in np.random.default_rng(0).integers(0, len(content) - 30, 40):
        content[place] ^= 4
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="flipped.onnx: "):
            read_settings(path)
        content[place] ^= 4
    path.write_bytes(content)
    assert read_settings(path)["stride"] == 4
    # As it was written before there were checksums, and before lines were cleaned.
    model = onnx.load(exported)
    settings = json.loads(next(p.value for p in model.metadata_props if p.key == SETTINGS_KEY))
    for name in ("cleaning", "deslant"):
        del settings["preprocess"][name]
    onnx.helper.set_model_props(model, {FORMAT_KEY: FORMAT, SETTINGS_KEY: json.dumps(settings)})
    onnx.save(model, str(path))
    assert OnnxRecogniser(path).preprocess.cleaning == "none"


def foreign(path, exported, inputs, shape, settings=None):
    """Write a tiny network of somebody else's under the settings of an export."""
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, size)
              for name, size in inputs.items()]
    nodes = [helper.make_node("Identity", [next(iter(inputs))], ["logits"]),
             helper.make_node("Cast", ["widths" if "widths" in inputs else next(iter(inputs))],
                              ["frames"], to=TensorProto.INT64)]
    graph = helper.make_graph(nodes, "tiny", values, [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape),
        helper.make_tensor_value_info("frames", TensorProto.INT64, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    helper.set_model_props(model, {FORMAT_KEY: FORMAT, SETTINGS_KEY: json.dumps(
        {**read_settings(exported), **(settings or {})})})
    onnx.save(model, str(path))
    return str(path)


@pytest.mark.parametrize("inputs,settings,message", [
    ({"x": [1]}, {}, "other inputs and outputs"),
    ({"images": ["N", 1, 13, "W"], "widths": ["N"]}, {}, "other inputs and outputs"),
    ({"images": ["N", 1, 13, "W"], "widths": ["N"]}, {"stride": 0}, "stride 0"),
    ({"images": ["N", 1, 13, "W"], "widths": ["N"]}, {"frame_pixels": float("1e300")}, "1e.300")])
def test_a_foreign_network_under_our_settings(exported, tmp_path, inputs, settings, message):
    path = foreign(tmp_path / "tiny.onnx", exported, inputs, ["N", 1, 13, "W"], settings)
    with pytest.raises(CheckpointError, match=f"tiny.onnx: .*{message}"):
        OnnxRecogniser(path)


def test_settings_of_another_height_than_the_networks(exported, tmp_path):
    preprocess = {**read_settings(exported)["preprocess"], "height": 20}
    with pytest.raises(CheckpointError, match="reads lines of 13 pixels, its settings make them "
                       "20 pixels high"):
        OnnxRecogniser(changed(exported, tmp_path / "m.onnx", preprocess=preprocess))


@pytest.mark.parametrize("device", ["gpu", "gpu:1"])
def test_a_gpu_that_onnxruntime_has_not(exported, device):
    with pytest.raises(DeviceError, match="onnxruntime-gpu"):
        open_recogniser(exported, device)


def test_an_unknown_device(exported):
    with pytest.raises(DeviceError, match="unknown device 'tpu'"):
        open_recogniser(exported, "tpu")


def test_without_onnxruntime(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelError, match=r"ocr\[runtime\]"):
        OnnxRecogniser(exported)
