import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lm.base.errors import ConfigError, DataError, MissingDataError
from lm.base.settings import from_mapping
from ocr.checkpoints.settings import DataConfig
from ocr.data import open_dataset
from ocr.data.folder import divide
from ocr.text.alphabet import Alphabet
from ocr.training.sources import open_split


def fill(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (30, 10), 255).save(folder / name)
    return str(folder)


@pytest.mark.parametrize("label, case, texts", [
    ("stem", "keep", ["Ab12_0.x", "cD34"]),
    ("stem", "upper", ["AB12_0.X", "CD34"]),
    ("prefix", "keep", ["Ab12", "cD34"]),
    ("prefix", "lower", ["ab12", "cd34"]),
    (r"^[A-Za-z]+(\d+)", "keep", ["12", "34"]),
])
def test_labels_from_names(tmp_path, label, case, texts):
    path = fill(tmp_path, "Ab12_0.x.png", "cD34.JPG")
    dataset = open_dataset("folder", path=path, label=label, case=case)
    assert dataset.texts() == texts
    assert [s.id for s in dataset.samples] == ["Ab12_0.x.png", "cD34.JPG"]
    assert dataset.image(0).shape == dataset.image_size(0) == (10, 30)
    assert dataset.image(0).dtype == np.uint8


def test_decomposed_names_are_taken_to_nfc(tmp_path):
    assert open_dataset("folder", path=fill(tmp_path, "e\u0301.png")).texts() == ["é"]


def test_what_is_listed(tmp_path):
    path = fill(tmp_path, "b_1.png", "b_2.png", "a_1.png", "sub/c_1.png", ".d_1.png")
    (tmp_path / "README.txt").write_text("x")
    dataset = open_dataset("folder", path=path, label="prefix")
    # Two files of one label are two lines.
    assert [(s.id, s.text) for s in dataset.samples] == [
        ("a_1.png", "a"), ("b_1.png", "b"), ("b_2.png", "b")]
    nested = open_dataset("folder", path=path, label="prefix", nested=True)
    assert [s.id for s in nested.samples][3:] == ["sub/c_1.png"] and nested.texts()[3] == "c"
    assert nested.image(3).shape == (10, 30)


def test_bad_files_are_counted_or_fatal(tmp_path):
    path = fill(tmp_path, "good_1.png", "_2.png", "xπ_3.png")
    (tmp_path / "broken_4.png").write_bytes(b"no image")
    options = {"path": path, "label": "prefix", "alphabet": Alphabet.preset("ascii"),
               "check_images": True}
    dataset = open_dataset("folder", **options)
    assert dataset.texts() == ["good"]
    assert dataset.report.counts() == {"no label": 1, "outside the alphabet": 1,
                                       "unreadable image": 1}
    with pytest.raises(DataError, match="_2.png: no label"):
        open_dataset("folder", **options, on_error="raise")
    os.remove(tmp_path / "_2.png")
    os.remove(tmp_path / "xπ_3.png")
    with pytest.raises(DataError, match="broken_4.png"):
        open_dataset("folder", **options, on_error="raise")


def test_names_that_are_not_utf8(tmp_path):
    fill(tmp_path, "a.png")
    try:
        with open(os.fsencode(tmp_path) + b"/\xff.png", "wb"):
            pass
    except OSError:
        pytest.skip("this file system takes no such names")
    dataset = open_dataset("folder", path=str(tmp_path))
    assert dataset.texts() == ["a"] and dataset.report.counts() == {"name is not UTF-8": 1}


@given(st.integers(1, 300), st.integers(0, 100), st.floats(0.01, 0.3), st.integers(0, 9))
def test_division(count, validation, test, seed):
    last = round(test * count)
    if last + validation >= count:
        with pytest.raises(ConfigError, match="leave nothing"):
            divide(count, validation, test, seed)
        return
    parts = divide(count, validation, test, seed)
    assert len(parts["test"]) == last and len(parts["validation"]) == validation
    assert sorted(parts["train"] + parts["validation"] + parts["test"]) == parts["all"]
    assert parts == divide(count, validation, test, seed)
    # The test split does not move when validation changes.
    assert parts["test"] == divide(count, 0, test, seed)["test"]
    expected = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    assert parts["test"] == sorted(expected.permutation(count)[:last].tolist())


def test_splits_of_an_experiment(tmp_path):
    path = fill(tmp_path, *(f"{i:03d}.png" for i in range(20)))
    options = {"path": path, "validation": 3, "test": 0.25, "seed": 4}
    data = from_mapping(DataConfig, {"source": "folder", "options": options})
    texts = [open_split(data, split).texts() for split in ("train", "validation", "test")]
    assert [len(t) for t in texts] == [12, 3, 5]
    assert all(t == sorted(t) for t in texts)
    assert sorted(sum(texts, [])) == open_dataset("folder", path=path).texts()
    other = open_dataset("folder", **{**options, "seed": 5, "split": "train"})
    assert other.texts() != texts[0]
    # A file without a label does not move the others.
    os.rename(tmp_path / "000.png", tmp_path / " .png")
    assert sorted(sum((open_split(data, s).texts() for s in ("train", "validation", "test")), [])
                  ) == [f"{i:03d}" for i in range(1, 20)]
    for split, before in zip(("train", "validation", "test"), texts):
        assert open_split(data, split).texts() == [t for t in before if t != "000"]


@pytest.mark.parametrize("options, error, message", [
    ({"split": "dev"}, ConfigError, "unknown folder.split 'dev'; known: train, validation"),
    ({"case": "title"}, ConfigError, "unknown folder.case 'title'; known: keep, lower, upper"),
    ({"label": "stm"}, ConfigError, "'stm': expected stem, prefix or a regular"),
    ({"label": "("}, ConfigError, "not a regular expression"),
    ({"validation": 1.5}, ConfigError, "folder validation is 1.5"),
    ({"test": -1}, ConfigError, "folder test is -1"),
    ({"test": "half"}, ConfigError, "folder.test: expected int or float, not 'half'"),
    ({"validation": True}, ConfigError, "folder.validation: expected int or float, not True"),
    ({"validation": 1, "test": 1}, ConfigError, "leave nothing of 2"),
    ({"seed": -1}, ConfigError, "folder.seed must be at least 0, not -1"),
    ({"split": "test"}, DataError, "no file for the split 'test'; set test"),
])
def test_bad_settings(tmp_path, options, error, message):
    path = fill(tmp_path, "a.png", "b.png")
    with pytest.raises(error, match=message):
        open_dataset("folder", path=path, **options)


@pytest.mark.parametrize("label", [r"((?:a{1,999}){1,999})b", r"^((?:a{1,60}?){1,60}){1,60}\d"])
def test_a_label_that_takes_forever_is_told(tmp_path, label):
    path = fill(tmp_path, "a" * 250 + ".png")
    with pytest.raises(ConfigError, match="takes more than 1 s to search 'aaa"):
        open_dataset("folder", path=path, label=label)


def test_what_is_no_file_is_reported(tmp_path):
    path = fill(tmp_path, "good.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    dataset = open_dataset("folder", path=path, check_images=True)
    assert dataset.texts() == ["good"] and dataset.report.counts() == {"no file": 2}


def test_no_folder_and_no_images(tmp_path):
    with pytest.raises(MissingDataError, match="none: no such folder"):
        open_dataset("folder", path=str(tmp_path / "none"))
    fill(tmp_path, "sub/a.png")
    with pytest.raises(DataError, match="holds no images .*nested folders are not looked into"):
        open_dataset("folder", path=str(tmp_path))
