import json

import pytest

from lm.base.errors import ConfigError, UnknownNameError
from ocr.checkpoints.shipped import model_path
from ocr.correction import (
    PipelineConfig,
    build_pipeline,
    corrector_stage,
    load_pipeline,
    parse_name,
    save_pipeline,
)
from ocr.decoding import decoder_stage
from ocr.decoding.calibration import Calibrator
from ocr.recognition.tuned import stored_in

from ..decoding.test_decoders import ARPA, cot_or_cat


@pytest.fixture
def lm(tmp_path):
    (tmp_path / "words.arpa").write_text(ARPA)
    return str(tmp_path / "words")


def rescoring(lm, weight):
    return PipelineConfig(decoder_stage("beam", workers=1),
                          (corrector_stage("word-rescore", {"lm": lm, "weight": weight}),))


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
    assert build_pipeline("greedy", alphabet).decode([logits])[0][0].text == "a cot"


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
        decoder_stage("beam-lm", lm=lm, beam_width=9),
        (corrector_stage("word-rescore", {"lm": lm, "weight": 0.5}),
         corrector_stage("spelling", {"lexicon": [
             str(tmp_path / "a.tsv"), str(tmp_path / "b.tsv")]})),
        Calibrator(1.0, 0.5, 2.0, 0.0).to_dict())
    path = tmp_path / "run" / "decoder.json"
    save_pipeline(str(path), config, {"split": "valid"})
    stored = json.loads(path.read_text())
    assert stored["decoder"]["settings"]["lm"] == "../words"
    assert stored["tuned"] == {"split": "valid"}
    assert stored["correctors"][1]["settings"]["lexicon"] == ["../a.tsv", "../b.tsv"]
    monkeypatch.chdir("/")
    assert load_pipeline(str(path)) == config


#: What a decoder's settings looked like when all decoders shared one class.
OLD = {"name": "beam-char", "beam_width": 16, "beam_prune_logp": -10.0, "token_min_logp": -5.0,
       "merge_blanks": 0.998, "alpha": 0.6, "beta": 0.6, "unk_score_offset": -5.0,
       "lm_score_boundary": True, "lm": "characters", "words": None, "word_alpha": 0.35,
       "hotwords": [], "hotword_weight": 5.0, "engine": "auto", "n_best": 1, "workers": 0}


@pytest.mark.parametrize("name", ["greedy", "beam", "beam-lm", "beam-char"])
def test_settings_stored_when_all_decoders_shared_them(tmp_path, name):
    path = tmp_path / "decoder-old.json"
    path.write_text(json.dumps({"decoder": {**OLD, "name": name}, "correctors": [], "tuned": {}}))
    config = load_pipeline(str(path))
    stored = config.to_dict()["decoder"]["settings"]
    assert config.name == name
    assert stored == {key: OLD[key] if key != "lm" else str(tmp_path / "characters")
                      for key in stored}
    assert ("alpha" in stored) == (name in ("beam-lm", "beam-char"))
    path.write_text(json.dumps({"decoder": {**OLD, "width": 3}}))
    with pytest.raises(ConfigError, match="unknown setting 'beam-char.width'"):
        load_pipeline(str(path))


@pytest.mark.parametrize("name", ["english", "french"])
def test_shipped_models_bring_their_decoders(name):
    config = stored_in(model_path(name))
    settings = config.decoder.settings
    assert config.name == "beam-char" and settings.lm.endswith(f"{name}/characters")
    assert settings.words.endswith(f"{name}/wordforms") and config.calibration
    assert (settings.alpha, settings.beta, settings.word_alpha, settings.beam_width) == {
        "english": (0.5, 0.6, 0.35, 16), "french": (0.6625, 2.3, 0.375, 50)}[name]


def test_yaml_written_by_hand(tmp_path):
    path = tmp_path / "chain.yaml"
    path.write_text("decoder: {name: beam, settings: {beam_width: 7}}\n"
                    "correctors:\n  - {name: word-rescore, settings: {weight: 0.3, lm: m}}\n"
                    "  - spelling\n")
    config = load_pipeline(str(path))
    assert config.name == "beam+word-rescore+spelling"
    assert config.decoder.settings.beam_width == 7 and config.correctors[0].settings.weight == 0.3
    assert config.correctors[0].settings.lm == str(tmp_path / "m")


@pytest.mark.parametrize("text, error, message", [
    ("{}", ConfigError, "no 'decoder'"),
    ('{"decoder": {"name": "beam", "beam_width": 7}}', ConfigError,
     "decoder beam: unknown key 'beam_width'; known here: name, settings"),
    ('{"decoder": {"name": "beam", "settings": {"alpha": 7}}}', ConfigError,
     "unknown setting 'beam.alpha'; known here: beam_width,"),
    ("[", ConfigError, "not JSON"),
    ('{"decoder": {"beam": 1}}', ConfigError, "a decoder needs a name"),
    ('{"decoder": "greedy", "corrector": []}', ConfigError, "unknown setting 'corrector'"),
    ('{"decoder": "greedy", "correctors": [{}]}', ConfigError, "a corrector needs a name"),
    ('{"decoder": "greedy", "correctors": ["speling"]}', UnknownNameError,
     "unknown corrector 'speling'; known: char-rescore"),
    ('{"decoder": "greedy", "correctors": [{"name": "spelling", "settings": {"x": 1}}]}',
     ConfigError, "unknown setting 'spelling.x'"),
    ('{"decoder": "greedy", "calibration": {"word_slope": 1}}', ConfigError, "calibration"),
])
def test_broken_settings(tmp_path, text, error, message):
    path = tmp_path / "decoder.json"
    path.write_text(text)
    with pytest.raises(error, match=message) as caught:
        load_pipeline(str(path))
    assert str(path) in str(caught.value)
    with pytest.raises(ConfigError, match="no such file"):
        load_pipeline(str(tmp_path / "none.json"))


def test_names():
    assert parse_name("beam-char+spelling+denoise") == ("beam-char", ["spelling", "denoise"])
    with pytest.raises(UnknownNameError, match="unknown decoder 'bream'; known: beam, beam-char"):
        parse_name("bream+spelling")
    with pytest.raises(UnknownNameError, match="unknown corrector 'spell'; known: char-rescore"):
        parse_name("beam+spell")
