import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm import NgramConfig, load_ngram, train_ngram
from lm.base.errors import ConfigError, DecodingError, MissingDataError, UnknownNameError
from ocr.correction import build_corrector
from ocr.decoding import Hypothesis


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "text").write_text("the cat sat\na cat\nthe mat\n" * 3, "utf-8")
    paths = {}
    for unit, order in (("character", 3), ("word", 2), ("wordform", 2)):
        paths[unit] = str(folder / unit)
        train_ngram(NgramConfig(corpus=str(folder / "text"), output=paths[unit], order=order,
                                unit=unit, estimator="builtin", binary_type="none"))
    return paths


def hypotheses(*texts):
    return [Hypothesis(text, -float(i), 0.5, logit_score=-float(i) - 1, lm_score=1.0)
            for i, text in enumerate(texts)]


@pytest.mark.parametrize("name, unit", [("char-rescore", "character"), ("word-rescore", "word"),
                                        ("word-rescore", "wordform")])
def test_the_models_favourite_comes_first(models, name, unit):
    lines = [hypotheses("the cct sat", "the cat sat")]
    idle = build_corrector(name, {"lm": models[unit]})
    assert idle.correct(lines) == lines
    rescored = build_corrector(name, {"lm": models[unit], "weight": 1.0}).correct(lines)[0]
    assert [h.text for h in rescored] == ["the cat sat", "the cct sat"]


@given(weight=st.floats(0.01, 2), beta=st.floats(-2, 2), keep=st.floats(0, 2))
def test_scores_are_the_weighted_sum(models, weight, beta, keep):
    settings = {"lm": models["character"], "weight": weight, "beta": beta, "keep": keep}
    found = build_corrector("char-rescore", settings).correct([hypotheses("a cat", "a mat")])[0]
    model = load_ngram(models["character"])
    for hypothesis in found:
        network = -1.0 if hypothesis.text == "a cat" else -2.0
        tokens = model.tokenise(hypothesis.text)
        scores = model.scorer().full_scores(" ".join(tokens))
        language = weight * np.log(10) * sum(score[0] for score in scores) + beta * len(tokens)
        assert hypothesis.score == pytest.approx(network + keep + language, abs=1e-4)
        assert hypothesis.logit_score == network
    assert found[0].score >= found[1].score


def test_unknown_words_cost(models):
    lines = [hypotheses("a dog", "a cat")]
    # The model's own price of an unknown word is too low to overturn one nat here.
    settings = {"lm": models["word"], "weight": 0.01, "unk_score_offset": 0.0}
    assert build_corrector("word-rescore", settings).correct(lines)[0][0].text == "a dog"
    settings["unk_score_offset"] = -9.0
    assert build_corrector("word-rescore", {**settings, "weight": 0.3}).correct(
        lines)[0][0].text == "a cat"


def test_plain_strings_have_no_alternatives(models):
    corrector = build_corrector("char-rescore", {"lm": models["character"], "weight": 1.0})
    assert corrector.correct_texts(["the cct", ""]) == ["the cct", ""]


@pytest.mark.parametrize("name, settings, error, message", [
    ("char-rescore", {}, DecodingError, "char-rescore needs a language model"),
    ("char-rescore", {"lm": "word"}, DecodingError, "a model of words; char-rescore takes one of"),
    ("word-rescore", {"lm": "character"}, DecodingError, "word-rescore takes one of words or"),
    ("word-rescore", {"lm": "nowhere"}, MissingDataError, "no such language model"),
    ("word-rescore", {"weight": -1.0}, ConfigError, "weight must be at least 0 and"),
    ("word-rescore", {"wait": 1.0}, ConfigError, "unknown setting 'word-rescore.wait'"),
    ("rescore", {}, UnknownNameError, "unknown corrector 'rescore'; known: char-rescore"),
])
def test_bad_settings(models, name, settings, error, message):
    settings = {k: models.get(v, v) if k == "lm" else v for k, v in settings.items()}
    with pytest.raises(error, match=message):
        build_corrector(name, settings)
