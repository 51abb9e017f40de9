import io
import json
import re
from dataclasses import replace
from datetime import datetime, timezone
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from lm.base.errors import ConfigError, UnknownNameError
from ocr.data import open_dataset
from ocr.formats import FORMATS, alto_xml, format_of_file, open_format, page_xml, reading_to_dict
from ocr.layout import line_of_polygon, read_segmentation
from ocr.recognition.readings import (
    Alternative,
    CharacterReading,
    LineReading,
    PageReading,
    WordReading,
)

SIZE = (400, 200)


def line(text, top, order, alternatives=(), low=False):
    """A reading whose characters are 10 pixels wide from x = 20 on."""
    where = line_of_polygon([(20, top), (300, top), (300, top + 25), (250, top + 40),
                             (20, top + 40)], [(20, top + 30), (300, top + 30.4)], order, SIZE)
    characters = []
    for i, character in enumerate(text):
        left, right = 20 + 10 * i, 30 + 10 * i
        characters.append(CharacterReading(character, 0.9, (
            (left, top), (right, top), (right, top + 40), (left, top + 40))))
    words = []
    for match in re.finditer(r"\S+", text):
        own = tuple(characters[match.start():match.end()])
        words.append(WordReading(match.group(), 0.8, (own[0].polygon[0], own[-1].polygon[1],
                                                      own[-1].polygon[2], own[0].polygon[3]),
                                 own))
    return LineReading(where, text, 0.75, low, tuple(characters), tuple(words),
                       tuple(Alternative(*a) for a in alternatives))


READING = PageReading(*SIZE, (
    line("été & <co>", 10, 0, [("été & so", 0.2)]), line("\"fin\"", 70, 1, [("fin", 0.1)], True)),
    "p.png")
WRITERS = {"alto": alto_xml, "page": page_xml}


def written(name, *pages):
    """What a format writes of pages."""
    out = io.BytesIO()
    writer = open_format(name)(out)
    for page in pages:
        writer.add(page)
        writer.pages += 1
    writer.finish()
    return out.getvalue() if name == "pdf" else out.getvalue().decode()


@pytest.mark.parametrize("kind", WRITERS)
def test_our_readers_read_it(tmp_path, kind):
    Image.fromarray(np.full(SIZE[::-1], 200, np.uint8)).save(tmp_path / "p.png")
    path = tmp_path / "p.xml"
    path.write_text(WRITERS[kind](READING, "p.png"), encoding="utf-8")
    lines = open_dataset(kind, path=str(path), on_error="raise")
    assert lines.texts() == ["été & <co>", '"fin"']
    assert lines.samples[0].extra["box"] == (20, 10, 280, 40)
    flags = {"alto": "tags", "page": "custom"}[kind]
    assert [flags in sample.extra for sample in lines.samples] == [False, True]
    assert "low_confidence" in lines.samples[1].extra[flags]
    # And as a segmentation: outline and baseline.
    again = read_segmentation(str(path), SIZE)
    assert again[0].polygon == READING.lines[0].line.polygon
    assert again[0].baseline == ((20, 40), (300, 40))


def test_our_own_json_is_a_segmentation(tmp_path):
    (tmp_path / "p.json").write_text(written("json", READING), encoding="utf-8")
    again = read_segmentation(str(tmp_path / "p.json"), SIZE)
    assert [a.polygon for a in again] == [r.line.polygon for r in READING.lines]


def children(element):
    return [child.tag.rpartition("}")[2] for child in element]


def test_alto_has_the_schemas_elements_in_their_order():
    root = ElementTree.fromstring(alto_xml(READING, "p.png").encode())
    space = {"a": root.tag[1:].partition("}")[0]}
    assert space["a"] == "http://www.loc.gov/standards/alto/ns-v4#"
    assert children(root) == ["Description", "Tags", "Layout"]
    assert children(root[0]) == ["MeasurementUnit", "sourceImageInformation", "Processing"]
    first, second = root.findall(".//a:TextLine", space)
    assert children(first) == ["Shape", "String", "SP", "String", "SP", "String"]
    assert children(second) == ["Shape", "String"]
    assert children(second[1]) == ["Shape", "ALTERNATIVE", *["Glyph"] * 5]
    assert second.get("TAGREFS") == root.find(".//a:OtherTag", space).get("ID")
    assert first.get("BASELINE") == "20,40 300,40"
    word = first[1]
    assert (word.get("CONTENT"), word.get("WC")) == ("été", "0.8000")
    assert [word.get(n) for n in ("HPOS", "VPOS", "WIDTH", "HEIGHT")] == ["20", "10", "30", "40"]
    glyph = word.findall("a:Glyph", space)[1]
    assert (glyph.get("CONTENT"), glyph.get("GC"), glyph.get("HPOS")) == ("t", "0.9000", "30")
    ids = [e.get("ID") for e in root.iter() if e.get("ID")]
    assert len(ids) == len(set(ids))


