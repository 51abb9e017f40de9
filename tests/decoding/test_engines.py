import dataclasses
import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm.base.errors import ConfigError, DecodingError
from lm.training import NgramConfig, train_ngram
from ocr.decoding import beam, build_decoder, decoder_stage
from ocr.text.alphabet import Alphabet

from .test_decoders import ARPA, tiny

needs_both = pytest.mark.skipif(importlib.util.find_spec("ctc_beam_decoder") is None,
                                reason="ctc-beam-decoder is not installed")


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    path = tmp_path_factory.mktemp("lm") / "words.arpa"
    path.write_text(ARPA)
    return str(path)


def both(alphabet, name, **options):
    options = {"workers": 1, **options}
    return [build_decoder(name, alphabet, {"engine": engine, **options})
            for engine in ("pyctcdecode", "ctc-beam-decoder")]


def compare(decoders, logits):
    python, native = (d.decode_line(logits, n_best=5) for d in decoders)
    assert [h.text for h in native] == [h.text for h in python]
    for ours, theirs in zip(native, python):
        assert ours.score == pytest.approx(theirs.score, abs=1e-3)
        assert ours.logit_score == pytest.approx(theirs.logit_score, abs=1e-3)
        assert ours.characters == theirs.characters


@needs_both
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2 ** 20), st.integers(1, 14), st.sampled_from(["beam", "beam-lm"]),
       st.sampled_from([{}, {"beam_width": 3, "hotwords": ("cat",)},
                        {"beam_prune_logp": -40.0, "token_min_logp": -30.0}]))
def test_engines_read_alike(lm, seed, frames, name, options):
    alphabet = Alphabet("acot |é")
    weights = {"lm": lm, "alpha": 0.6, "beta": 0.8} if name == "beam-lm" else {}
    compare(both(alphabet, name, **weights, **options),
            tiny(seed, frames, 8))


@needs_both
def test_engines_take_new_weights_alike(lm):
    decoders = both(Alphabet("acot "), "beam-lm", lm=lm, alpha=0.0)
    for weights in ({"alpha": 2.0, "beta": -1.0}, {"alpha": 0.1, "unk_score_offset": -9.0}):
        for decoder in decoders:
            decoder.reconfigure(dataclasses.replace(decoder.config, **weights))
        for seed in range(5):
            compare(decoders, tiny(seed, 9, 6))


@needs_both
@pytest.mark.parametrize("engine", ["pyctcdecode", "ctc-beam-decoder"])
def test_workers_read_alike(lm, engine):
    lines = [tiny(seed, 3 + seed % 9, 6) for seed in range(40)]
    alone, shared = (build_decoder(decoder_stage("beam-lm", lm=lm, engine=engine, workers=n),
                                   Alphabet("acot ")) for n in (1, 3))
    assert shared.decode(lines, n_best=2) == alone.decode(lines, n_best=2)


@needs_both
def test_loading_a_model_says_nothing(lm, capfd):
    decoder = build_decoder(decoder_stage("beam-lm", lm=lm, engine="ctc-beam-decoder"),
                            Alphabet("acot "))
    decoder.reconfigure(dataclasses.replace(decoder.config, alpha=0.1))
    assert capfd.readouterr() == ("", "")


def test_the_engine_that_is_there(monkeypatch):
    alphabet, logits = Alphabet("ab"), np.zeros((2, 3), np.float32)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec",
                        lambda name: None if name == "ctc_beam_decoder" else found(name))
    automatic = build_decoder(decoder_stage("beam", workers=1), alphabet)
    assert isinstance(automatic._search, beam._Pyctcdecode)
    assert automatic.decode_line(logits)
    with pytest.raises(DecodingError, match="decoder beam needs packages .*: ctc_beam_decoder"):
        build_decoder(decoder_stage("beam", engine="ctc-beam-decoder"), alphabet)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DecodingError, match="needs .*: pyctcdecode or ctc_beam_decoder"):
        build_decoder("beam", alphabet)
    with pytest.raises(ConfigError, match="unknown beam.engine 'c'; known: auto, pyctcdecode"):
        decoder_stage("beam", engine="c")


def one_line(text, alphabet, strength=8.0):
    frames = [v for c in text for v in (alphabet.indices(c)[0], alphabet.blank)]
    logits = np.zeros((len(frames), alphabet.num_classes), np.float32)
    logits[np.arange(len(frames)), frames] = strength
    return logits


@pytest.fixture(scope="module")
def normalised(tmp_path_factory):
    """A model whose text was lower-cased, with plain quotes and without accents."""
    folder = tmp_path_factory.mktemp("normalised")
    (folder / "text.txt").write_text("L’été d’ici\nl'hiver d'ici\nL’été\n" * 3, "utf-8")
    return train_ngram(NgramConfig(
        str(folder / "text.txt"), str(folder / "words"), order=2, estimator="builtin",
        binary_type="none", normalise=("case", "quotes", "accents"))).path


def test_readings_are_looked_up_as_the_models_text_was_normalised(normalised):
    alphabet = Alphabet("Ldeicéth’ aox")
    search = build_decoder("beam-lm", alphabet, {
        "lm": normalised, "workers": 1, "alpha": 0.5, "beta": 0.0, "unk_score_offset": -5.0,
        "lm_score_boundary": False})
    known, unknown = (search.decode_line(one_line(text, alphabet))[0]
                      for text in ("L’été d’ici", "Lxété dxici"))
    assert (known.text, unknown.text) == ("L’été d’ici", "Lxété dxici")
    # Both words are listed: no penalty is paid for them.
    assert known.lm_score > -5 > -8 > unknown.lm_score
    with pytest.raises(DecodingError, match="text was normalised .accents, case, quotes.*engine"):
        build_decoder("beam-lm", alphabet, {"lm": normalised, "engine": "ctc-beam-decoder"})


def test_words_with_signs_that_pyctcdecode_misreads_are_known(tmp_path):
    (tmp_path / "text.txt").write_text("a|b c\nc a|b\n" * 4, "utf-8")
    path = train_ngram(NgramConfig(str(tmp_path / "text.txt"), str(tmp_path / "words"), order=2,
                                   estimator="builtin", binary_type="none")).path
    alphabet = Alphabet("abc| ")
    search = build_decoder("beam-lm", alphabet, {"lm": path, "engine": "pyctcdecode", "beta": 0.0,
                                                 "unk_score_offset": -9.0, "workers": 1})
    assert search.decode_line(one_line("a|b c", alphabet))[0].lm_score > -5
