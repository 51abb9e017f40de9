import numpy as np
import pytest
from PIL import Image

from lm.base.errors import ConfigError, DataError, MissingDataError, UnknownNameError
from ocr.data import open_dataset
from ocr.text.alphabet import Alphabet


def test_reads_lines_and_keeps_other_columns(tmp_path):
    Image.new("L", (30, 10), 255).save(tmp_path / "a.png")
    (tmp_path / "t.tsv").write_text('page\tfile\ttext\twriter\n7\ta.png\tun "mot"  #1\tw9\n')
    dataset = open_dataset("table", path=str(tmp_path / "t.tsv"))
    sample = dataset[0]
    assert (sample.id, sample.text, sample.writer) == ("a.png", 'un "mot"  #1', "w9")
    assert sample.extra == {"page": "7"}
    assert dataset.split == "t"
    assert dataset.image(0).shape == (10, 30) and dataset.image(0).dtype == np.uint8


def test_csv_is_quoted(tmp_path):
    Image.new("L", (30, 10), 255).save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text('file,text\na.png,"one, ""two"""\n')
    assert open_dataset("table", path=str(tmp_path / "t.csv"))[0].text == 'one, "two"'
    (tmp_path / "t.csv").write_text('file,text\na.png,"one\n')
    with pytest.raises(DataError, match="t.csv, line 2"):
        open_dataset("table", path=str(tmp_path / "t.csv"))


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
    with pytest.raises(ConfigError, match="has no option 'pth'"):
        open_dataset("table", pth="x")
    with pytest.raises(ConfigError, match=r"needs the option\(s\) path"):
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
    assert [s.id for s in dataset] == ["a.png", f"{paths[1]}:a.png"]
    assert dataset.split == "t" and dataset.report.counts() == {"missing image": 2}
    with pytest.raises(DataError, match="same table twice"):
        open_dataset("table", path=[paths[0], paths[0]])
    with pytest.raises(DataError, match="no table"):
        open_dataset("table", path=[])
