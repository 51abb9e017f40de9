import json
import re
from datetime import datetime, timezone
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from ocr.data import open_dataset
from ocr.formats import alto_xml, json_line, page_xml, text_rows
from ocr.layout import line_of_polygon, read_segmentation
from ocr.recognition.pages import (
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
    return LineReading(where, text, 0.75, 0.6, low, tuple(characters), tuple(words),
                       tuple(Alternative(*a) for a in alternatives))


READING = PageReading(*SIZE, (
    line("été & <co>", 10, 0, [("été & so", 0.2)]), line("\"fin\"", 70, 1, [("fin", 0.1)], True)))
WRITERS = {"alto": alto_xml, "page": page_xml}


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
    (tmp_path / "p.json").write_text(json_line(READING, "p.png"), encoding="utf-8")
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


def test_json_and_text():
    value = json.loads(json_line(READING, "p.png"))
    assert (value["image"], value["width"], value["height"]) == ("p.png", 400, 200)
    assert value["text"] == "été & <co>\n\"fin\""
    second = value["lines"][1]
    assert second["low_confidence"] is True and second["box"] == [20, 70, 300, 110]
    assert second["characters"][1] == {
        "text": "f", "confidence": 0.9, "box": [30, 70, 40, 110],
        "polygon": [[30, 70], [40, 70], [40, 110], [30, 110]]}
    assert second["alternatives"] == [{"text": "fin", "confidence": 0.1}]
    assert text_rows(READING, "p.png")[:2] == ["p.png\t0.750\tété & <co>", "p.png\t0.200\tété & so"]
