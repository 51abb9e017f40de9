import pytest

from ocr.config import from_mapping
from ocr.data import Alphabet
from ocr.exceptions import ConfigError
from ocr.training import DataConfig
from ocr.training.sources import make_alphabet, open_split


def test_synthetic_lines_are_the_default_with_their_own_splits():
    data = from_mapping(DataConfig, {"options": {"lines": 3, "fonts": "hershey"}})
    names = [open_split(data, split).split for split in ("train", "validation", "test")]
    assert names == ["train", "validation1", "test"]


def test_a_splits_options_go_before_the_common_ones():
    data = from_mapping(DataConfig, {"options": {"lines": 3, "fonts": "hershey"},
                                     "train": {"lines": 5, "split": "validation2"}})
    assert len(open_split(data, "train")) == 5 and len(open_split(data, "test")) == 3
    assert open_split(data, "train").split == "validation2"
    with pytest.raises(ConfigError, match="no option 'line'"):
        open_split(from_mapping(DataConfig, {"options": {"line": 3}}), "train")


def test_alphabet_from_data_preset_or_file(tmp_path, table):
    data = from_mapping(DataConfig, {"source": "table", "train": {"path": str(table[0])}})
    dataset = open_split(data, "train")
    assert make_alphabet("data", dataset) == Alphabet.from_texts(dataset.texts())
    assert len(make_alphabet("iam", dataset)) == 79
    (tmp_path / "own.txt").write_text("a\nb\n")
    assert make_alphabet(str(tmp_path / "own.txt"), dataset) == Alphabet("ab")
