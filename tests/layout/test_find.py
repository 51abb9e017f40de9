import importlib.util

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lm.base.errors import ConfigError, DataError
from ocr.image.preprocess import PreprocessConfig, clean_line
from ocr.layout import LayoutConfig, crop, find_lines

from .pages import corners, draw_page, grain, overlap, turn_points, turned

#: Crops as tight as the boxes the pages know.
TIGHT = LayoutConfig(ascent=1.4, descent=0.4, margin=0.2)

pytest.importorskip("skimage")


def check(lines, boxes, least=0.55):
    """Each line lies on its box, none is missing or added, and they are in order."""
    assert len(lines) == len(boxes)
    assert [line.order for line in lines] == list(range(len(lines)))
    for line, box in zip(lines, boxes):
        assert overlap(line.box, box) > least
        (x0, y0), (x1, _) = line.baseline[0], line.baseline[-1]
        assert box[1] < y0 < box[3] + 3 and x0 < box[0] + 3 and x1 > box[2] - 3


def test_lines_are_found_where_they_are():
    page, boxes = draw_page()
    check(find_lines(page, TIGHT), boxes)


@pytest.mark.parametrize("change", [
    lambda page: 255 - page,
    lambda page: (page * np.linspace(1, 0.35, page.shape[1])).astype(np.uint8),
    lambda page: 255 - (page * np.linspace(0.4, 1, page.shape[0])[:, None]).astype(np.uint8),
    lambda page: grain(page * 0.7 + 30, 6),
    lambda page: np.stack([page, np.maximum(page, 90), np.maximum(page, 160)], axis=-1),
    lambda page: page.astype(np.uint16) * 257,
    lambda page: np.dstack([page] * 3 + [np.full_like(page, 255)]),
    lambda page: page / 255,
], ids=["light ink", "gradient", "dark gradient of light ink", "grain", "blue ink", "16 bits",
        "alpha", "floats"])
def test_however_the_page_looks(change):
    page, boxes = draw_page()
    check(find_lines(change(page), TIGHT), boxes)


def test_crops_are_dark_on_light_and_even():
    page, _ = draw_page()
    shaded = 255 - (page * np.linspace(1, 0.4, page.shape[1])).astype(np.uint8)
    for line in find_lines(shaded):
        line = clean_line(crop(shaded, line), PreprocessConfig())
        halves = np.array_split(line, 2, axis=1)
        assert all(np.median(half) > 127 and half.min() < np.median(half) - 60 for half in halves)
        assert abs(np.median(halves[0]) - np.median(halves[1])) < 12


@pytest.mark.parametrize("angle", [-5, -2, 5])
def test_skew_is_undone_and_told(angle):
    page, boxes = draw_page(margin=90, width=760)
    skewed = turned(page, angle)
    lines = find_lines(skewed)
    assert len(lines) == len(boxes)
    for line, box in zip(lines, boxes):
        assert abs(line.angle - angle) < 0.6
        there = turn_points(corners(box), angle, page.shape[::-1])
        inside = line.to_crop(there)
        assert (inside >= -3).all() and (inside <= np.array(line.size) + 3).all()
        # The crop is upright: the letters stand in few rows.
        dark = (crop(skewed, line) < 128).sum(axis=1)
        assert np.count_nonzero(dark) < 1.35 * (box[3] - box[1])


def test_big_margins_are_cut_away():
    page, boxes = draw_page(("seule au milieu", "de la page"), margin=500, width=1300)
    lines = find_lines(page)
    assert len(lines) == 2
    for line, (left, top, right, bottom) in zip(lines, boxes):
        assert line.box[0] > left - 40 and line.box[2] < right + 40
        assert line.box[1] > top - 60 and line.box[3] < bottom + 60


def test_rules_and_frames_are_no_text():
    page, boxes = draw_page()
    ruled = Image.fromarray(page)
    pen = ImageDraw.Draw(ruled)
    for box in boxes:
        pen.line([(0, box[3] + 2), (page.shape[1], box[3] + 2)], fill=110, width=2)
    pen.rectangle([8, 8, page.shape[1] - 9, page.shape[0] - 9], outline=60, width=3)
    # An empty ruled row below.
    pen.line([(10, page.shape[0] - 25), (page.shape[1] - 10, page.shape[0] - 25)], fill=110,
             width=2)
    check(find_lines(np.asarray(ruled), TIGHT), boxes)


