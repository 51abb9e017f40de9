"""``ocr recognise`` on pages and lines, with a network that was never trained."""

import json

import numpy as np
import pytest
from PIL import Image

from ocr.checkpoints import shipped
from ocr.cli.main import main
from ocr.data import open_dataset
from ocr.export import export_onnx

from ..export.networks import write_checkpoint
from ..layout.pages import draw_page
from .test_commands import run

pytest.importorskip("skimage")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint, a page of three lines, a line, a blank page and what is no image."""
    folder = tmp_path_factory.mktemp("recognise")
    write_checkpoint(folder / "m.ckpt", "captcha")
    page, _ = draw_page(("une ligne de texte", "le mot", "et la fin"))
    Image.fromarray(page).convert("RGB").save(folder / "page.jpg")
    Image.fromarray(draw_page(("une ligne",), margin=10, width=180)[0]).save(folder / "line.png")
    Image.fromarray(np.full((200, 300), 250, np.uint8)).save(folder / "blank.png")
    (folder / "broken.png").write_text("no image")
    return folder


@pytest.fixture
def recognise(folder, capsys):
    """The command within this process, for MXNet takes seconds to load: (stdout, stderr)."""
    def call(*arguments, status=0):
        try:
            done = main(["recognise", *map(str, arguments), "--checkpoint",
                         str(folder / "m.ckpt")])
        except SystemExit as stop:
            done = stop.code
        out, err = capsys.readouterr()
        assert done == status, err
        return out, err

    return call


def test_text_of_pages_lines_and_blanks(folder):
    out, err = run("recognise", folder / "page.jpg", folder / "blank.png", folder / "line.png",
                   "--checkpoint", folder / "m.ckpt")
    rows = [row.split("\t") for row in out.splitlines()]
    assert [row[0] for row in rows] == [str(folder / "page.jpg")] * 3 + [str(folder / "line.png")]
    assert all(0 <= float(row[1]) <= 1 for row in rows)
    assert f"{folder / 'blank.png'}: no lines of text found" in err
    # A network that learnt nothing is sure of nothing.
    assert "page.jpg: 3 of 3 line(s) of low confidence" in err


def test_a_page_as_one_line_and_no_flags(folder, recognise):
    out, err = recognise(folder / "page.jpg", "--lines", "one", "--low-confidence", 0)
    assert len(out.splitlines()) == 1 and "low confidence" not in err


def test_json_to_files_and_back_as_a_segmentation(folder, recognise, tmp_path):
    images = [folder / "page.jpg", folder / "line.png"]
    out, _ = recognise(*images, "--json", "--output", tmp_path)
    assert out == ""
    page = json.loads((tmp_path / "page.json").read_text())
    assert [line["low_confidence"] for line in page["lines"]] == [True] * 3
    assert (page["width"], page["height"]) == Image.open(folder / "page.jpg").size
    for line in page["lines"]:
        left, top, right, bottom = line["box"]
        assert 0 <= left < right <= page["width"] and 0 <= top < bottom <= page["height"]
        assert "".join(c["text"] for c in line["characters"]) == line["text"]
        assert " ".join(w["text"] for w in line["words"]) == line["text"]
        assert all(left - 2 <= c["box"][0] <= c["box"][2] <= right + 2
                   for c in line["characters"])
    out, _ = recognise(*images, "--json", "--segmentation", tmp_path)
    again = json.loads(out.splitlines()[0])
    assert [line["polygon"] for line in again["lines"]] == [
        line["polygon"] for line in page["lines"]]


@pytest.mark.parametrize("kind", ["alto", "page"])
def test_xml_that_our_readers_read(folder, recognise, tmp_path, kind):
    recognise(folder / "page.jpg", folder / "line.png", f"--{kind}", "--output", tmp_path)
    out, _ = recognise(folder / "page.jpg", "--json")
    texts = [line["text"] for line in json.loads(out)["lines"]]
    lines = open_dataset(kind, path=str(tmp_path / "page.xml"))
    assert lines.texts() == [text for text in texts if text]
    assert lines.image(0).size
    assert recognise(folder / "page.jpg", f"--{kind}")[0].startswith("<?xml")
    out, _ = recognise(folder / "page.jpg", "--segmentation", tmp_path / "page.xml")
    assert len(out.splitlines()) == 3


def test_broken_and_huge_images_are_named_and_the_others_read(folder, recognise):
    out, err = recognise(folder / "broken.png", folder / "line.png", folder / "none.png",
                         folder / "page.jpg", "--max-pixels", 100_000, status=2)
    assert [row.split("\t")[0] for row in out.splitlines()] == [str(folder / "line.png")]
    assert "broken.png: not a readable image" in err and "none.png: no such image" in err
    assert "page.jpg: 700 x 290 pixels are more than the 100000 allowed" in err


@pytest.mark.parametrize("arguments, message", [
    (["{line}", "--page"], "--page: for several images give --output FOLDER"),
    (["{line}", "--segmentation", "x.json"], "give a folder with a file for each"),
    (["{page}", "--output", "x"], "would both be written to"),
    (["--low-confidence", "2"], "low_confidence is 2.0"),
    (["--json", "--alto"], "not allowed with argument"),
    (["--lines", "all"], "invalid choice: 'all'"),
    (["--segmentation", "none.json"], "none.json: no such segmentation")])
def test_errors_are_one_clear_line(folder, recognise, tmp_path, arguments, message):
    (tmp_path / "page.jpg").write_bytes((folder / "page.jpg").read_bytes())
    names = {"line": folder / "line.png", "page": tmp_path / "page.jpg"}
    out, err = recognise(folder / "page.jpg", *(a.format(**names) for a in arguments),
                         status=2)
    assert out == "" and message in err and len(err.strip().splitlines()) == 1


def test_without_a_model_the_shipped_one_reads(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shipped, "_FOLDER", str(tmp_path))
    line = str(folder / "line.png")
    assert main(["recognise", line]) == 2
    assert "no trained model comes with this installation" in capsys.readouterr().err
    export_onnx(str(folder / "m.ckpt"), str(tmp_path / "default.onnx"))
    assert main(["recognise", line, "--lines", "one"]) == 0
    out, _ = capsys.readouterr()
    for model in (str(folder / "m.ckpt"), "default"):
        assert main(["recognise", line, "--lines", "one", "--model", model]) == 0
        assert capsys.readouterr()[0] == out
