import shutil
import warnings

import pytest
from PIL import Image

from ocr.data import open_dataset
from ocr.data.overlap import MOST_COMPARED, shared_lines, warn_of_shared_lines

from ..conftest import draw_text, write_table


def opened(table):
    return open_dataset("table", path=table)


def test_the_same_table_file_or_pixels_are_found(tmp_path):
    train = opened(write_table(tmp_path, "train", ["un", "deux", "trois", "quatre"]))
    assert shared_lines(train, train) == [(i, i) for i in (s.id for s in train.samples)]
    # Of the same text and other pixels; a copy; pixels saved in another way; all else new.
    (tmp_path / "v").mkdir()
    for name, text, seed in (("a.png", "un", 70), ("b.png", "deux", 1), ("d.png", "cinq", 4)):
        Image.fromarray(draw_text(text, seed=seed)).save(tmp_path / "v" / name)
    Image.open(tmp_path / "lines" / "train-002.png").save(tmp_path / "v" / "c.bmp")
    (tmp_path / "v.tsv").write_text("file\ttext\nv/a.png\tun\nv/b.png\tdeux\nv/c.bmp\ttrois\n"
                                    "v/d.png\tcinq\nlines/train-003.png\tquatre\n")
    valid = opened(tmp_path / "v.tsv")
    assert shared_lines(train, valid) == [
        ("lines/train-001.png", "v/b.png"), ("lines/train-002.png", "v/c.bmp"),
        ("lines/train-003.png", "lines/train-003.png")]
    with pytest.warns(UserWarning, match="3 of 5 lines for validation are lines for training, too "
                                         r"\(such as v/b.png, there lines/train-001.png\)"):
        warn_of_shared_lines({"training": train, "validation": valid})
    # What cannot be read is no reason to stop.
    (tmp_path / "v" / "b.png").write_bytes(b"no image")
    assert len(shared_lines(train, opened(tmp_path / "v.tsv"))) == 2


def test_splits_that_share_nothing_but_short_texts_cost_little(tmp_path, monkeypatch):
    shutil.copy(write_table(tmp_path, "t", ["un"]), tmp_path / "u.tsv")
    train = open_dataset("captcha", lines=2000, length=1, characters="ab", stream=True)
    valid = open_dataset("captcha", lines=2000, length=1, characters="ab", split="validation",
                         stream=True)
    drawn = []
    monkeypatch.setattr(type(train), "image", lambda self, index: drawn.append(index) or index)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert shared_lines(train, valid) == [] or len(drawn) <= 2 * MOST_COMPARED
