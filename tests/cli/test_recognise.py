"""``ocr recognise`` on pages and lines, with a network that was never trained."""

import io
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


def rows(out):
    """The rows of TSV under its header."""
    header, *rest = [row.split("\t") for row in out.splitlines()]
    assert header == ["path", "line", "confidence", "text"]
    return rest


def test_text_of_pages_lines_and_blanks(folder):
    out, err = run("recognise", folder / "page.jpg", folder / "blank.png", folder / "line.png",
                   "--checkpoint", folder / "m.ckpt", "--format", "tsv")
    assert [row[:2] for row in rows(out)] == [
        *([str(folder / "page.jpg"), n] for n in "123"), [str(folder / "line.png"), "1"]]
    assert all(0 <= float(row[2]) <= 1 for row in rows(out))
    assert f"{folder / 'blank.png'}: no lines of text found" in err
    # A network that learnt nothing is sure of nothing.
    assert "page.jpg: 3 of 3 line(s) of low confidence" in err


def test_the_text_alone_a_page_as_one_line_and_no_flags(folder, recognise):
    table, _ = recognise(folder / "page.jpg", "--format", "tsv")
    out, err = recognise(folder / "page.jpg", "--low-confidence", 0)
    assert out.splitlines() == [row[3] for row in rows(table)] and "low confidence" not in err
    out, _ = recognise(folder / "page.jpg", "--lines", "one")
    assert len(out.splitlines()) == 1
    out, _ = recognise(folder / "page.jpg", "--drop-unsure", 1)
    assert out == ""


def test_json_to_files_and_back_as_a_segmentation(folder, recognise, tmp_path):
    images = [folder / "page.jpg", folder / "line.png"]
    out, _ = recognise(*images, "--format", "json", "--output", tmp_path)
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
    out, _ = recognise(*images, "--format", "json", "--segmentation", tmp_path)
    again = json.loads(out.splitlines()[0])
    assert [line["polygon"] for line in again["lines"]] == [
        line["polygon"] for line in page["lines"]]


@pytest.mark.parametrize("kind", ["alto", "page"])
def test_xml_that_our_readers_read(folder, recognise, tmp_path, kind):
    recognise(folder / "page.jpg", folder / "line.png", "--format", kind, "--output", tmp_path)
    out, _ = recognise(folder / "page.jpg", "--format", "json")
    texts = [line["text"] for line in json.loads(out)["lines"]]
    lines = open_dataset(kind, path=str(tmp_path / "page.xml"))
    assert lines.texts() == [text for text in texts if text]
    assert lines.image(0).size
    assert recognise(folder / "page.jpg", "--format", kind)[0].startswith("<?xml")
    out, _ = recognise(folder / "page.jpg", "--segmentation", tmp_path / "page.xml", "--format",
                       "tsv")
    assert len(rows(out)) == 3


def test_broken_and_huge_images_are_named_and_the_others_read(folder, recognise):
    out, err = recognise(folder / "broken.png", folder / "line.png", folder / "none.png",
                         folder / "page.jpg", "--max-pixels", 100_000, "--format", "tsv",
                         status=2)
    assert [row[0] for row in rows(out)] == [str(folder / "line.png")]
    assert "broken.png: not a readable image" in err and "none.png: no such image" in err
    assert "page.jpg: 700 x 290 pixels are more than the 100000 allowed" in err
    assert err.count("page.jpg") == 1


@pytest.mark.parametrize("arguments, message", [
    (["{line}", "--format", "page"], "page: holds one page, but there are 2: give --output FOLDER"),
    (["--format", "page,alto"], "several formats: give --output FOLDER"),
    (["--format", "doc"], "unknown output format 'doc'; known: alto, hocr, json, page, pdf, text"),
    (["{line}", "--output", "x.xml"], "page: holds one page, but there are 2"),
    (["{line}", "--segmentation", "x.json"], "give a folder with a file for each"),
    (["{page}", "--output", "x"], "would both be written to"),
    (["--low-confidence", "2"], "--low-confidence is 2.0"),
    (["--drop-unsure", "nan"], "--drop-unsure is nan"),
    (["--pages", "3-1"], "pages '3-1': pages count from 1, ranges upwards"),
    (["--skip-existing", "--overwrite"], "not allowed with argument"),
    (["--lines", "all"], "invalid choice: 'all'"),
    (["--segmentation", "none.json"], "none.json: no such segmentation")])
