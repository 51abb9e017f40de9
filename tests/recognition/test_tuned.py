import importlib.util
import json

import pytest

from lm.base.errors import UnknownNameError
from ocr.correction import PipelineConfig, Stage, save_pipeline
from ocr.decoding import DecoderConfig
from ocr.recognition.tuned import best_name, missing, pipeline_of, tuned_names, tuned_path


@pytest.fixture
def model(tmp_path):
    """A model file (which nothing here opens) with two tuned pipelines beside it."""
    path = str(tmp_path / "best.ckpt")
    for name, width, cer, wer in (("beam", 7, 0.10, 0.30), ("beam+denoise", 9, 0.09, 0.30)):
        decoder, *correctors = name.split("+")
        config = PipelineConfig(DecoderConfig(decoder, beam_width=width),
                                tuple(map(Stage.of, correctors)))
        save_pipeline(tuned_path(path, name), config, tuned={"cer": cer, "wer": wer})
    return path


def test_what_was_tuned_best_is_taken(model):
    assert tuned_names(model) == ["beam", "beam+denoise"]
    assert best_name(model) == "beam+denoise"
    assert pipeline_of(model).name == "beam+denoise"
    assert pipeline_of(model).decoder.beam_width == 9
    assert pipeline_of(model, "beam").decoder.beam_width == 7


def test_what_was_not_tuned_starts_from_the_decoder_alone(model):
    config = pipeline_of(model, "beam+spelling")
    assert config.decoder.beam_width == 7 and config.name == "beam+spelling"
    assert pipeline_of(model, "greedy") == PipelineConfig(DecoderConfig("greedy"))
    with pytest.raises(UnknownNameError, match="unknown decoder 'bean'"):
        pipeline_of(model, "bean")


def test_damaged_scores_do_not_count(model):
    with open(tuned_path(model, "beam+denoise"), "w", encoding="utf-8") as out:
        json.dump({"tuned": None}, out)
    assert best_name(model) == "beam"


def test_nothing_tuned(tmp_path):
    model = str(tmp_path / "best.ckpt")
    assert best_name(model) == "greedy" and best_name(model, "beam-lm") == "beam-lm"
    assert tuned_names(model) == []


def test_missing_packages(monkeypatch):
    config = PipelineConfig(DecoderConfig("beam-char"), (
        Stage.of("char-rescore"), Stage.of("spelling", {"lexicon": ["a"]}), Stage.of("denoise")))
    assert missing(config) == ""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert missing(config) == "kenlm, mxnet"
    assert missing(PipelineConfig(DecoderConfig("beam"))) == "pyctcdecode or ctc_beam_decoder"
    assert missing(PipelineConfig(DecoderConfig("greedy"))) == ""


def test_a_stored_decoder_that_cannot_run_is_passed_over(tmp_path, monkeypatch):
    stored = PipelineConfig(DecoderConfig("beam-char", lm="characters"))
    monkeypatch.setattr("ocr.recognition.tuned.stored_in", lambda model: stored)
    assert best_name("m.onnx") == "beam-char" and pipeline_of("m.onnx") == stored
    monkeypatch.setattr("ocr.recognition.tuned.missing", lambda config: "kenlm")
    with pytest.warns(UserWarning, match="m.onnx reads better with .* beam-char, .*: kenlm"):
        assert best_name("m.onnx") == "greedy"
