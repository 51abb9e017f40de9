import json

import pytest

from lm.base.errors import ConfigError, UnknownNameError
from ocr.correction import (
    PipelineConfig,
    Stage,
    build_pipeline,
    load_pipeline,
    parse_name,
    save_pipeline,
)
from ocr.decoding import DecoderConfig
from ocr.decoding.calibration import Calibrator

from ..decoding.test_decoders import ARPA, cot_or_cat


@pytest.fixture
def lm(tmp_path):
    (tmp_path / "words.arpa").write_text(ARPA)
    return str(tmp_path / "words")


def rescoring(lm, weight):
    return PipelineConfig(DecoderConfig("beam", workers=1),
                          (Stage.of("word-rescore", {"lm": lm, "weight": weight}),))


def test_a_corrector_behind_a_decoder(lm):
    alphabet, logits = cot_or_cat()
    assert rescoring(lm, 0.0).name == "beam+word-rescore"
    pipeline = build_pipeline(rescoring(lm, 0.0), alphabet)
    assert pipeline.decode_line(logits)[0].text == "a cot"
    pipeline.reconfigure(rescoring(lm, 2.0))
    assert pipeline.decode_line(logits)[0].text == "a cat"
    # What the corrector is given is not what is asked for.
    assert len(pipeline.decode_line(logits)) == 1
    assert len(pipeline.decode_line(logits, n_best=2)) == 2
    with pytest.raises(ConfigError, match="beam\\+word-rescore cannot become greedy"):
        pipeline.reconfigure(PipelineConfig())


def test_a_decoder_alone(lm):
    alphabet, logits = cot_or_cat()
    assert build_pipeline(DecoderConfig(), alphabet).decode([logits])[0][0].text == "a cot"


def test_calibration_changes_confidences_alone(lm):
    alphabet, logits = cot_or_cat()
    calibration = Calibrator(1.0, -3.0, 1.0, -2.0).to_dict()
    raw = build_pipeline(PipelineConfig(), alphabet).decode_line(logits)[0]
    mapped = build_pipeline(PipelineConfig(calibration=calibration),
                            alphabet).decode_line(logits)[0]
    assert mapped.text == raw.text and mapped.score == raw.score
    assert mapped.confidence < raw.confidence
    assert all(m.confidence < r.confidence for m, r in zip(mapped.words, raw.words))
    assert mapped.characters == raw.characters


def test_stored_settings_find_their_files_from_anywhere(tmp_path, lm, monkeypatch):
    config = PipelineConfig(
        DecoderConfig("beam-lm", lm=lm, beam_width=9),
        (Stage.of("word-rescore", {"lm": lm, "weight": 0.5}),
         Stage.of("spelling", {"lexicon": [str(tmp_path / "a.tsv"), str(tmp_path / "b.tsv")]})),
        Calibrator(1.0, 0.5, 2.0, 0.0).to_dict())
    path = tmp_path / "run" / "decoder.json"
    save_pipeline(str(path), config, {"split": "valid"})
    stored = json.loads(path.read_text())
    assert stored["decoder"]["lm"] == "../words" and stored["tuned"] == {"split": "valid"}
    assert stored["correctors"][1]["settings"]["lexicon"] == ["../a.tsv", "../b.tsv"]
    monkeypatch.chdir("/")
    assert load_pipeline(str(path)) == config


def test_yaml_written_by_hand(tmp_path):
    path = tmp_path / "chain.yaml"
    path.write_text("decoder: {name: beam, beam_width: 7}\n"
                    "correctors:\n  - {name: word-rescore, settings: {weight: 0.3, lm: m}}\n"
                    "  - spelling\n")
    config = load_pipeline(str(path))
    assert config.name == "beam+word-rescore+spelling"
    assert config.decoder.beam_width == 7 and config.correctors[0].settings.weight == 0.3
    assert config.correctors[0].settings.lm == str(tmp_path / "m")


@pytest.mark.parametrize("text, error, message", [
    ("{}", ConfigError, "no 'decoder'"),
    ("[", ConfigError, "not stored decoder settings"),
    ('{"decoder": {"beam": 1}}', ConfigError, "unknown setting 'decoder.beam'"),
    ('{"decoder": {}, "corrector": []}', ConfigError, "unknown setting 'corrector'"),
    ('{"decoder": {}, "correctors": [{}]}', ConfigError, "a corrector needs a name"),
    ('{"decoder": {}, "correctors": ["speling"]}', UnknownNameError,
     "unknown corrector 'speling'; known: char-rescore"),
    ('{"decoder": {}, "correctors": [{"name": "spelling", "settings": {"x": 1}}]}', ConfigError,
     "unknown setting 'spelling.x'"),
    ('{"decoder": {}, "calibration": {"word_slope": 1}}', ConfigError, "calibration"),
])
def test_broken_settings(tmp_path, text, error, message):
    path = tmp_path / "decoder.json"
    path.write_text(text)
    with pytest.raises(error, match=message) as caught:
        load_pipeline(str(path))
    assert str(path) in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_pipeline(str(tmp_path / "none.json"))


def test_names():
    assert parse_name("beam-char+spelling+denoise") == ("beam-char", ["spelling", "denoise"])
    with pytest.raises(UnknownNameError, match="unknown decoder 'bream'; known: beam, beam-char"):
        parse_name("bream+spelling")
    with pytest.raises(UnknownNameError, match="unknown corrector 'spell'; known: char-rescore"):
        parse_name("beam+spell")
