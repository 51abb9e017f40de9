import html
import os
import pickle
import shutil

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from lm.base.errors import ConfigError, DataError, MissingDataError, UnknownNameError
from ocr.data import open_dataset
from ocr.data.iam_items import unescape
from ocr.text.alphabet import Alphabet

LINES = """\
#--- lines.txt ---#
# a comment
a01-000u-00 ok 154 19 408 746 1661 89 A|MOVE|#|to|stop
a01-000u-01 err 156 19 395 932 1850 105 Mr. Gaitskell|from|&quot;x&quot;
a01-003-00 ok 154 19 408 746 1661 89 l'&amp;amp;|c
b02-000-00 ok 154 19 408 746 1661 89 caf\u00e9|\u03c0
"""
WORDS = """\
# words
a01-000u-00-00 ok 154 408 768 27 51 AT A
a01-000u-00-01 err 154 507 766 213 48 NN MOVE
a01-003-00-00 ok 154 1 2 3 4 NN a # b
"""
XML = """<?xml version="1.0"?>
<form id="{form}" writer-id="{writer}" width="2479" height="3542">
<machine-printed-part><machine-print-line text="not this"/></machine-printed-part>
<handwritten-part>{lines}</handwritten-part></form>
"""
LINE = """<line id="{id}" text="{text}" threshold="154"><word id="{id}-00" tag="AT" text="{word}">
<cmp x="10" y="20" width="30" height="40"/><cmp x="35" y="15" width="20" height="10"/></word></line>
"""


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "iam"
    (root / "ascii").mkdir(parents=True)
    (root / "ascii" / "lines.txt").write_text(LINES, encoding="utf-8")
    (root / "ascii" / "words.txt").write_text(WORDS, encoding="utf-8")
    (root / "ascii" / "forms.txt").write_text("# forms\na01-000u 000 2 prt 7 5 52 36\n"
                                              "a01-003 001 2 prt 7 5 52 36\n")
    (root / "xml").mkdir()
    forms = {"a01-000u": ("000", [("a01-000u-00", "A MOVE # to stop", "A"),
                                  ("a01-000u-01", "Mr. Gaitskell from &amp;quot;x&amp;quot;",
                                   "&amp;quot;x")]),
             "a01-003": ("001", [("a01-003-00", "l&amp;apos;&amp;amp;amp; c", "l")]),
             "b02-000": ("002", [("b02-000-00", "caf\u00e9 \u03c0", "x")])}
    for form, (writer, lines) in forms.items():
        body = "".join(LINE.format(id=i, text=t, word=w) for i, t, w in lines)
        (root / "xml" / f"{form}.xml").write_text(
            XML.format(form=form, writer=writer, lines=body), encoding="utf-8")
    units = [i for _, lines in forms.values() for i, _, _ in lines]
    for unit in units + [f"{u}-00" for u in units] + ["a01-000u-00-01"]:
        form = "-".join(unit.split("-")[:2])
        kind = "lines" if unit.count("-") == 2 else "words"
        folder = root / kind / form.split("-")[0] / form
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (30, 20), 255).save(folder / f"{unit}.png")
    (root / "forms").mkdir()
    for form in forms:
        Image.new("L", (60, 50), 255).save(root / "forms" / f"{form}.png")
    task = root / "largeWriterIndependentTextLineRecognitionTask"
    task.mkdir()
    (task / "trainset.txt").write_text("a01-000u-00\na01-000u-01\n")
    (task / "validationset1.txt").write_text("a01-003-00\n")
    (task / "validationset2.txt").write_text("z99-999-00\nb02-000-00\n")
    (task / "testset.txt").write_text("b02-000-00\r\n")
    return root


def open_iam(root, **options):
    return open_dataset("iam", root=str(root), **options)


def texts(dataset):
    return {s.id: s.text for s in dataset.samples}


def test_ascii_traps(root):
    """A # and spaces inside a transcript, comments, escapes."""
    assert texts(open_iam(root, annotations="ascii", split="all")) == {
        "a01-000u-00": "A MOVE # to stop",
        "a01-000u-01": 'Mr. Gaitskell from "x"',
        "a01-003-00": "l'& c",
        "b02-000-00": "caf\u00e9 \u03c0"}


