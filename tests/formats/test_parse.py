from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ocr.formats.parse import line_distance

BASELINES = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 200), st.integers(0, 300),
                               st.integers(-2, 2)), max_size=60)


def lines(baselines):
    return [SimpleNamespace(baseline=[(x, y), (x + width, y + fall)])
            for x, width, y, fall in baselines]


@given(BASELINES)
def test_line_distance_is_that_of_comparing_all_with_all(baselines):
    spans = [(x, x + width, y + fall / 2) for x, width, y, fall in baselines]
    gaps = []
    for left, right, height in spans:
        below = [other - height for a, b, other in spans
                 if other > height + 1 and min(b, right) > max(a, left)]
        gaps += [min(below)] if below else []
    found = line_distance(lines(baselines))
    assert found is None if not gaps else np.isclose(found, np.median(gaps))


def test_lines_of_many_columns_have_the_distance_of_their_own():
    far = [(10 * i, 5, 7 * i, 0) for i in range(500)]
    assert line_distance(lines(far)) is None
    assert line_distance(lines([*far, (0, 5000, 9000, 0)])) == 9000 - np.median(range(0, 3500, 7))
