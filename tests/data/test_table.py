import os

import numpy as np
import pytest
from PIL import Image

from lm.base.errors import (
    AlphabetError,
    ConfigError,
    DataError,
    MissingDataError,
    UnknownNameError,
)
from ocr.data import open_dataset
from ocr.text.alphabet import Alphabet


def test_reads_lines_and_keeps_other_columns(tmp_path):
    Image.new("L", (30, 10), 255).save(tmp_path / "a.png")
    (tmp_path / "t.tsv").write_text('page\tfile\ttext\twriter\n7\ta.png\tun "mot"  #1\tw9\n')
    dataset = open_dataset("table", path=str(tmp_path / "t.tsv"))
    sample = dataset.samples[0]
    assert (sample.id, sample.text, sample.writer) == ("a.png", 'un "mot"  #1', "w9")
    assert sample.extra == {"page": "7"}
    assert dataset.split == "t"
    assert dataset.image(0).shape == (10, 30) and dataset.image(0).dtype == np.uint8


def test_csv_is_quoted(tmp_path):
    Image.new("L", (30, 10), 255).save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text('file,text\na.png,"one, ""two"""\n')
    assert open_dataset("table", path=str(tmp_path / "t.csv")).texts() == ['one, "two"']
    (tmp_path / "t.csv").write_text('file,text\na.png,"one\n')
    with pytest.raises(DataError, match="t.csv, line 2"):
        open_dataset("table", path=str(tmp_path / "t.csv"))


def test_only_line_ends_end_a_row_of_csv(tmp_path):
    Image.new("L", (30, 10), 255).save(tmp_path / "a.png")
    text = "x\u2028y\x85z\x0bu\x0cv\x1cw\x1d1\x1e2"
    for end in ("\n", "\r\n", "\r"):
        (tmp_path / "t.csv").write_bytes(f"file,text{end}a.png,{text}{end}".encode())
        assert open_dataset("table", path=str(tmp_path / "t.csv")).texts() == [text]


def test_pipes_and_devices_are_refused(tmp_path):
    os.mkfifo(tmp_path / "t.tsv")
    for path in (str(tmp_path / "t.tsv"), "/dev/zero"):
        with pytest.raises(DataError, match=f"{path}: is a pipe or a device"):
            open_dataset("table", path=path)


@pytest.mark.parametrize("options, message", [
    ({"images": 5}, "table.images: expected str, not 5"),
    ({"path": None}, "table.path: expected str or list of str, not None"),
    ({"quoting": "no"}, "table.quoting: expected bool, not 'no'"),
    ({"alphabet": 5}, "alphabet: expected a preset or a file, not 5"),
    ({"check_images": "x"}, "table.check_images: expected bool, not 'x'"),
    ({"alphabet": "asci"}, "asci: no such file"),
])
def test_options_of_the_wrong_type(tmp_path, options, message):
    Image.new("L", (30, 10), 255).save(tmp_path / "a.png")
    (tmp_path / "t.tsv").write_text("file\ttext\na.png\tÄb\n")
    with pytest.raises((ConfigError, AlphabetError), match=message):
        open_dataset("table", **{"path": tmp_path / "t.tsv", **options})
    named = open_dataset("table", path=tmp_path / "t.tsv", alphabet="ascii")
    assert named.report.skips[0].detail == "'Ä' (U+00C4)" and not len(named)


def test_hostile_rows_are_counted_not_lost(tmp_path):
    Image.new("L", (30, 10), 255).save(tmp_path / "a.png")
    Image.new("L", (30, 10), 255).save(tmp_path / "b.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n truncated")
    rows = ["file\ttext", "a.png\tgood\u2028line", "a.png\ttwice", "b.png", "missing.png\tx",
            "\tno file", "b.png\t  ", "b.png\tx\textra", "broken.png\tx", "", "b.png\tπ"]
    path = tmp_path / "t.tsv"
    path.write_bytes(("\ufeff" + "\r\n".join(rows)).encode())
    dataset = open_dataset("table", path=str(path), alphabet=Alphabet.preset("ascii"),
                           check_images=True)
    assert len(dataset) == 0
    assert dataset.report.counts() == {
        "malformed row": 2, "missing image": 1, "empty cell": 2, "unreadable image": 1,
        "outside the alphabet": 2, "repeated file": 1}
    dataset = open_dataset("table", path=str(path), check_images=True)
    assert [s.text for s in dataset.samples] == ["good\u2028line", "π"]
    assert dataset.report.counts()["repeated file"] == 1
    with pytest.raises(DataError, match="line 3"):
        open_dataset("table", path=str(path), on_error="raise")


@pytest.mark.parametrize("content, message", [
    (b"", "empty"),
    (b"image\ttranscript\n", "no column 'file'; found: image, transcript"),
    (b"file\ttext\ttext\n", "stands twice"),
    (b"file\ttext\na.png\t\xff\n", "line 2: not UTF-8"),
    (b"file\ttext\na.png\t\0\n", "line 2: holds a NUL"),
])
def test_unusable_tables(tmp_path, content, message):
    path = tmp_path / "t.tsv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_dataset("table", path=str(path))


def test_missing_table_unknown_source_unknown_option(tmp_path):
    with pytest.raises(MissingDataError, match="no such table"):
        open_dataset("table", path=str(tmp_path / "none.tsv"))
    with pytest.raises(UnknownNameError,
                       match="known: alto, captcha, folder, hdf5, iam, index, page, synth"):
        open_dataset("tabel", path="x")
    with pytest.raises(ConfigError, match="table has no option 'pth' .did you mean 'path'"):
        open_dataset("table", pth="x")
    with pytest.raises(ConfigError, match="table needs the option\\(s\\) path"):
        open_dataset("table")


def test_transparent_and_16_bit_images(tmp_path):
    rgba = np.zeros((8, 9, 4), np.uint8)
    Image.fromarray(rgba).save(tmp_path / "clear.png")
    deep = np.full((8, 9), 65535, np.uint16)
    deep[0] = 0
    Image.fromarray(deep).save(tmp_path / "deep.png")
    (tmp_path / "t.tsv").write_text("file\ttext\nclear.png\ta\ndeep.png\tb\n")
    dataset = open_dataset("table", path=str(tmp_path / "t.tsv"))
    assert (dataset.image(0) == 255).all()
    assert (dataset.image(1)[0] == 0).all() and (dataset.image(1)[1:] == 255).all()


def test_several_tables_are_one_dataset(tmp_path):
    for folder, text in (("one", "eins"), ("two", "zwei")):
        (tmp_path / folder).mkdir()
        Image.new("L", (30, 10), 255).save(tmp_path / folder / "a.png")
        (tmp_path / folder / "t.tsv").write_text(f"file\ttext\na.png\t{text}\ngone.png\tx\n")
    paths = [str(tmp_path / folder / "t.tsv") for folder in ("one", "two")]
    dataset = open_dataset("table", path=paths)
    assert dataset.texts() == ["eins", "zwei"]
    assert [s.id for s in dataset.samples] == ["a.png", f"{paths[1]}:a.png"]
    assert dataset.split == "t" and dataset.report.counts() == {"missing image": 2}
    with pytest.raises(DataError, match="same table twice"):
        open_dataset("table", path=[paths[0], paths[0]])
    with pytest.raises(DataError, match="no table"):
        open_dataset("table", path=[])