def test_xml_is_unescaped_fully_and_agrees_with_ascii(root):
    from_xml = open_iam(root, split="all")
    assert texts(from_xml) == texts(open_iam(root, annotations="ascii", split="all"))
    assert {s.id: s.writer for s in from_xml.samples}["a01-003-00"] == "001"
    assert from_xml.samples[0].extra["box"] == (10, 15, 45, 45)
    assert "not this" not in texts(from_xml).values()


@given(st.text(alphabet="&<>\"'ab;#", max_size=12), st.integers(1, 3))
def test_unescape_undoes_any_number_of_escapes(text, times):
    assume(unescape(text) == text)
    escaped = text
    for _ in range(times):
        escaped = html.escape(escaped)
    assert unescape(escaped) == text


@pytest.mark.parametrize("text, plain", [
    ("&amp;quot;", '"'), ("&amp;amp;lt;", "<"), ("&quot", "&quot"), ("a & b;", "a & b;"),
    ("&notaname;", "&notaname;"), ("&copyx;", "&copyx;"), ("&#39;&#x22;", "'\""),
    ("&" + "amp;" * 200000 + "gt;", ">"), ("&" + "#38;" * 200000 + "gt;", ">")])
def test_unescape_takes_whole_entities_only(text, plain):
    assert unescape(text) == plain


@given(st.text(alphabet="&ampqutl;#3840x26", max_size=30))
def test_unescape_is_stable(text):
    assert unescape(unescape(text)) == unescape(text)


def test_splits_are_never_merged_and_named(root):
    splits = {s: open_iam(root, split=f"official/{s}")
              for s in ("train", "validation1", "test")}
    assert {s: [x.id for x in d.samples] for s, d in splits.items()} == {
        "train": ["a01-000u-00", "a01-000u-01"], "validation1": ["a01-003-00"],
        "test": ["b02-000-00"]}
    assert splits["test"].split == "official/test"


def test_unknown_ids_are_reported_or_fatal(root):
    dataset = open_iam(root, split="official/validation2")
    assert [s.id for s in dataset.samples] == ["b02-000-00"]
    assert dataset.report.skips[0].id == "z99-999-00"
    assert dataset.report.counts() == {"unknown id": 1}
    with pytest.raises(DataError, match="z99-999-00: unknown id"):
        open_iam(root, split="official/validation2", on_error="raise")


def test_segmentation_flag(root):
    for annotations in ("xml", "ascii"):
        ok = open_iam(root, split="official/train", segmentation="ok", annotations=annotations)
        err = open_iam(root, split="official/train", segmentation="err", annotations=annotations)
        assert [s.id for s in ok.samples] == ["a01-000u-00"]
        assert [s.id for s in err.samples] == ["a01-000u-01"]


def test_word_mode(root):
    words = open_iam(root, mode="word", annotations="ascii", split="official/train")
    assert texts(words) == {"a01-000u-00-00": "A", "a01-000u-00-01": "MOVE"}
    assert words.samples[0].extra["box"] == (408, 768, 27, 51)
    spaced = open_iam(root, mode="word", annotations="ascii", split="official/validation1")
    assert texts(spaced) == {"a01-003-00-00": "a # b"}
    assert texts(open_iam(root, mode="word", split="official/train"))["a01-000u-01-00"] == '"x'


def test_form_mode(root):
    for annotations in ("xml", "ascii"):
        forms = open_iam(root, mode="form", annotations=annotations, split="official/train")
        assert texts(forms) == {"a01-000u": 'A MOVE # to stop\nMr. Gaitskell from "x"'}
        assert forms.image(0).shape == (50, 60)


def test_own_lists_and_aachen(root, tmp_path):
    own = tmp_path / "mine.txt"
    own.write_text("# chosen\na01-000u\nb02-000-00\n")
    dataset = open_iam(root, split=f"file:{own}")
    assert [s.id for s in dataset.samples] == ["a01-000u-00", "a01-000u-01", "b02-000-00"]
    with pytest.raises(MissingDataError, match="Aachen .* put its three lists"):
        open_iam(root, split="aachen/train")
    (root / "aachen").mkdir()
    (root / "aachen" / "train.txt").write_text("a01-003\n")
    assert [s.id for s in open_iam(root, split="aachen/train").samples] == ["a01-003-00"]
    assert open_iam(root, split="aachen/train").split == "aachen/train"
    with pytest.raises(MissingDataError, match="no such list of ids"):
        open_iam(root, split="file:nowhere.txt")