def test_page_has_the_schemas_elements_in_their_order():
    time = datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
    root = ElementTree.fromstring(page_xml(READING, "p.png", time).encode())
    space = {"p": "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"}
    assert root.tag == f"{{{space['p']}}}PcGts" and children(root) == ["Metadata", "Page"]
    assert [e.text for e in root[0]][1:] == ["2024-05-06T07:08:09+00:00"] * 2
    assert children(root[1][0]) == ["Coords", "TextLine", "TextLine"]
    first = root.find(".//p:TextLine", space)
    assert children(first) == ["Coords", "Baseline", "Word", "Word", "Word", "TextEquiv",
                               "TextEquiv"]
    assert children(first[2]) == ["Coords", "Glyph", "Glyph", "Glyph", "TextEquiv"]
    readings = first.findall("p:TextEquiv", space)
    assert [(r.get("index"), r.get("conf"), r[0].text) for r in readings] == [
        ("0", "0.7500", "été & <co>"), ("1", "0.2000", "été & so")]
    for coords in root.iter(f"{{{space['p']}}}Coords"):
        assert re.fullmatch(r"(\d+,\d+ )+\d+,\d+", coords.get("points"))


@pytest.mark.parametrize("kind", WRITERS)
def test_blank_pages_and_lines_and_what_xml_cannot_hold(kind, tmp_path):
    empty = ElementTree.fromstring(WRITERS[kind](PageReading(*SIZE, ()), "p.png").encode())
    assert not [e for e in empty.iter() if e.tag.endswith("TextLine")]
    odd = PageReading(*SIZE, (line("", 10, 0), line("a\x01b", 70, 1)))
    root = ElementTree.fromstring(WRITERS[kind](odd, "x\x00.png").encode())
    first, second = [e for e in root.iter() if e.tag.endswith("TextLine")]
    assert "a\ufffdb" in ElementTree.tostring(second, encoding="unicode")
    if kind == "alto":
        assert children(first) == ["Shape", "String"]


def test_json_is_what_its_schema_says():
    jsonschema = pytest.importorskip("jsonschema")
    [block] = re.findall(r"```json\n(.*?)```", open("docs/formats.md", encoding="utf-8").read(),
                         re.S)
    schema = json.loads(block)
    jsonschema.Draft202012Validator.check_schema(schema)
    for reading in (READING, PageReading(*SIZE, ()), replace(READING, page=3)):
        value = json.loads(written("json", reading))
        jsonschema.validate(value, schema)
        assert value == reading_to_dict(reading) == reading.to_dict()
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**value, "lines": [{"text": "a"}]}, schema)
    assert (value["image"], value["width"], value["height"]) == ("p.png", 400, 200)
    assert value["text"] == "été & <co>\n\"fin\"" and value["page"] == 3
    second = value["lines"][1]
    assert second["low_confidence"] is True and second["box"] == [20, 70, 300, 110]
    assert second["characters"][1] == {
        "text": "f", "confidence": 0.9, "box": [30, 70, 40, 110],
        "polygon": [[30, 70], [40, 70], [40, 110], [30, 110]]}
    assert second["alternatives"] == [{"text": "fin", "confidence": 0.1}]


def test_text_is_the_text_alone_and_pages_are_apart():
    assert written("text", READING) == "été & <co>\n\"fin\"\n"
    assert written("text", READING, READING).split("\f") == [written("text", READING)] * 2
    assert len(written("json", READING, READING).splitlines()) == 2
    # A lone surrogate, as a damaged file name has it, is no reason to stop.
    assert written("text", PageReading(*SIZE, (line("a\udcffb", 10, 0),))) == "a?b\n"


def test_rows_of_tsv_stay_rows():
    odd = replace(READING, name="a\tb\nc.png", page=2)
    rows = [row.split("\t") for row in written("tsv", READING, odd).splitlines()]
    assert rows[:3] == [["path", "line", "confidence", "text"],
                        ["p.png", "1", "0.750", "été & <co>"],
                        ["p.png", "1", "0.200", "été & so"]]
    assert rows[-1] == ["a\\tb\\nc.png[2]", "2", "0.100", "fin"]
    assert {len(row) for row in rows} == {4}


