import importlib.util
import json
import os
import warnings

import pytest

from lm.base.errors import ConfigError, UnknownNameError
from lm.base.plugins import missing_packages
from ocr.correction import PipelineConfig, corrector_stage, save_pipeline
from ocr.decoding import decoder_stage
from ocr.recognition import tuned
from ocr.recognition.tuned import (
    best_name,
    pipeline_of,
    save_tuned,
    tuned_mark,
    tuned_names,
    tuned_path,
)


@pytest.fixture
def model(tmp_path):
    """A model file (which nothing here opens) with two tuned pipelines beside it."""
    path = str(tmp_path / "best.ckpt")
    (tmp_path / "best.ckpt").write_bytes(b"weights")
    for name, width, cer, wer in (("beam", 7, 0.10, 0.30), ("beam+denoise", 9, 0.09, 0.30)):
        config = PipelineConfig.of(name).changed(beam_width=width)
        save_tuned(path, config, {"cer": cer, "wer": wer})
    return path


def test_what_was_tuned_best_is_taken(model):
    assert tuned_names(model) == ["beam", "beam+denoise"]
    assert best_name(model) == "beam+denoise"
    assert pipeline_of(model).name == "beam+denoise"
    assert pipeline_of(model).decoder.settings.beam_width == 9
    assert pipeline_of(model, "beam").decoder.settings.beam_width == 7


def test_no_other_model_of_the_folder_takes_it(model, tmp_path):
    for name in ("other.ckpt", "best.onnx2", "best.ckpt2", "best"):
        (tmp_path / name).write_bytes(b"weights")
        assert best_name(str(tmp_path / name)) == "greedy"
        assert tuned_names(str(tmp_path / name)) == []


def test_other_weights_under_the_same_name_do_not_take_it(model, tmp_path):
    (tmp_path / "best.ckpt").write_bytes(b"other weights")
    with pytest.warns(UserWarning, match="was tuned for other weights than .*best.ckpt"):
        assert best_name(model) == "greedy"
    with pytest.warns(UserWarning, match="run ocr tune again"):
        assert pipeline_of(model, "beam") == PipelineConfig.of("beam")


def test_what_was_not_tuned_starts_from_the_decoder_alone(model):
    config = pipeline_of(model, "beam+spelling")
    assert config.decoder.settings.beam_width == 7 and config.name == "beam+spelling"
    assert pipeline_of(model, "greedy") == PipelineConfig.of("greedy")
    with pytest.raises(UnknownNameError, match="unknown decoder 'bean'"):
        pipeline_of(model, "bean")


def test_what_does_not_help_is_taken_by_name_alone(model):
    save_tuned(model, PipelineConfig.of("beam-char", {"alpha": 0.1}),
               {"cer": 0.01, "wer": 0.01, "helps": False})
    assert best_name(model) == "beam+denoise"
    assert pipeline_of(model, "beam-char").decoder.settings.alpha == 0.1


def test_a_file_of_settings_is_a_name_too(model, tmp_path):
    save_pipeline(str(tmp_path / "mine.json"), PipelineConfig.of("beam", {"beam_width": 3}))
    assert pipeline_of(model, str(tmp_path / "mine.json")).decoder.settings.beam_width == 3
    with pytest.raises(ConfigError, match="no.yaml: no such file"):
        pipeline_of(model, str(tmp_path / "no.yaml"))


def test_damaged_files_do_not_count(model):
    with open(tuned_path(model, "beam+denoise"), "w", encoding="utf-8") as out:
        json.dump({"tuned": None}, out)
    with pytest.warns(UserWarning, match="damaged"):
        assert best_name(model) == "beam"


def test_the_mark_tells_that_it_was_tuned_anew(model):
    before = tuned_mark(model)
    assert before == tuned_mark(model) and len(before) == 2
    os.utime(tuned_path(model, "beam"), ns=(1, 1))
    assert tuned_mark(model) != before


def test_nothing_tuned(tmp_path):
    model = str(tmp_path / "best.ckpt")
    assert best_name(model) == "greedy" and best_name(model, "beam-lm") == "beam-lm"
    assert tuned_names(model) == []


def test_missing_packages(monkeypatch):
    config = PipelineConfig(decoder_stage("beam-char"), (
        corrector_stage("char-rescore"), corrector_stage("spelling", lexicon=["a"]),
        corrector_stage("denoise")))
    assert missing_packages(config.needs()) == ""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert missing_packages(config.needs()) == "mxnet"
    assert missing_packages(PipelineConfig.of("beam").needs()) == \
        "pyctcdecode or ctc_beam_decoder"
    assert missing_packages(PipelineConfig.of("greedy").needs()) == ""


def test_what_was_tuned_for_a_model_beats_what_is_stored_in_it(model, monkeypatch):
    monkeypatch.setattr(tuned, "stored_in", lambda model: PipelineConfig.of("beam+denoise"))
    assert pipeline_of(model).decoder.settings.beam_width == 9
    monkeypatch.setattr(tuned, "stored_in", lambda model: PipelineConfig.of("beam-char"))
    assert best_name(model) == "beam+denoise"


def test_what_cannot_run_is_passed_over(model, monkeypatch):
    stored = PipelineConfig.of("beam-lm", {"lm": "words"})
    monkeypatch.setattr(tuned, "stored_in", lambda model: stored)
    monkeypatch.setattr(tuned, "tuned_path", lambda model, name: "nowhere" + name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert best_name("m.onnx") == "beam-lm" and pipeline_of("m.onnx") == stored
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.warns(UserWarning, match="m.onnx reads better with .* beam-lm, .*: .*kenlm"):
        assert best_name("m.onnx") == "greedy"
    monkeypatch.undo()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.warns(UserWarning, match="best.ckpt reads better with its decoder beam,"):
        assert best_name(model) == "greedy"