def test_lists_in_another_folder_and_of_other_names(root, tmp_path):
    (tmp_path / "te.lst").write_text("a01-003\nb02-000-00.png\n")
    dataset = open_iam(root, split="aachen/test", split_folder=str(tmp_path))
    assert [s.id for s in dataset.samples] == ["a01-003-00", "b02-000-00"]
    shutil.move(root / "largeWriterIndependentTextLineRecognitionTask" / "testset.txt", tmp_path)
    assert len(open_iam(root, split="official/test", split_folder=str(tmp_path))) == 1
    (tmp_path / "empty.txt").write_text("\n# none\n")
    with pytest.raises(DataError, match="empty.txt: holds no ids"):
        open_iam(root, split=f"file:{tmp_path / 'empty.txt'}")


def test_a_finer_id_selects_what_it_stands_on(root, tmp_path):
    own = tmp_path / "mine.txt"
    own.write_text("a01-000u-01-00\n")
    assert [s.id for s in open_iam(root, split=f"file:{own}").samples] == ["a01-000u-01"]
    forms = open_iam(root, split=f"file:{own}", mode="form")
    assert [s.id for s in forms.samples] == ["a01-000u"]
    assert forms.report.counts() == {}


@pytest.mark.parametrize("move", [
    ("lines", "lines_/lines"), ("xml", "xml_/xml"), ("forms", "formsA-D")])
def test_common_unpackings_are_found(root, move):
    old, new = move
    (root / new).parent.mkdir(exist_ok=True)
    shutil.move(root / old, root / new)
    if "_" in new:
        shutil.move(root / f"{old}_", root / old)
    mode = "form" if old == "forms" else "line"
    assert len(open_iam(root, split="all", mode=mode)) == (3 if mode == "form" else 4)


def test_flat_images_are_found(root):
    for path in list((root / "lines").rglob("*.png")):
        shutil.move(path, root / "lines" / path.name)
    dataset = open_iam(root, split="all", on_error="raise", check_images=True)
    assert len(dataset) == 4


def test_dataset_can_be_pickled(root):
    dataset = open_iam(root)
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.samples == dataset.samples and (copy.image(0) == dataset.image(0)).all()


def test_broken_and_missing_images(root):
    folder = root / "lines" / "a01" / "a01-000u"
    whole = (folder / "a01-000u-00.png").read_bytes()
    (folder / "a01-000u-00.png").write_bytes(whole[:40])
    (folder / "a01-000u-01.png").unlink()
    dataset = open_iam(root, check_images=True)
    assert len(dataset) == 0
    assert dataset.report.counts() == {"unreadable image": 1, "missing image": 1}
    assert "a01-000u-00.png" in dataset.report.skips[1].detail
    with pytest.raises(DataError):
        open_iam(root, check_images=True, on_error="raise")


def test_alphabet(root):
    dataset = open_iam(root, split="all", alphabet=Alphabet.preset("iam"))
    assert [s.id for s in dataset.samples] == ["a01-000u-00", "a01-000u-01", "a01-003-00"]
    [skip] = dataset.report.skips
    assert (skip.id, skip.reason) == ("b02-000-00", "outside the alphabet")
    assert "'\u03c0' (U+03C0)" in skip.detail


def test_the_other_annotations_are_named_where_they_would_do(root):
    shutil.move(root / "xml", root / "away")
    with pytest.raises(MissingDataError, match="lines.txt is there, which annotations=ascii reads"):
        open_iam(root)
    shutil.move(root / "away", root / "xml")
    shutil.rmtree(root / "ascii")
    with pytest.raises(MissingDataError, match="xml is there, which annotations=xml reads"):
        open_iam(root, annotations="ascii")


def test_pipes_among_the_files_do_not_hang(root):
    (root / "xml" / "a01-003.xml").unlink()
    os.mkfifo(root / "xml" / "a01-003.xml")
    assert "is a pipe or a device" in open_iam(root, split="all").report.skips[0].detail
    (root / "ascii" / "lines.txt").unlink()
    os.mkfifo(root / "ascii" / "lines.txt")
    with pytest.raises(DataError, match="is a pipe or a device"):
        open_iam(root, annotations="ascii")