def test_hocr_parsed_back():
    text = written("hocr", replace(READING, name='a "b" & c.png'), replace(READING, page=7))
    root = ElementTree.fromstring(text.encode())
    h = "{http://www.w3.org/1999/xhtml}"
    pages = [e for e in root.iter(f"{h}div") if e.get("class") == "ocr_page"]
    assert [p.get("title") for p in pages] == [
        'image "a %22b%22 & c.png"; bbox 0 0 400 200; ppageno 0',
        'image "p.png"; bbox 0 0 400 200; ppageno 6']
    lines = [e for e in pages[0].iter() if "ocr_line" in (e.get("class") or "").split()]
    assert ["".join(e.itertext()).strip() for e in lines] == ["été & <co>", '"fin"']
    assert [e.get("class") for e in lines] == ["ocr_line", "ocr_line low_confidence"]
    # The baseline is told from the box's lower left corner: 50 to 40, rising by 0.4 over 280.
    assert lines[0].get("title") == "bbox 20 10 300 50; baseline 0.0014 -10.0; x_wconf 75"
    words = [e for e in lines[0] if e.get("class") == "ocrx_word"]
    assert ["".join(w.itertext()) for w in words] == ["été", "&", "<co>"]
    assert words[0].get("title") == "bbox 20 10 50 50; x_wconf 80"
    assert words[0][1].text == "t"
    assert words[0][1].get("title") == "x_bboxes 30 10 40 50; x_conf 90.0"
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    assert root.find(f"{h}head/{h}meta[@name='ocr-capabilities']") is not None


class Drawn:
    """Stands for where an image comes from."""

    def __init__(self, image):
        self.image = image

    def load(self):
        return self.image


def test_the_text_of_a_pdf_is_found_where_the_words_stand():
    pdfium = pytest.importorskip("pypdfium2")
    pytest.importorskip("reportlab")
    colour = Image.new("RGB", SIZE, (250, 240, 200))
    colour.info["dpi"] = (100, 100)
    # A line that climbs, one from right to left on its head, and letters no Latin font has.
    climbing = replace(line("mot", 0, 0), words=(WordReading("mot", 0.8, (
        (100, 100), (180, 60), (190, 80), (110, 120))),))
    pages = [replace(READING, source=Drawn(colour)),
             PageReading(*SIZE, (climbing, line("Жук 漢字 ŷ", 150, 1)), "b.png",
                         source=Drawn(Image.new("1", SIZE, 1)))]
    document = pdfium.PdfDocument(written("pdf", *pages))
    assert [page.get_size() for page in document][0] == (288, 144)
    assert document[1].get_size() == (96, 48)
    for page, reading in zip(document, pages):
        text = page.get_textpage()
        scale = page.get_width() / reading.width
        for word in (w for one in reading.lines for w in one.words):
            found = text.search(word.text, match_case=True).get_next()
            assert found, word.text
            boxes = np.array([text.get_charbox(i, loose=True)
                              for i in range(found[0], found[0] + found[1])])
            left, bottom, right, top = (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0))
            there = np.array([left / scale, reading.height - top / scale, right / scale,
                              reading.height - bottom / scale])
            assert np.abs(there - word.box).max() < 8, (word.text, there, word.box)
    assert document[0].get_textpage().get_text_range().split() == "été & <co> \"fin\"".split()
    # The scan is seen, the text is not.
    drawn = np.asarray(document[0].render(scale=100 / 72).to_pil().convert("RGB"), int)
    assert np.abs(drawn - (250, 240, 200)).max() < 6


def test_formats_by_name_and_by_ending(monkeypatch):
    assert FORMATS.names() == ["alto", "hocr", "json", "page", "pdf", "text", "tsv"]
    for path, name in (("a.txt", "text"), ("A.JSON", "json"), ("a.xml", "page"), ("a.b.pdf", "pdf"),
                       ("a.alto.xml", "alto"), ("a.page.xml", "page"), ("a.html", "hocr")):
        assert format_of_file(path) == name, path
    with pytest.raises(ConfigError, match=r"a\.doc: no output format has this ending; .*\.pdf"):
        format_of_file("a.doc")
    with pytest.raises(UnknownNameError, match="unknown output format 'doc'; known: alto, hocr"):
        open_format("doc")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pdf needs packages .*: reportlab"):
        open_format("pdf")
