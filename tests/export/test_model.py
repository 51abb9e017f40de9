"""Exported files: settings, sizes, checks, MXNet's own format."""

import json
import os

import numpy as np
import onnx
import pytest

from lm.base.errors import CheckpointError, ExportError
from ocr.base.backend import gluon, mx, nd
from ocr.checkpoints.metadata import read_settings
from ocr.cli.main import main
from ocr.correction import PipelineConfig, load_pipeline
from ocr.decoding import decoder_stage
from ocr.export import export_onnx, export_symbol, model
from ocr.models import list_models
from ocr.recognition import open_recogniser
from ocr.recognition.lines import LineRecogniser
from ocr.recognition.network import Recogniser
from ocr.recognition.onnx import OnnxRecogniser
from ocr.recognition.tuned import save_tuned

from .networks import ALPHABET, TINY, grey_images, lines, write_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("export") / "best.ckpt", "small")


@pytest.mark.parametrize("name", list_models())
def test_text_and_logits_are_those_of_mxnet(name, tmp_path):
    recogniser = Recogniser(write_checkpoint(tmp_path / "best.ckpt", name), "cpu")
    export_onnx(recogniser, str(tmp_path / "out" / "best.onnx"))
    light = open_recogniser(str(tmp_path / "out" / "best.onnx"))
    assert isinstance(light, OnnxRecogniser) and isinstance(light, LineRecogniser)
    images = grey_images(7)
    ours, theirs = (r.logits_of_images(images, 3) for r in (light, recogniser))
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a, b, atol=1e-4)
    read = light.recognise(images)
    assert [h.text for h in read] == [h.text for h in recogniser.recognise(images)]
    assert any(h.text for h in read)
    assert light.frame_pixels == recogniser.frame_pixels == (5 if name == "original" else
                                                             recogniser.net.stride)
    _, counts = light.read_arrays(*lines(recogniser.net, [61, 80]))
    assert [light.frame_count(61), light.frame_count(80)] == counts.tolist()


def test_settings_make_the_round_trip(checkpoint, tmp_path):
    path = str(tmp_path / "m.onnx")
    export_onnx(checkpoint, path)
    recogniser, light = Recogniser(checkpoint, "cpu"), OnnxRecogniser(path)
    assert light.alphabet == recogniser.alphabet == ALPHABET
    assert light.preprocess == recogniser.preprocess
    assert light.config.model.name == "small" and light.config.model.options == TINY["small"]
    assert light.state == {"epoch": 4, "cer": 0.25}
    assert (light.stride, light.settings["precision"], light.pipeline) == (
        4, "float32", PipelineConfig())
    # No path of the machine that trained it.
    assert "somewhere" not in json.dumps(read_settings(path))


def test_decoder_settings_come_along_with_files_beside_the_model(checkpoint, tmp_path):
    config = PipelineConfig(decoder_stage("beam-lm", lm=str(tmp_path / "lms" / "words")))
    export_onnx(checkpoint, str(tmp_path / "models" / "m.onnx"), pipeline=config)
    stored = read_settings(str(tmp_path / "models" / "m.onnx"))["pipeline"]
    assert stored["decoder"]["settings"]["lm"] == os.path.join("..", "lms", "words")
    assert OnnxRecogniser(str(tmp_path / "models" / "m.onnx")).pipeline == config


