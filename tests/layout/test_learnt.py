import numpy as np
import pytest
from PIL import Image

from lm.base.errors import ConfigError, ModelError
from ocr.layout.finders import build_finder
from ocr.layout.learnt import LearntFinder

from .pages import draw_page

pytest.importorskip("skimage")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def finder():
    return build_finder("learnt")


def matched(lines, boxes):
    """Return how many drawn lines lie in the middle of a found one, each in another."""
    found = set()
    for left, top, right, bottom in boxes:
        inside = [n for n, line in enumerate(lines)
                  if line.box[0] < left + 0.2 * (right - left)
                  and line.box[2] > right - 0.2 * (right - left)
                  and line.box[1] < (top + bottom) / 2 < line.box[3]]
        found.update(inside[:1])
    return len(found)


@pytest.mark.parametrize("size", [24, 32])
def test_every_line_is_found_once_in_order(finder, size):
    page, boxes = draw_page(size=size, spacing=2 * size)
    lines = finder.find(page)
    assert len(lines) == len(boxes) == matched(lines, boxes)
    tops = [line.box[1] for line in lines]
    assert tops == sorted(tops) and [line.order for line in lines] == list(range(len(lines)))


def test_a_large_scan_is_told_in_its_own_pixels(finder):
    page, boxes = draw_page()
    large = np.asarray(Image.fromarray(page).resize((3 * page.shape[1], 3 * page.shape[0])))
    assert matched(finder.find(large), [[3 * side for side in box] for box in boxes]) == len(boxes)


def test_dashed_rules_are_no_lines(finder):
    page, boxes = draw_page()
    page = page.copy()
    for row in range(20, page.shape[0] - 4, 16):
        for left in range(0, page.shape[1], 12):
            page[row, left:left + 7] = np.minimum(page[row, left:left + 7], 150)
    lines = finder.find(page)
    assert matched(lines, boxes) >= len(boxes) - 1 and len(lines) <= len(boxes) + 2


def test_a_blank_page_has_no_lines(finder):
    assert finder.find(np.full((300, 200), 240, np.uint8)) == []


def test_what_cannot_be_used_ends_in_one_line(tmp_path):
    path = tmp_path / "lines.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(ModelError, match="lines.onnx: cannot be read") as caught:
        build_finder("learnt", {"model": str(path)}).find(np.zeros((64, 64), np.uint8))
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="certainty"):
        build_finder("learnt", {"certainty": 2.0})
    assert LearntFinder.packages == ("onnxruntime", "skimage")
