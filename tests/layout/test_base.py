import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lm.base.errors import DataError
from ocr.layout import TextLine, as_grey, crop, find_lines, line_of_polygon, whole_image

from .pages import draw_page, turn_points, turned


@given(st.floats(-45, 45), st.tuples(*[st.floats(-500, 3000)] * 2),
       st.lists(st.tuples(*[st.floats(-100, 3000)] * 2), min_size=1, max_size=5))
def test_to_page_and_back(angle, corner, points):
    line = TextLine((), (), (), 0, (*corner, 400.0, 60.0), angle)
    assert np.allclose(line.to_crop(line.to_page(points)), points, atol=1e-6)


@settings(max_examples=12)
@given(st.floats(-6, 6), st.integers(0, 5))
def test_a_spot_of_the_crop_is_where_it_is_on_the_page(angle, place):
    """What is seen at a point of the crop is on the page where `to_page` says."""
    pytest.importorskip("skimage")
    page, [_, box, _] = draw_page(("une ligne de texte", "le mot", "une autre ligne"),
                                  margin=70, width=500, size=24)
    page = page.copy()
    # A spot right of the second line, as high as its letters.
    spot = np.array([box[2] + 30 + 10 * place, box[3] - 8])
    page[spot[1] - 4:spot[1] + 5, spot[0] - 4:spot[0] + 5] = 0
    skewed = turned(page, angle)
    there = turn_points([spot + 0.5], angle, page.shape[::-1])[0]
    line = min(find_lines(skewed), key=lambda line: abs(line.to_crop([there])[0][1]
                                                        - 0.6 * line.size[1]))
    dark = crop(skewed, line) < 128
    expected = line.to_crop([there])[0]
    near = dark.copy()
    columns = np.arange(dark.shape[1])
    near[:, np.abs(columns + 0.5 - expected[0]) > 9] = False
    rows, columns = np.nonzero(near)
    assert len(rows)
    assert np.hypot(columns.mean() + 0.5 - expected[0], rows.mean() + 0.5 - expected[1]) < 1.5


def test_a_crop_of_whole_pixels_is_the_page_itself():
    page = np.random.default_rng(0).integers(100, 256, (60, 90)).astype(np.uint8)
    page[20:40, ::7] = 0
    line = line_of_polygon([(10, 5), (80, 5), (80, 50), (10, 50)], None, 3, (90, 60))
    assert line.box == (10, 5, 80, 50) and line.order == 3 and line.size == (70, 45)
    assert line.to_page([(0, 0), (70, 45)]).tolist() == [[10, 5], [80, 50]]
    clean = np.full((60, 90), 255, np.uint8)
    clean[20:40, 12:75:7] = 0
    assert (crop(clean, line) == clean[5:50, 10:80]).all()


def test_what_is_outside_the_polygon_is_painted():
    page = np.full((60, 200), 255, np.uint8)
    page[25:35, 20:180:6] = 0
    page[:8, 90:110] = 0
    around = [(10, 0), (85, 0), (85, 12), (115, 12), (115, 0), (190, 0), (190, 60), (10, 60)]
    cut = crop(page, line_of_polygon(around, None, 0, (200, 60)))
    assert (cut[:10] == 255).all() and (cut[25:35] == 0).any()


def test_a_falling_baseline_turns_the_crop():
    page, [box] = draw_page(("une ligne de texte pour voir",), margin=100, width=600)
    skewed = turned(page, 8)
    size = page.shape[::-1]
    outline = turn_points([(box[0] - 5, box[1] - 5), (box[2] + 5, box[1] - 5),
                           (box[2] + 5, box[3] + 5), (box[0] - 5, box[3] + 5)], 8, size)
    baseline = turn_points([(box[0], box[3]), (box[2], box[3])], 8, size)
    line = line_of_polygon(outline, baseline, 0, size)
    assert abs(line.angle - 8) < 0.01
    assert abs(line.size[0] - (box[2] - box[0] + 10)) <= 1
    dark = np.count_nonzero((crop(skewed, line) < 128).any(axis=1))
    assert dark <= box[3] - box[1] + 3


def test_a_frame_beyond_the_page_is_filled_with_paper():
    page, [box] = draw_page(("au bord",), margin=4, width=130)
    line = TextLine((0, 0, 130, 50), ((0, 0), (130, 0), (130, 50), (0, 50)), (), 0,
                    (-30.0, -20.0, 220.0, 100.0), 3.0)
    cut = crop(page, line)
    assert cut.shape == (100, 220) and cut[0, 0] == 255 and cut[-1, -1] == 255
    assert cut.min() < 60


@pytest.mark.parametrize("polygon", [[(0, 0), (1, 1)], [(0, 0), (5, 0), (9, 0)],
                                     [(500, 500), (600, 500), (600, 600)],
                                     [(0, 0), (float("nan"), 5), (9, 9)], [1, 2, 3]])
def test_outlines_without_area(polygon):
    with pytest.raises(DataError):
        line_of_polygon(polygon, None, 0, (90, 60))


def test_the_whole_image():
    page = draw_page()[0]
    line = whole_image(page)
    assert line.size == page.shape[::-1] and line.box == (0, 0, *page.shape[::-1])
    assert (crop(page, line) == page).all()


def test_greys_of_all_kinds():
    colour = np.zeros((4, 6, 4), np.uint8)
    assert (as_grey(colour) == 255).all()  # transparent: the paper below
    assert as_grey(np.full((4, 6), 65535, np.uint16)).max() == 255
    assert as_grey(np.ones((4, 6), bool)).min() == 255
    assert as_grey(np.zeros((4, 6, 1), np.uint8)).shape == (4, 6)
    photo = Image.fromarray(np.zeros((4, 6), np.uint8))
    photo.getexif()[0x0112] = 6  # turned by 90 degrees
    assert as_grey(photo).shape == (6, 4)
