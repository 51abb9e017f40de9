import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm.base.errors import ConfigError, DataError, MissingDataError
from lm.cli import main
from lm.confusions import ConfusionModel
from lm.denoising import DenoisingPair, write_pairs

words = st.text("abcmnr", max_size=6)


def pairs(*readings, times=1):
    return [DenoisingPair(f"{n} {i}", truth, reading) for n in range(times)
            for i, (truth, reading) in enumerate(readings)]


def test_uniform_by_hand():
    model = ConfusionModel.uniform(0.1)  # 0.06 changed, 0.02 dropped, 0.02 put in
    keep, place = math.log(0.92), math.log(0.98)
    for truth, reading, expected in (
            ("ab", "ab", 2 * keep + 3 * place),
            ("ab", "b", math.log(0.02) + keep + 3 * place),
            ("ab", "xb", math.log(0.06 / 25) + keep + 3 * place),
            ("ab", "xab", math.log(0.02 / 26) + 2 * keep + 3 * place),
            ("ab", "abxy", 2 * math.log(0.02 / 26) + 2 * keep + 3 * place),
            ("", "", place), ("a", "", math.log(0.02) + 2 * place)):
        assert model.log_prob(truth, reading) == pytest.approx(expected), (truth, reading)
    for rate in (0, 1, -1, math.nan):
        with pytest.raises(ConfigError, match="error_rate must lie between 0 and 1"):
            ConfusionModel.uniform(rate)


def best_alignment(model, truth, reading):
    """The probability of the best alignment, by trying all."""
    nothing = math.exp(model._nothing_inserted)
    ways = [] if truth or reading else [nothing]
    if reading:
        ways.append(math.exp(model._inserted.get(reading[0], model._usual_inserted))
                    * best_alignment(model, truth, reading[1:]))
    for a in (1, 2):
        for b in (0, 1, 2):
            if len(truth) < a or len(reading) < b:
                continue
            written, read = truth[:a], reading[:b]
            if (a, b) in ((1, 0), (1, 1)):
                table, other = model._reads.get(written) or model._smoothed(written, {})
                step = table.get(read, other)
            else:
                step = (model._merges if a == 2 else model._splits).get(written, {}).get(read)
            if step is not None:
                ways.append(math.exp(step) * nothing * best_alignment(model, truth[a:],
                                                                      reading[b:]))
    return max(ways)


LEARNED = ConfusionModel.learn(pairs(("marne", "mame"), ("mab", "rnab"), ("cab", "ccab"),
                                     ("nab", "mab"), ("ab", "ab"), times=4))


@settings(max_examples=80, deadline=None)
@given(words, words)
def test_the_best_of_all_alignments(truth, reading):
    for model in (LEARNED, ConfusionModel.uniform(0.2)):
        found = model.log_prob(truth, reading)
        assert found == pytest.approx(math.log(best_alignment(model, truth, reading)))
        assert found < 0


@given(words, words)
def test_without_knowledge_what_was_written_is_read(truth, reading):
    model = ConfusionModel.uniform(0.2)
    assert (model.log_prob(truth, reading) < model.log_prob(truth, truth)) == (truth != reading)


def test_doubles_are_learned_when_common():
    assert LEARNED.merges == {"rn": {"m": 4}} and LEARNED.pairs == {"rn": 4}
    assert LEARNED.splits == {"m": {"rn": 4}}
    assert LEARNED.log_prob("corne", "come") > LEARNED.log_prob("corne", "cone")
    assert LEARNED.log_prob("me", "rne") > LEARNED.log_prob("ae", "rne")
    few = ConfusionModel.learn(pairs(("marne", "mame"), times=2))
    assert not few.merges and not few.pairs


def test_learned_costs_follow_the_counts():
    model = ConfusionModel.learn(pairs(("Été 12", "ete 72"), ("eau", "eau"), ("vu", "vuu"),
                                       times=5))
    assert model.reads["é"] == {"e": 10} and model.reads["0"] == {"0": 10}
    assert model.insertions == {"u": 5} and model.places == 5 * (7 + 4 + 3)
    assert model.most_common(2) == [("é", "e", 10), ("", "u", 5)]
    assert model.log_prob("dé", "de") > model.log_prob("da", "de")
    assert model.log_prob("de", "deu") > model.log_prob("de", "dea")
    # A character that never came has the rates of all.
    assert model.log_prob("z", "z") > model.log_prob("é", "é")


@pytest.mark.parametrize("model", [LEARNED, ConfusionModel.uniform(0.3)])
def test_round_trip(tmp_path, model):
    path = str(tmp_path / "new" / "c.json")
    model.save(path)
    again = ConfusionModel.load(path)
    assert again == model and again.log_prob("marne", "mame") == model.log_prob("marne", "mame")


def test_damaged_files(tmp_path):
    path = tmp_path / "c.json"
    LEARNED.save(str(path))
    whole = path.read_text("utf-8")
    for end in range(0, len(whole) - 2, 41):
        path.write_text(whole[:end], "utf-8")
        with pytest.raises(DataError, match="c.json: not JSON, or cut short"):
            ConfusionModel.load(str(path))
    value = json.loads(whole)
    for change, message in (
            ({"format": "x"}, "not a file of confusions"), ({"more": 1}, "unknown: more"),
            ({"changed": "x"}, "changed does not hold"), ({"changed": 1.5}, "not between 0 and 1"),
            ({"letters": 1}, "letters does not"), ({"places": -1}, "places does not"),
            ({"insertions": {"a": -1}}, "insertions does not"), ({"reads": []}, "reads does not"),
            ({"reads": {"a": 3}}, "reads does not"), ({"pairs": {}}, "more often than"),
            ({"splits": {"m": {"rn": 99}}}, "more often than")):
        path.write_text(json.dumps({**value, **change}), "utf-8")
        with pytest.raises(DataError, match=f"c.json: .*{message}"):
            ConfusionModel.load(str(path))
    path.write_text("[1]")
    with pytest.raises(DataError, match="expected an object of JSON"):
        ConfusionModel.load(str(path))
    path.write_bytes(b"\xff")
    with pytest.raises(DataError, match="not UTF-8"):
        ConfusionModel.load(str(path))
    with pytest.raises(MissingDataError, match="none.json: no such file"):
        ConfusionModel.load(str(tmp_path / "none.json"))


def test_nothing_to_learn_from():
    for nothing in ([], pairs(("", "abc"))):
        with pytest.raises(DataError, match="no written characters"):
            ConfusionModel.learn(nothing)


@given(st.lists(st.tuples(words, words), min_size=1, max_size=4), words, words)
def test_whatever_was_read_can_be_learned(readings, truth, reading):
    if any(written for written, _ in readings):
        assert -math.inf < ConfusionModel.learn(pairs(*readings)).log_prob(truth, reading) < 0


def test_command(tmp_path, capsys):
    source, output = str(tmp_path / "p.jsonl"), str(tmp_path / "c.json")
    write_pairs(source, pairs(("marne", "mame"), times=4),
                {"readings_of_training_lines": "in-sample"})
    assert main(["confusions", source, "--output", output]) == 0
    told = capsys.readouterr()
    assert "4 lines" in told.out and "'rn' read as 'm': 4" in told.out
    assert "trained on these very lines" in told.err
    assert ConfusionModel.load(output).merges == {"rn": {"m": 4}}
    assert main(["confusions", str(tmp_path / "none"), "--output", output]) == 2
    assert "no such file" in capsys.readouterr().err
