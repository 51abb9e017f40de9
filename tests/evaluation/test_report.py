import json
import re

import numpy as np
import pytest
from PIL import Image

from lm.base.errors import DataError
from ocr.evaluation import EvaluationReport, SystemResult, save_gallery, save_gallery_png
from ocr.evaluation.gallery import mark_differences

HOSTILE = "<script>alert('x')</script> & \"é\""


def report(**changes):
    options = {"data": "my <data>", "split": "test", "ids": ["1", "2", "3"],
               "references": ["un mot", HOSTILE, "abc"],
               "systems": [SystemResult("greedy", ["un mat", HOSTILE, ""], 2.0, [0.5, 0.9, 0.1]),
                           SystemResult("beam", ["un mot", HOSTILE, "abc"], 4.0)]}
    return EvaluationReport(**{**options, **changes})


def images():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (30 + 90 * i, 200)).astype(np.uint8) for i in range(3)]


def test_table_names_all_that_matters():
    heading, columns, _, greedy, beam = report().table().splitlines()
    assert "my <data>, split test: 3 lines" in heading and "tokenisation 'space'" in heading
    assert columns.split()[0] == "decoder"
    assert re.match(r"greedy\s+9\.52 \[\d+\.\d\d, \d+\.\d\d\]\s+33\.33 .*66\.7\s+1\.5$", greedy)
    assert re.match(r"beam\s+0\.00 .*0\.0\s+0\.8$", beam)
    assert len(greedy) == len(beam)


def test_normalised_before_they_are_compared():
    typographic = report(references=["l’été", "A – b", "c"], normalise=("quotes", "dashes"),
                         systems=[SystemResult("greedy", ["l'été", "A - b", "C"])])
    assert typographic.systems[0].hypotheses == ["l'été", "A - b", "C"]
    assert typographic.summaries["greedy"].character_edits == 1
    assert "normalised (dashes, quotes)" in typographic.heading() or (
        "normalised (quotes, dashes)" in typographic.heading())
    again = json.loads(json.dumps(typographic.to_json()))
    assert again["normalise"] == ["quotes", "dashes"] and again["references"][0] == "l'été"


def test_changes_against_the_first():
    texts = ["un mot", "abcd"] * 40
    many = report(ids=[str(i) for i in range(80)], references=texts, systems=[
        SystemResult("greedy", ["un mat", "abdc"] * 40),
        SystemResult("beam", ["un mat", "abcd"] * 40),
        SystemResult("none", texts)])
    head, _, beam, none = many.comparison_table().splitlines()
    assert head.split()[:2] == ["against", "greedy"]
    # 3 edits of characters a pair become 1, 2 of words become 1.
    assert re.match(r"beam\s+-66\.7 \[-\d\d\.\d, -\d\d\.\d\]\s+-50\.0 \[", beam)
    assert re.match(r"none\s+-100\.0 \[-100\.0, -100\.0\]\s+-100\.0", none)
    assert report(systems=report().systems[:1]).comparison_table() == ""


def test_json_round_trip(tmp_path):
    path = str(tmp_path / "r.json")
    report().save_json(path)
    value = json.loads(open(path, encoding="utf-8").read())
    greedy = value["systems"][0]
    assert greedy["scores"]["character_edits"] == 4 and greedy["worst"] == ["3", "1", "2"]
    assert greedy["confusions"][0]["count"] == 1 and greedy["lines_per_second"] == 1.5
    assert value["versus_first"]["beam"]["cer"]["difference"] < 0
    again = EvaluationReport.load_json(path)
    assert again.table() == report().table() and json.loads(json.dumps(again.to_json())) == value
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(DataError, match="bad.json: not a report"):
        EvaluationReport.load_json(str(tmp_path / "bad.json"))
    for key, wrong in (("name", 5), ("seconds", "x"), ("hypotheses", "abc"), ("settings", 1)):
        greedy_as_it_was, greedy[key] = greedy[key], wrong
        (tmp_path / "bad.json").write_text(json.dumps(value))
        with pytest.raises(DataError, match=f"bad.json: not a report .*{key}"):
            EvaluationReport.load_json(str(tmp_path / "bad.json"))
        greedy[key] = greedy_as_it_was
    with pytest.raises(DataError, match="no such file"):
        EvaluationReport.load_json(str(tmp_path / "none.json"))


@pytest.mark.parametrize("changes, message", [
    ({"ids": ["1"]}, "1 ids for 3 references"), ({"systems": []}, "at least one system"),
    ({"systems": [SystemResult("a", ["x"])]}, "a: 1 hypotheses for 3"),
    ({"systems": [SystemResult("a", [""] * 3), SystemResult("a", [""] * 3)]}, "the same name"),
    ({"systems": [SystemResult("a", [""] * 3, None, [1.0])]}, "a: 1 confidences for 3")])
def test_lists_must_fit(changes, message):
    with pytest.raises(DataError, match=message):
        report(**changes)


def test_differences():
    assert mark_differences("un mot", "un mat!") == [
        ("equal", "un m"), ("replace", "a"), ("equal", "t"), ("insert", "!")]
    assert mark_differences("abc", "ac") == [("equal", "a"), ("delete", "b"), ("equal", "c")]


def test_gallery_is_self_contained_and_escapes(tmp_path):
    path = tmp_path / "g.html"
    save_gallery(str(path), report(), images(), max_lines=2)
    page = path.read_text(encoding="utf-8")
    assert "<script" not in page and "http" not in page
    assert page.count("data:image/jpeg;base64,") == 2
    assert page.index("<h2>3</h2>") < page.index("<h2>1</h2>")
    assert "un m<mark>a</mark>t" in page and "<del>abc</del>" in page
    with pytest.raises(DataError, match="1 images for 3 lines"):
        save_gallery(str(path), report(), images()[:1])


def test_gallery_png(tmp_path):
    path = tmp_path / "g.png"
    save_gallery_png(str(path), report(), images(), max_lines=2)
    with Image.open(path) as picture:
        colours = {c for _, c in picture.getcolors(1 << 20)}
    # Wrong characters stand in red.
    assert (178, 34, 34) in colours
    with pytest.raises(DataError, match="no lines"):
        save_gallery_png(str(path), report(ids=[], references=[], systems=[
            SystemResult("a", [])]), [])