def test_errors_are_one_clear_line(folder, recognise, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.jpg").write_bytes((folder / "page.jpg").read_bytes())
    names = {"line": folder / "line.png", "page": tmp_path / "page.jpg"}
    out, err = recognise(folder / "page.jpg", *(a.format(**names) for a in arguments),
                         status=2)
    assert out == "" and message in err and len(err.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.jpg"]


def test_nothing_that_is_there_is_replaced_unasked(folder, recognise, tmp_path):
    call = "--format", "page", "--output", tmp_path / "read", folder / "page.jpg"
    recognise(*call)
    corrected = tmp_path / "read" / "page.xml"
    written = corrected.read_text()
    corrected.write_text("corrected by hand")
    _, err = recognise(*call, status=2)
    assert f"{corrected} is there already: --skip-existing goes on with the others" in err
    assert corrected.read_text() == "corrected by hand"
    _, err = recognise(*call, folder / "line.png", "--skip-existing")
    assert "1 page(s) are read already" in err and "page.jpg" not in err
    assert corrected.read_text() == "corrected by hand" and (tmp_path / "read/line.xml").exists()
    recognise(*call, "--overwrite")
    assert corrected.read_text().count("<TextLine") == written.count("<TextLine")


def test_an_image_is_never_replaced_by_its_reading(folder, recognise, tmp_path):
    image = tmp_path / "a.txt"
    image.write_bytes((folder / "line.png").read_bytes())
    for output in (tmp_path, image):
        _, err = recognise(image, "--output", output, "--overwrite", status=2)
        assert f"{image} is an image that is to be read" in err
    assert image.read_bytes() == (folder / "line.png").read_bytes()


def test_folders_patterns_lists_and_standard_input(folder, recognise, tmp_path, monkeypatch):
    line = (folder / "line.png").read_bytes()
    for name in ("in/b.png", "in/deep/a.png", "in/deep/c [1].png", "in/.hidden/d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(line)
    (tmp_path / "in" / "notes.md").write_text("no image")
    (tmp_path / "list.txt").write_text("in/b.png\n\nin/deep/*.png\n")
    monkeypatch.chdir(tmp_path)
    recognise("in", "--output", "out/", "--lines", "one")
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob(
        "*.txt")) == ["b.txt", "deep/a.txt", "deep/c [1].txt"]
    for arguments, names in (
            (["in"], ["in/b.png", "in/deep/a.png", "in/deep/c [1].png"]),
            (["in/**/a.png"], ["in/deep/a.png"]),
            (["in/deep/c [1].png"], ["in/deep/c [1].png"]),
            (["@list.txt"], ["in/b.png", "in/deep/a.png", "in/deep/c [1].png"])):
        out, _ = recognise(*arguments, "--lines", "one", "--format", "tsv")
        assert [row[0] for row in rows(out)] == names
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(line)))
    out, _ = recognise("-", "--lines", "one", "--format", "tsv")
    assert [row[0] for row in rows(out)] == ["-"]
    (tmp_path / "empty").mkdir()
    out, err = recognise("empty", "*.gif", "@none.txt", "in/b.png", "--lines", "one", status=2)
    assert len(out.splitlines()) == 1
    assert "empty: no image in this folder; *.gif: no file matches; none.txt: no such list" in err


@pytest.fixture(scope="module")
def pages(folder):
    """A TIFF of three pages, an animation of two, and a PDF of three."""
    frames = [Image.open(folder / name).convert("L") for name in ("page.jpg", "line.png")]
    frames.append(frames[1].rotate(0, expand=True, fillcolor=255))
    frames[0].save(folder / "scan.tiff", save_all=True, append_images=frames[1:])
    frames[0].save(folder / "moving.gif", save_all=True,
                   append_images=[frames[0].rotate(180)])
    frames[0].save(folder / "scan.pdf", save_all=True, append_images=frames[1:], resolution=300)
    return folder