def test_half_is_half_the_size_and_nearly_the_same(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(model, "_LEAST_HALVED", 16)
    paths = [str(tmp_path / name) for name in ("full.onnx", "half.onnx")]
    for path, half in zip(paths, (False, True)):
        export_onnx(checkpoint, path, half=half)
    weights = [sum(len(t.raw_data) for t in onnx.load(path).graph.initializer) for path in paths]
    assert weights[1] < 0.6 * weights[0]
    full, half = (OnnxRecogniser(path) for path in paths)
    assert half.settings["precision"] == "half"
    for a, b in zip(*(r.logits_of_images(grey_images(4)) for r in (full, half))):
        np.testing.assert_allclose(a, b, atol=0.05)
        assert not np.array_equal(a, b)


@pytest.mark.parametrize("calibrated,wanted", [
    (False, {"DynamicQuantizeLSTM"}), (True, {"DynamicQuantizeLSTM", "QuantizeLinear"})])
def test_8_bit_weights(checkpoint, tmp_path, calibrated, wanted):
    path, recogniser = str(tmp_path / "m.onnx"), Recogniser(checkpoint, "cpu")
    calibration = None
    if calibrated:
        from ocr.data import LineDataset, LineSample

        class Images(LineDataset):
            def image(self, index):
                return grey_images(6)[index]

        calibration = recogniser.prepare(
            Images("images", "images", [LineSample(str(i), "") for i in range(6)]))
    export_onnx(recogniser, path, int8=True, calibration=calibration)
    assert wanted <= {node.op_type for node in onnx.load(path).graph.node}
    light = OnnxRecogniser(path)
    assert light.settings["precision"] == ("int8+convolutions" if calibrated else "int8")
    for a, b in zip(light.logits_of_images(grey_images(6)),
                    recogniser.logits_of_images(grey_images(6))):
        assert 0 < np.abs(a - b).max() < 0.5


def test_a_wrong_conversion_is_not_written(checkpoint, tmp_path, monkeypatch):
    from ocr.export import operators

    monkeypatch.setitem(operators._RECURRENT, "lstm", ("LSTM", (0, 1, 2, 3), {}))
    with pytest.raises(ExportError, match="differ from MXNet's"):
        export_onnx(checkpoint, str(tmp_path / "m.onnx"))
    assert os.listdir(tmp_path) == []


def test_symbol_and_parameters_load_into_mxnet(checkpoint, tmp_path):
    recogniser = Recogniser(checkpoint, "cpu")
    symbol, parameters = export_symbol(recogniser, str(tmp_path / "net"))
    assert os.path.basename(symbol) == "net-symbol.json"
    block = gluon.SymbolBlock.imports(symbol, ["images", "widths"], parameters, ctx=mx.cpu())
    images, widths = (nd.array(value) for value in lines(recogniser.net, [60, 21]))
    for ours, theirs in zip(block(images, widths), recogniser.net(images, widths)):
        np.testing.assert_allclose(ours.asnumpy(), theirs.asnumpy(), atol=1e-6)


def test_export_needs_onnx(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ExportError, match=r"ocr\[export\]"):
        export_onnx(checkpoint, str(tmp_path / "m.onnx"))


def test_a_missing_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        export_onnx(str(tmp_path / "no.ckpt"), str(tmp_path / "m.onnx"))


# -- the command --------------------------------------------------------------------------------


def test_command_writes_both_and_recognise_reads_with_what_was_tuned(tmp_path, capsys):
    from PIL import Image

    checkpoint = write_checkpoint(tmp_path / "best.ckpt", "captcha")
    tuned = save_tuned(checkpoint, PipelineConfig.of("beam", {"beam_width": 7}))
    path = str(tmp_path / "m" / "best.onnx")
    assert main(["export", checkpoint, "--onnx", path, "--symbol", str(tmp_path / "m" / "net"),
                 "--half", "--decoder", "beam"]) == 0
    assert " MB" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path / "m")) == ["best.onnx", "net-0000.params",
                                                  "net-symbol.json"]
    assert OnnxRecogniser(path).pipeline == load_pipeline(tuned)
    [image] = grey_images(1)
    Image.fromarray(image).save(tmp_path / "line.png")
    read = []
    for options in (["--model", path], ["--checkpoint", path, "--decoder", "greedy"],
                    ["--checkpoint", checkpoint, "--decoder", "greedy", "--device", "cpu"]):
        assert main(["recognise", str(tmp_path / "line.png"), "--lines", "one", *options]) == 0
        read.append(capsys.readouterr().out)
    assert len(read[0].splitlines()) == 1 and read[1] == read[2]


@pytest.mark.parametrize("arguments,message", [
    ([], "nothing to write"),
    (["--onnx", "net.bin"], "must end in .onnx"),
    (["--onnx", "m.onnx", "--calibrate", "3"], "goes with --int8"),
    (["--onnx", "m.onnx", "--decoder", "beam-lm"], "ocr tune has not written"),
    (["--onnx", "m.onnx", "--decoder", "best"], "unknown decoder")])
def test_command_refuses(checkpoint, arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["export", checkpoint, *arguments]) == 2
    assert message in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_evaluate_takes_an_exported_model(checkpoint, tmp_path, capsys):
    from ..conftest import write_table

    path = str(tmp_path / "m.onnx")
    export_onnx(checkpoint, path)
    table = write_table(tmp_path, "test", ["abc", "de"])
    options = ["evaluate", "--checkpoint", path, "--decoders", "greedy"]
    assert main(options) == 2
    assert "names no data" in capsys.readouterr().err
    assert main([*options, "data.source=table", f"data.test.path={table}"]) == 0
    assert "split test: 2 lines" in capsys.readouterr().out
