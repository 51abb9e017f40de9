import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.base.errors import DataError, MissingDataError
from ocr.evaluation import EvaluationReport, SystemResult
from ocr.evaluation.flor_files import (
    line_means,
    read_predictions,
    write_evaluation_report,
    write_predictions,
    write_training_report,
)

# No line breaks, and no half surrogate pairs, which UTF-8 cannot hold.
LINES = st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]))


def test_predictions_as_flor_writes_them(tmp_path):
    path = tmp_path / "out" / "predict.txt"
    write_predictions(path, ["Il pleut.", "à"], ["Il peut .", ""])
    assert path.read_bytes().decode() == "TE_L Il pleut.\nTE_P Il peut .\nTE_L à\nTE_P \n"


@given(pairs=st.lists(st.tuples(LINES, LINES)))
def test_predictions_come_back(tmp_path_factory, pairs):
    path = tmp_path_factory.mktemp("flor") / "predict.txt"
    references, readings = [a for a, _ in pairs], [b for _, b in pairs]
    write_predictions(path, references, readings)
    assert read_predictions(path) == (references, readings)


def test_foreign_predictions(tmp_path):
    path = tmp_path / "predict.txt"
    path.write_bytes("\ufeffTE_L a  b\r\nTE_P TE_L x\r\n\r\nTE_L\r\nTE_P c".encode())
    assert read_predictions(path) == (["a  b", ""], ["TE_L x", "c"])


@pytest.mark.parametrize("content,message", [
    (b"TE_L a\nTE_L b\n", r"predict.txt, line 2: expected a row TE_P ..., found 'TE_L b'"),
    (b"TE_P a\n", r"line 1: expected a row TE_L"),
    (b"TE_L a\nTE_P b\nrest\n", r"line 3: expected a row TE_L ..., found 'rest'"),
    (b"TE_L a\nTE_P b\nTE_L c\n", r"the last TE_L has no TE_P"),
    (b"TE_L a\nTE_P \xff\n", r"line 2: not UTF-8")])
def test_what_is_no_predictions_file(tmp_path, content, message):
    path = tmp_path / "predict.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_predictions(path)
    with pytest.raises(MissingDataError, match="none.txt: no such"):
        read_predictions(tmp_path / "none.txt")


def test_lines_that_would_break_the_file(tmp_path):
    path = tmp_path / "predict.txt"
    with pytest.raises(DataError, match=r"line 2 holds a line break: 'b\\nTE_P c'"):
        write_predictions(path, ["a", "b"], ["a", "b\nTE_P c"])
    with pytest.raises(DataError, match="2 references for 1 readings"):
        write_predictions(path, ["a", "b"], ["a"])
    assert not path.exists()


def test_means_over_lines():
    # 1 of 2, 2 of 4 (the reading is the longer), none.
    cer, wer, ser = line_means(["ab", "ab", "a b"], ["ax", "abcd", "a b"])
    assert (cer, wer, ser) == pytest.approx((1 / 3, 2 / 3, 2 / 3))
    assert line_means([""], [""]) == (0, 0, 0)
    # That system takes both to lower case.
    assert line_means(["Ab", "É"], ["aB", "é"]) == (0, 0, 0)
    assert all(map(math.isnan, line_means([], [])))
    with pytest.raises(DataError, match="1 references for 0 readings"):
        line_means(["a"], [])


def test_training_report(tmp_path):
    history = [{"epoch": 1, "train_loss": 9.0, "lines_per_second": 10.0, "validation_cer": 0.5,
                "validation_loss": 8.0},
               {"epoch": 2, "train_loss": 7.0, "lines_per_second": 20.0, "validation_cer": 0.3,
                "validation_loss": 8.5},
               {"epoch": 3, "train_loss": 6.0, "lines_per_second": 20.0}]
    write_training_report(tmp_path / "train.txt", history, 100, 7, 16)
    assert (tmp_path / "train.txt").read_text().splitlines() == [
        "Total train images:      100", "Total validation images: 7",
        "Batch:                   16", "",
        "Total time:              0:00:20", "Time per epoch:          0:00:06.666667",
        "Time per item:           0:00:00.066667", "",
        "Total epochs:            3", "Best epoch               2", "",
        "Training loss:           7.00000000", "Validation loss:         8.50000000"]
    with pytest.raises(DataError, match="no epoch was validated"):
        write_training_report(tmp_path / "none.txt", history[2:], 100, 7, 16)


def test_evaluation_report(tmp_path):
    report = EvaluationReport("d", "test", ["1", "2"], ["ab cd", "é"],
                              [SystemResult("greedy", ["ab xd", "e"], 3.0)],
                              normalise=("accents",))
    write_evaluation_report(tmp_path / "evaluate.txt", report, "greedy")
    assert (tmp_path / "evaluate.txt").read_text().splitlines() == [
        "Total test images:    2", "Total time:           0:00:03",
        "Time per item:        0:00:01.500000", "", "Metrics (accents normalised):",
        "Character Error Rate: 0.16666667", "Word Error Rate:      0.33333333",
        "Sequence Error Rate:  0.50000000", "",
        "Means over lines, lower case (accents normalised):",
        "Character Error Rate: 0.10000000", "Word Error Rate:      0.25000000",
        "Sequence Error Rate:  0.50000000"]
    with pytest.raises(DataError, match="no system 'beam'; known: greedy"):
        write_evaluation_report(tmp_path / "evaluate.txt", report, "beam")