@pytest.mark.parametrize("gone, options, named", [
    ("xml", {}, "xml"), ("ascii", {"annotations": "ascii"}, "lines.txt"),
    ("largeWriterIndependentTextLineRecognitionTask", {}, "trainset.txt"),
    ("lines", {}, "a01-000u-00.png"), ("", {}, "iam")])
def test_what_is_missing_is_named_with_its_source(root, gone, options, named):
    shutil.rmtree(root / gone)
    with pytest.raises(MissingDataError, match=rf"{named}: .*fki\.tic\.heia-fr\.ch"):
        open_iam(root, **options)


def test_malformed_tables(root):
    path = root / "ascii" / "lines.txt"
    for row, message in [
            (LINES + "a01-009-00 ok 154\n", r"lines.txt, line 7: expected id"),
            (LINES.replace("408 746", "408 x"), r"lines.txt, line 3: the box"),
            (LINES.replace("a01-000u-00 ok", "a01-000u-00 fine"), "line 3: segmentation"),
            (LINES.replace("a01-000u-00 ", "a01 "), "line 3: 'a01' is no IAM id"),
            (LINES + LINES.splitlines()[2] + "\n", "line 7: the id 'a01-000u-00' stands at .*"
                                                   "line 3 too")]:
        path.write_text(row, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            open_iam(root, annotations="ascii", split="all")
    path.write_bytes(b"# x\na01-000u-00 ok 1 1 1 1 1 1 caf\xe9\n")
    with pytest.raises(DataError, match="line 2: not UTF-8"):
        open_iam(root, annotations="ascii")


@pytest.mark.parametrize("xml, detail", [
    ("<form><line", "line 1: "), ("<form id='a01-003'>\n</from>", "line 2: malformed XML"),
    ("<page/>", "no <form>"), ("<form id='a01-003'><handwritten-part>\n<line id='a01-003-00'/>"
                               "</handwritten-part></form>", "line 2: <line> without text"),
    ("<!DOCTYPE form [\n<!ENTITY a 'b'>]><form id='a01-003'/>", "line 2: declares an entity"),
    ("<form id='a01-003'><handwritten-part><line id='a01-003-00' text='x'><word id="
     "'a01-003-00-00' text='x'>\n<cmp x='1' y='2' width='3' height='z'/></word></line>"
     "</handwritten-part></form>", "line 2: the box")])
def test_malformed_xml_is_reported_or_fatal(root, xml, detail):
    (root / "xml" / "a01-003.xml").write_text(xml)
    dataset = open_iam(root, split="all")
    assert len(dataset) == 3
    [skip] = dataset.report.skips
    assert (skip.id, skip.reason) == ("a01-003", "malformed XML")
    assert "a01-003.xml" in skip.detail and detail in skip.detail
    with pytest.raises(DataError, match="a01-003.xml"):
        open_iam(root, split="all", on_error="raise")


def test_xml_flag_goes_before_that_of_the_table(root):
    path = root / "xml" / "a01-000u.xml"
    path.write_text(path.read_text(encoding="utf-8").replace(
        '<line id="a01-000u-00"', '<line id="a01-000u-00" segmentation="err"'), encoding="utf-8")
    assert len(open_iam(root, segmentation="ok")) == 0
    assert len(open_iam(root, segmentation="all")) == 2
    shutil.rmtree(root / "ascii")
    assert [s.id for s in open_iam(root, segmentation="ok").samples] == ["a01-000u-01"]


def test_name_tells_what_changes_scores(root):
    assert open_iam(root).name == "iam-line (xml, all)"
    assert open_iam(root, annotations="ascii", segmentation="ok").name == "iam-line (ascii, ok)"


def test_options_are_checked(root):
    for options in ({"mode": "page"}, {"annotations": "json"}, {"segmentation": "good"},
                    {"split": "official/dev"}):
        with pytest.raises(ConfigError, match="known: "):
            open_iam(root, **options)
    with pytest.raises(UnknownNameError):
        open_dataset("iamm", root=str(root))
    assert np.issubdtype(open_iam(root).image(0).dtype, np.uint8)
