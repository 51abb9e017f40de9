import json

import pytest

from lm.base.errors import DataError, MissingDataError
from ocr.layout import read_segmentation

SIZE = (400, 300)


def stored(tmp_path, value):
    path = tmp_path / "lines.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return str(path)


def test_boxes_polygons_and_objects(tmp_path):
    path = stored(tmp_path, [[10, 20, 110, 60], [[5, 70], [200, 70], [200, 110], [5, 100]],
                             {"box": [0, 200, 50, 260], "baseline": [[0, 250], [50, 250]]}])
    lines = read_segmentation(path, SIZE)
    assert [line.box for line in lines] == [(10, 20, 110, 60), (5, 70, 200, 110),
                                            (0, 200, 50, 260)]
    assert [line.order for line in lines] == [0, 1, 2]
    assert lines[2].baseline == ((0, 250), (50, 250))
    assert read_segmentation(stored(tmp_path, {"lines": [[1, 2, 30, 40]]}), SIZE)[0].box == (
        1, 2, 30, 40)


@pytest.mark.parametrize("value, message", [
    ("[", "not JSON"), ({"boxes": []}, "expected a list of lines"), (3, "expected a list"),
    ([[1, 2, 3]], "line 1: expected a box"), ([[0, 0, 9, 9], "x"], "line 2: expected"),
    ([[[0, 0], [1, 1]]], "3 or more points"), ([[500, 0, 600, 50]], "line 1: .*no area"),
    ("[[0, 0, NaN, 9]]", "the number NaN"), ([{"text": "x"}], "expected a box"),
    ([{"box": [0, 0, 9, 9], "baseline": [1]}], "2 or more points")])
def test_bad_json(tmp_path, value, message):
    with pytest.raises(DataError, match=message):
        read_segmentation(stored(tmp_path, value), SIZE)


def test_xml_of_another_size_is_scaled(tmp_path):
    path = tmp_path / "p.xml"
    path.write_text('<PcGts><Page imageFilename="p.png" imageWidth="800" imageHeight="600">'
                    '<TextRegion id="r"><Coords points="0,0 9,0 9,9"/>'
                    '<TextLine id="a"><Coords points="20,40 220,40 220,120 20,120"/></TextLine>'
                    '<TextLine id="b"><Baseline points="20,250 220,250"/></TextLine>'
                    '<TextLine id="c"><Baseline points="20,350 220,350"/></TextLine>'
                    "</TextRegion></Page></PcGts>")
    lines = read_segmentation(str(path), SIZE)
    assert lines[0].box == (10, 20, 110, 60)
    # A band about the baseline: 0.75 and 0.3 of the distance to the next.
    assert lines[1].box == (10, 87, 110, 140)
    with pytest.raises(DataError, match="in shape"):
        read_segmentation(str(path), (400, 400))


def test_missing_or_foreign(tmp_path):
    with pytest.raises(MissingDataError, match="no such segmentation"):
        read_segmentation(str(tmp_path / "none.json"), SIZE)
    (tmp_path / "x.xml").write_text("<html/>")
    with pytest.raises(DataError, match="neither PAGE's nor ALTO's"):
        read_segmentation(str(tmp_path / "x.xml"), SIZE)
