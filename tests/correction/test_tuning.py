import pytest

from lm.base.errors import ConfigError
from ocr.correction import PipelineConfig, corrector_stage
from ocr.correction.tuning import tune
from ocr.decoding import decoder_stage
from ocr.text.alphabet import Alphabet

from ..decoding.test_decoders import ARPA, cot_or_cat, one_hot


@pytest.fixture
def lm(tmp_path):
    (tmp_path / "words.arpa").write_text(ARPA)
    return str(tmp_path / "words")


def config(lm, **settings):
    return decoder_stage("beam-lm", lm=lm, workers=1, **settings)


def test_takes_the_model_where_it_helps(lm):
    alphabet, logits = cot_or_cat()
    result = tune([logits] * 3, ["a cat"] * 3, alphabet, config(lm), budget_minutes=1)
    assert (result.cer, result.wer) == (0, 0) and result.helps
    assert result.greedy_wer == 0.5
    assert result.config.decoder.settings.alpha > 0 and result.lines == 3
    assert len(result.trials) > 15 and result.config.to_dict() in [t["config"]
                                                                 for t in result.trials]


def test_weight_zero_where_it_harms(lm):
    alphabet, logits = cot_or_cat()
    result = tune([logits] * 3, ["a cot"] * 3, alphabet, config(lm, alpha=2.0), budget_minutes=1)
    assert result.cer == 0
    # The model's favourite is another: any real weight loses.
    assert result.config.decoder.settings.alpha < 0.3


def test_a_spent_budget_still_gives_a_result(lm):
    alphabet, logits = cot_or_cat()
    result = tune([logits], ["a cat"], alphabet, config(lm), budget_minutes=1e-9)
    assert len(result.trials) <= 4


def test_beam_without_a_model_is_tuned_for_speed():
    alphabet = Alphabet("ab")
    result = tune([one_hot([0, 2, 1], 3)], ["ab"], alphabet,
                  decoder_stage("beam", workers=1), budget_minutes=1)
    assert result.cer == 0 and result.config.name in ("beam", "greedy")


@pytest.mark.parametrize("change, message", [
    ({"metric": "bleu"}, "known: cer, wer, cer\\+wer"), ({"texts": []}, "1 lines of logits for 0"),
    ({"budget_minutes": 0}, "must be a positive"),
    ({"budget_minutes": float("nan")}, "must be a positive"),
    ({"budget_minutes": float("inf")}, "must be a positive"),
    ({"max_lines": 0}, "max_lines must be at least 1, not 0"),
    ({"max_lines": -5}, "max_lines must be at least 1, not -5"),
    ({"config": decoder_stage("greedy")}, "nothing to tune")])
def test_bad_calls(lm, change, message):
    alphabet, logits = cot_or_cat()
    arguments = {"logits": [logits], "texts": ["a cat"], "alphabet": alphabet,
                 "config": config(lm), **change}
    with pytest.raises(ConfigError, match=message):
        tune(**arguments)


def test_a_sample_of_lines(lm):
    alphabet, logits = cot_or_cat()
    result = tune([logits] * 9, ["a cat"] * 9, alphabet, config(lm), budget_minutes=0.001,
                  max_lines=4)
    assert result.lines == 4


def chain(lm, **settings):
    return PipelineConfig(decoder_stage("beam", workers=1),
                          (corrector_stage("word-rescore", {"lm": lm, **settings}),))


def test_correctors_are_tuned_too(lm):
    alphabet, logits = cot_or_cat()
    result = tune([logits] * 3, ["a cat"] * 3, alphabet, chain(lm), budget_minutes=1)
    assert (result.cer, result.wer) == (0, 0)
    assert result.config.correctors[0].settings.weight > 0


@pytest.mark.parametrize("start", [0.0, 2.0])
def test_what_harms_is_switched_off(lm, start):
    alphabet, logits = cot_or_cat()
    result = tune([logits] * 3, ["a cot"] * 3, alphabet, chain(lm, weight=start),
                  budget_minutes=1)
    assert result.cer == 0 and not result.helps
    assert result.config.correctors[0].settings.weight < 0.3


def test_where_greedy_is_better_it_says_so():
    alphabet = Alphabet("ab")
    # The best path reads nothing; the likeliest label, over all its paths, is "a".
    logits = [[0.55, -9.0, 0.9]] * 2
    result = tune([logits], [""], alphabet, decoder_stage("beam", workers=1), budget_minutes=1)
    assert result.config.name == "beam" and not result.helps
    assert result.greedy_cer == 0 and result.cer > 0
