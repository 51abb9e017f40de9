from types import SimpleNamespace

import numpy as np
import pytest

from ocr.layout import find_lines
from ocr.layout.order import reading_order
from ocr.layout.rows import Row

from .pages import draw_columns, overlap


def rows(*places, x_height=10):
    """Rows of (first, last, height)."""
    made = []
    for first, last, height in places:
        row = Row(first, np.full(last - first, float(height)), np.ones(last - first))
        row.x_height = x_height
        made.append(row)
    return made


def order(places):
    """The numbers of `places` in their order of reading, whatever the order they come in."""
    found = rows(*places)
    mixed = [found[i] for i in np.random.default_rng(1).permutation(len(found))]
    return [next(i for i, row in enumerate(found) if row is one) for one in reading_order(mixed)]


LEFT = [(0, 300 - i % 3 * 50, 40 * i) for i in range(6)]
RIGHT = [(400, 690 - i % 2 * 60, 40 * i + 7) for i in range(6)]
FARTHER = [(800, 1100, 40 * i - 5) for i in range(5)]


def lower(places, by):
    return [(first, last, height + by) for first, last, height in places]


@pytest.mark.parametrize("places", [
    LEFT + RIGHT,
    LEFT + RIGHT + FARTHER,
    # A heading above, one in between, and a line below.
    [(100, 600, -60), *LEFT, *RIGHT, (0, 690, 260), *lower(LEFT, 320), *lower(RIGHT, 320),
     (0, 500, 600)],
    # A column that ends early, and one that begins late.
    LEFT + RIGHT[:3],
    LEFT + lower(RIGHT[:4], 90),
    # A page of one column whose rows have gaps here and there.
    [(0, 690, 0), (0, 200, 40), (400, 690, 41), (0, 690, 80), (0, 300, 120), (450, 690, 119),
     (0, 690, 160), (0, 690, 200)],
    # Figures behind entries, and a note of a word: read with the rows they stand beside.
    [place for i in range(6) for place in ((0, 300, 40 * i), (400, 450, 40 * i + 2))],
])
def test_rows_are_read_in_order(places):
    assert order(places) == list(range(len(places)))


def test_no_rows():
    assert reading_order([]) == []
    assert reading_order([one := SimpleNamespace(first=0, last=9, ridge=np.zeros(9))]) == [one]


@pytest.mark.parametrize("columns, gutter", [(2, 400), (2, 150), (2, 40), (3, 250), (3, 60)])
def test_columns_of_a_page_are_read_one_after_the_other(columns, gutter):
    pytest.importorskip("skimage")
    page, boxes = draw_columns(gutter, columns)
    lines = find_lines(page)
    assert len(lines) == len(boxes)
    for line, box in zip(lines, boxes):
        assert overlap(line.box, box) > 0.3
