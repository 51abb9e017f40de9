import dataclasses

import pytest

from lm.base.errors import CheckpointError, ConfigError, UnknownNameError
from lm.base.settings import from_mapping
from ocr.checkpoints.checkpoint import Checkpoint, save_checkpoint
from ocr.checkpoints.settings import DataConfig
from ocr.text.alphabet import Alphabet
from ocr.training.sources import make_alphabet, open_split

from ..conftest import write_table


def test_synthetic_lines_are_the_default_with_their_own_splits():
    data = from_mapping(DataConfig, {"options": {"lines": 3, "fonts": "hershey"}})
    names = [open_split(data, split).split for split in ("train", "validation", "test")]
    assert names == ["train", "validation1", "test"]


def test_a_splits_options_go_before_the_common_ones():
    data = from_mapping(DataConfig, {"options": {"lines": 3, "fonts": "hershey"},
                                     "train": {"lines": 5, "split": "validation2"}})
    assert len(open_split(data, "train")) == 5 and len(open_split(data, "test")) == 3
    assert open_split(data, "train").split == "validation2"
    with pytest.raises(ConfigError, match="synthetic has no option 'line'"):
        open_split(from_mapping(DataConfig, {"options": {"line": 3}}), "train")


def test_validation_lines_are_held_out_of_the_training_lines(tmp_path):
    path = write_table(tmp_path, "t", [f"line {number}" for number in range(30)])
    # Three writers: whole ones for a third, lines for a tenth.
    for share, count, writers in ((1 / 3, 10, 1), (0.1, 3, None)):
        data = from_mapping(DataConfig, {"source": "table", "train": {"path": str(path)},
                                         "validation": {"path": "none.tsv"},
                                         "test": {"path": str(path)}, "validation_share": share})
        train, validation = (open_split(data, split) for split in ("train", "validation"))
        assert (len(validation), validation.split) == (count, "validation")
        assert set(train.texts()) | set(validation.texts()) == {f"line {n}" for n in range(30)}
        assert len(train) == 30 - count and len(open_split(data, "test")) == 30
        assert open_split(data, "validation").texts() == validation.texts()
        if writers:
            assert len({s.writer for s in validation.samples}) == writers
            assert not {s.writer for s in validation.samples} & {s.writer for s in train.samples}
    with pytest.raises(ConfigError, match="validation_share is 0.01, and there are 30 lines"):
        open_split(dataclasses.replace(data, validation_share=0.01), "train")


def test_alphabet_from_data_preset_or_file(tmp_path, table):
    data = from_mapping(DataConfig, {"source": "table", "train": {"path": str(table[0])}})
    dataset = open_split(data, "train")
    assert make_alphabet("data", dataset) == Alphabet.from_texts(dataset.texts())
    assert len(make_alphabet("iam", dataset)) == 79
    (tmp_path / "own.txt").write_text("a\nb\n")
    assert make_alphabet(str(tmp_path / "own.txt"), dataset) == Alphabet("ab")
    save_checkpoint(str(tmp_path / "x.ckpt"), Checkpoint({}, Alphabet("xyz"), {}))
    assert make_alphabet(str(tmp_path / "x.ckpt"), dataset) == Alphabet("xyz")
    with pytest.raises(CheckpointError, match="none.ckpt"):
        make_alphabet("none.ckpt", dataset)


def test_transcripts_are_normalised(tmp_path):
    table = write_table(tmp_path, "t", ["L’été ,  c'est", "– ( oui )", "\u0301"])
    options = {"source": "table", "train": {"path": str(table)}}
    plain = open_split(from_mapping(DataConfig, options), "train")
    assert plain.texts() == ["L’été ,  c'est", "– ( oui )", "\u0301"]
    data = from_mapping(DataConfig, {**options, "normalise": [
        "spaces", "quotes", "accents", "dashes", "punctuation"]})
    dataset = open_split(data, "train")
    assert dataset.texts() == ["L'ete, c'est", "- (oui)"]
    # Everything else about the lines stays; a line without text is reported.
    assert [(s.id, s.path, s.writer) for s in dataset.samples] == [
        (s.id, s.path, s.writer) for s in plain.samples[:2]]
    assert dataset.report.counts() == {"empty transcript": 1}
    assert dataset.image(1).shape == plain.image(1).shape
    assert set(make_alphabet("data", dataset).characters) == set("L'ete, c'est- (oui)")


def test_rules_of_normalisation_are_checked_at_once():
    assert DataConfig(normalise=["spaces", "case", "case"]).normalise == ("case", "spaces")
    with pytest.raises(UnknownNameError, match="'lower'; known: accents, unpunctuated, case"):
        from_mapping(DataConfig, {"normalise": ["lower"]})