@pytest.mark.parametrize("name", ["scan.tiff", "scan.pdf"])
def test_every_page_of_a_file(pages, recognise, tmp_path, name):
    if name.endswith("pdf"):
        pytest.importorskip("pypdfium2")
    file = pages / name
    out, _ = recognise(file, "--format", "tsv")
    assert [row[:2] for row in rows(out)] == [
        [f"{file}[{page}]", str(line)] for page, lines in ((1, 3), (2, 1), (3, 1))
        for line in range(1, lines + 1)]
    out, _ = recognise(f"{file}[2-]", "--format", "json")
    assert [json.loads(row)["page"] for row in out.splitlines()] == [2, 3]
    out, _ = recognise(file, "--pages", "3,1")
    assert out.count("\f") == 1
    recognise(file, "--format", "text,page", "--output", tmp_path)
    stem = file.stem
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *(f"{stem}-000{page}.xml" for page in (1, 2, 3)), f"{stem}.txt"]
    (tmp_path / f"{stem}-0002.xml").unlink()
    _, err = recognise(file, "--format", "page", "--output", tmp_path, "--skip-existing")
    assert "2 page(s) are read already" in err and (tmp_path / f"{stem}-0002.xml").exists()
    _, err = recognise(f"{file}[7]", status=2)
    assert f"{file}: has none of the pages asked for, but 3" in err
    out, _ = recognise(file, pages / "moving.gif", "--format", "tsv")
    assert {row[0] for row in rows(out)} >= {f"{pages / 'moving.gif'}[{n}]" for n in (1, 2)}


def test_a_broken_page_costs_the_others_nothing(pages, recognise, tmp_path):
    file = tmp_path / "cut.tiff"
    content = (pages / "scan.tiff").read_bytes()
    with Image.open(pages / "scan.tiff") as image:
        image.seek(1)
        offset = image.tag_v2[273][0]
    # The second page's compressed pixels lie outside the file.
    image = Image.open(pages / "scan.tiff")
    file.write_bytes(content.replace(offset.to_bytes(4, "little"), (2**31).to_bytes(4, "little")))
    out, err = recognise(file, "--format", "tsv", status=2)
    assert {row[0] for row in rows(out)} == {f"{file}[1]", f"{file}[3]"}
    assert "cut.tiff" in err and "Traceback" not in err
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    out, err = recognise(tmp_path / "broken.pdf", pages / "line.png", status=2)
    assert len(out.splitlines()) == 1 and "broken.pdf: not a readable PDF" in err


def test_one_file_for_all_by_its_ending(pages, recognise, tmp_path):
    pytest.importorskip("reportlab")
    pdfium = pytest.importorskip("pypdfium2")
    images = pages / "page.jpg", pages / "line.png"
    text, _ = recognise(*images)
    recognise(*images, "--output", tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes().decode() == text
    for name, start in (("a.tsv", b"path\tline"), ("a.json", b"{"), ("a.hocr", b"<?xml"),
                        ("a.pdf", b"%PDF")):
        recognise(*images, "--output", tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    read = pdfium.PdfDocument(tmp_path / "a.pdf")
    assert "".join("".join(page.get_textpage().get_text_range() for page in read).split()) \
        == "".join(text.split())
    recognise(pages / "line.png", "--output", tmp_path / "one.xml")
    assert "PcGts" in (tmp_path / "one.xml").read_text()
    recognise(pages / "line.png", "--output", tmp_path / "two.xml", "--format", "alto")
    assert "<alto" in (tmp_path / "two.xml").read_text()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_several_processes_read_the_same(pages):
    sources = [pages / "page.jpg", pages / "broken.png", *[pages / "line.png"] * 20]
    alone, _ = run("recognise", *sources, "--checkpoint", pages / "m.ckpt", "--format", "tsv",
                   status=2)
    beside, err = run("recognise", *sources, "--checkpoint", pages / "m.ckpt", "--format", "tsv",
                      "--jobs", 2, status=2)
    assert beside == alone and len(rows(alone)) == 23
    assert "broken.png: not a readable image" in err


def test_tabs_and_line_ends_in_a_files_name_stay_within_its_row(folder, recognise, tmp_path):
    odd = tmp_path / "a\tb\nc.png"
    odd.write_bytes((folder / "line.png").read_bytes())
    out, _ = recognise(odd, "--lines", "one", "--format", "tsv")
    [row] = rows(out)
    assert row[0] == str(odd).replace("\t", "\\t").replace("\n", "\\n")


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