def test_one_line_keeps_what_is_its_own():
    page, [box] = draw_page(("une ligne seule",), margin=12, width=280)
    [line] = find_lines(page)
    # Little is around it: the height stays, as lines of a data set have it.
    assert line.frame[3] == page.shape[0] and line.angle == 0
    assert line.box[0] <= box[0] and line.box[2] >= box[2]
    assert (crop(page, line) == page[:, line.box[0]:line.box[2]]).all()


def test_two_lines_are_two_however_close_the_image_is_cut():
    page, boxes = draw_page(("une ligne de texte assez longue", "fin"), spacing=50, margin=12)
    check(find_lines(page, TIGHT), boxes)


def test_pieces_of_neighbours_make_no_lines_of_their_own():
    page, boxes = draw_page(("la jolie page", "une ligne de plus ici", "le haut des lettres"),
                            spacing=44)
    strip = page[boxes[0][3] - 6:boxes[2][1] + 8]
    [line] = find_lines(strip)
    assert line.frame[3] == len(strip)


@pytest.mark.parametrize("page", [
    np.full((300, 400), 255, np.uint8), np.zeros((300, 400), np.uint8),
    grain(np.full((300, 400), 200), 8), np.full((1, 1), 7, np.uint8),
    grain(np.full((300, 400), 128) + np.linspace(-80, 80, 400), 4)],
    ids=["white", "black", "grain", "a pixel", "gradient"])
def test_blank_pages_have_no_lines(page):
    assert find_lines(page) == []


@pytest.mark.parametrize("shape", [(1, 50), (50, 1), (3, 3), (17, 900), (900, 17)])
def test_any_shape_is_taken(shape):
    page = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    for line in find_lines(page):
        assert crop(page, line).shape == line.size[::-1]


def test_touching_lines_are_divided_between_them():
    page, boxes = draw_page(("une jolie page", "bel habit blond"), spacing=40)
    joined = Image.fromarray(page)
    # Strokes from line to line.
    for x in (100, 140, 180):
        ImageDraw.Draw(joined).line([(x, boxes[0][3] - 12), (x, boxes[1][1] + 12)], fill=0,
                                    width=3)
    lines = find_lines(np.asarray(joined))
    assert len(lines) == 2
    middle = (boxes[0][3] + boxes[1][1]) / 2
    for line, below in zip(lines, (False, True)):
        # Hardly any ink of the other in either's outline.
        other = boxes[not below]
        far = other[3] - 14 if below else other[1] + 14
        ys = [y for x, y in line.polygon if 100 < x < 180]
        assert (min(ys) > far - 8) if below else (max(ys) < far + 8)
        assert line.baseline[0][1] > middle if below else line.baseline[0][1] < middle + 6


def test_words_far_apart_are_pieces_of_one_row():
    page, _ = draw_page(("gauche", "dessous"), width=900)
    right, _ = draw_page(("droite",), width=300)
    page = page.copy()
    page[:right.shape[0], 600:] = np.minimum(page[:right.shape[0], 600:], right)
    lines = find_lines(page)
    assert [line.box[0] > 500 for line in lines] == [False, True, False]
    assert len(find_lines(page, LayoutConfig(gap=40))) == 2


def test_large_images_are_searched_small_and_cut_out_whole():
    page, boxes = draw_page(TEXTS_LARGE, size=60, spacing=130, width=1500)
    [first, second] = find_lines(page, LayoutConfig(max_side=700, ascent=1.4, descent=0.4,
                                                    margin=0.2))
    check([first, second], boxes)
    assert crop(page, first).shape == (round(first.frame[3]), round(first.frame[2]))


TEXTS_LARGE = ("une ligne de texte pour le test", "et une autre")


def test_without_scikit_image_it_says_so(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'ocr\[layout\]'"):
        find_lines(draw_page()[0])


@pytest.mark.parametrize("image", [np.zeros((2, 2, 2), np.uint8), np.zeros((0, 5), np.uint8),
                                   np.full((4, 4), 2.0), np.zeros((4, 4), np.int32)])
def test_what_is_no_image_is_refused(image):
    with pytest.raises(DataError):
        find_lines(image)


@pytest.mark.parametrize("settings", [{"max_side": 10}, {"max_skew": 60}, {"ascent": 0.5},
                                      {"gap": 0}, {"min_x_height": 0}, {"min_contrast": 300}])
def test_settings_out_of_range(settings):
    with pytest.raises(ConfigError):
        LayoutConfig(**settings)
