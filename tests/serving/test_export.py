"""Readings written out with what a person corrected."""

import io
import json
import xml.etree.ElementTree as ET
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ocr.data.table import open_table
from ocr.serving.errors import BadRequest
from ocr.serving.export import EditedPage, edited_reading, parse_pages

from .conftest import form, png
from .fakes import CHARACTERS, draw_bars


def read(client, *texts, name="scan.png"):
    """The pages of images of one line each."""
    return client.recognise(*[(name, png(text)) for text in texts],
                            query="?lines=one").json["images"]


def export(client, pages, format, *files):
    body, kind = form([("pages", None, pages if isinstance(pages, bytes)
                        else json.dumps(pages).encode()),
                       *[("files", f"{i}.png", data) for i, data in enumerate(files)]])
    return client.send("POST", f"/export?format={format}", body, {"Content-Type": kind})


def test_corrected_texts_are_what_is_written(shared):
    [page] = read(shared, "some text")
    page["lines"][0]["text"] = "some more text"
    texts = {}
    for format, kind in (("text", "text/plain"), ("json", "application/json"),
                         ("alto", "application/xml"), ("page", "application/xml")):
        answer = export(shared, page, format)
        assert answer.status == 200 and answer.headers["content-type"].startswith(kind)
        assert "attachment" in answer.headers["content-disposition"]
        texts[format] = answer.body.decode()
    assert texts["text"] == "some more text\n"
    assert json.loads(texts["json"])["lines"][0]["text"] == "some more text"
    strings = ET.fromstring(texts["alto"]).iter("{http://www.loc.gov/standards/alto/ns-v4#}String")
    assert [s.get("CONTENT") for s in strings] == ["some", "more", "text"]
    assert "<Unicode>some more text</Unicode>" in texts["page"]
    # What was left as it was is written as it was read.
    [page] = read(shared, "some text")
    value = json.loads(export(shared, page, "json").body)
    assert value["lines"][0]["characters"] == page["lines"][0]["characters"]


@given(st.text(CHARACTERS, max_size=12), st.text(CHARACTERS, max_size=14))
def test_characters_that_stay_keep_their_cells(before, after):
    width = 20 * max(len(before), 1)
    cells = [{"text": c, "confidence": 0.5, "polygon": [[20 * i, 0], [20 * i + 20, 0],
                                                        [20 * i + 20, 30], [20 * i, 30]]}
             for i, c in enumerate(before)]
    page = EditedPage.model_validate({"width": width, "height": 30, "lines": [
        {"text": after, "polygon": [[0, 0], [width, 0], [width, 30], [0, 30]],
         "characters": cells}]})
    [line] = edited_reading(page).lines
    assert line.text == "".join(c.text for c in line.characters) == after
    assert "".join(w.text for w in line.words) == after.replace(" ", "")
    lefts, rights = ([c.box[side] for c in line.characters] for side in (0, 2))
    assert all(a <= b for a, b in zip(lefts, rights)) and lefts == sorted(lefts)
    assert all(0 <= edge <= width for edge in (*lefts, *rights))
    if before == after:
        assert lefts == [20 * i for i in range(len(before))]
        assert {c.confidence for c in line.characters} <= {0.5}


def test_lines_to_train_on(shared, tmp_path):
    texts = ["first line", "second"]
    pages = read(shared, *texts)
    pages[0]["lines"][0]["text"] = "first, line"
    answer = export(shared, pages, "table", *map(png, texts))
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        archive.extractall(tmp_path)
    table = open_table(str(tmp_path / "lines.tsv"))
    samples = getattr(table, "samples", table)
    assert [sample.text for sample in samples] == ["first, line", "second"]
    assert len({sample.id for sample in samples}) == 2
    for sample, text in zip(samples, texts):
        np.testing.assert_array_equal(np.asarray(Image.open(sample.path)), draw_bars(text))
    wrong = export(shared, pages, "table", png("first line"))
    assert wrong.status == 400 and "image is not known" in wrong.error
    wrong = export(shared, pages[:1], "table", png("another"))
    assert wrong.status == 400 and "another size" in wrong.error
    pages[0]["lines"][0]["text"] = " "
    assert "no line holds text" in export(shared, pages[:1], "table", png("first line")).error


def test_a_searchable_pdf_holds_the_image_and_the_corrected_text(shared):
    pytest.importorskip("reportlab")
    pdfium = pytest.importorskip("pypdfium2")
    [page] = read(shared, "some text")
    page["lines"][0]["text"] = "some other text"
    answer = export(shared, page, "pdf", png("some text"))
    assert answer.headers["content-type"] == "application/pdf"
    document = pdfium.PdfDocument(answer.body)
    assert document[0].get_textpage().get_text_bounded().split() == ["some", "other", "text"]
    # It can be read again, as can any format of /recognition be asked for.
    [again] = shared.recognise(("a.pdf", answer.body), query="?lines=one").json["images"]
    assert (again["width"], again["height"]) == (page["width"], page["height"])
    hocr = shared.recognise(("a.png", png("some text")), query="?lines=one&format=hocr")
    assert hocr.headers["content-type"].startswith("text/html") and b"ocr_line" in hocr.body
    assert "image is not known" in export(shared, page, "pdf").error


def test_several_pages_go_into_one_archive(shared):
    pages = read(shared, "first", "second")
    assert export(shared, pages, "text").body == b"first\n\x0csecond\n"
    answer = export(shared, pages, "alto")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.namelist() == ["scan.xml", "scan_2.xml"]


@pytest.mark.parametrize("pages, message", [
    (b"", "is missing"), (b"{", "pages"), (b"[]", "none"), (b"3", "array"), (b"[3]", "pages.0"),
    (b'{"width": 0, "height": 9, "lines": []}', "pages.0.width"),
    (b'{"width": 9, "height": 9, "lines": [{"text": "a"}]}', "pages.0.lines.0.polygon"),
    (b'{"width": 9, "height": 9, "lines": [{"text": "a\\u0000", "polygon": '
     b'[[0,0],[9,0],[9,9]]}]}', "pages.0.lines.0.text"),
    (b'{"width": 9, "height": 9, "lines": [{"text": "a", "polygon": [[0,0],[9,0],[1e400,9]]}]}',
     "polygon"),
    (b'{"width": 9, "height": 9, "lines": [{"text": "a", "polygon": [[0,0],[0,0],[0,0]]}]}',
     "line 1: the outline has no area"),
    (b"[" * 100_000, "pages")])
def test_what_is_no_page_is_400(shared, pages, message):
    answer = export(shared, pages, "page")
    assert answer.status == 400 and message in answer.error
    assert shared.post("/export", b"{}").status == 400


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(
    inner) | st.dictionaries(st.sampled_from(["width", "height", "lines", "text", "polygon"]),
                             inner)))
def test_any_json_is_pages_or_refused(value):
    try:
        pages = parse_pages(json.dumps(value))
        [edited_reading(page) for page in pages]
    except BadRequest as error:
        assert str(error)
