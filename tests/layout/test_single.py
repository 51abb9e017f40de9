import numpy as np
import pytest

from ocr.layout import find_lines, is_single_line

from ..conftest import draw_text

TEXT = "une ligne de texte pour le test, assez longue"


def test_a_line_cut_out_is_told_from_two_and_from_a_page():
    line = draw_text(TEXT, height=28)
    assert is_single_line(line) and is_single_line(255 - line)
    two = np.vstack([line, line])
    wide = np.hstack([two] * 3)
    assert wide.shape[1] > 4 * wide.shape[0] and not is_single_line(wide)
    assert not is_single_line(np.vstack([line] * 6))


@pytest.mark.parametrize("image", [
    np.full((60, 600), 250, np.uint8),  # blank
    np.pad(draw_text(TEXT), ((80, 80), (900, 900)), constant_values=255)])  # much paper
def test_blank_strips_and_wide_margins_are_looked_at_closely(image):
    assert not is_single_line(image)


def test_what_is_surely_one_line_is_one_for_the_finder_too():
    pytest.importorskip("skimage")
    line = draw_text(TEXT, height=28)
    assert is_single_line(line) and len(find_lines(line)) == 1
