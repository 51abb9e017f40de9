import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lm.base.errors import ConfigError, DataError
from ocr.image.cleaning import compensate_illumination, deslant, slant_angle

from ..conftest import draw_text


def strokes(angle, height=64, width=300, paper=230, ink=30):
    """Straight strokes 3 pixels wide, leaning to the right by `angle` degrees."""
    image = np.full((height, width), paper, np.uint8)
    rows = np.arange(8, height - 8)
    shift = np.tan(np.deg2rad(angle)) * (height / 2 - rows)
    for foot in range(90, width - 90, 17):
        left = np.rint(foot + shift).astype(int)
        for offset in range(3):
            image[rows, left + offset] = ink
    return image


@pytest.mark.parametrize("angle", range(-40, 41, 10))
def test_the_slant_of_strokes_is_found_and_undone(angle):
    image = strokes(angle)
    assert abs(slant_angle(image) - angle) <= 1
    upright = deslant(image)
    assert upright.shape[0] == image.shape[0] and upright.dtype == np.uint8
    assert abs(slant_angle(upright)) <= 1
    # All ink is there still.
    ink = (230.0 - image).sum()
    assert abs((230.0 - upright).sum() - ink) < 0.01 * ink


def test_writing_is_found_to_be_slanted_as_far_as_it_was():
    image = draw_text("une ligne de texte pour le test", height=40)
    before = slant_angle(image)
    slanted = deslant(image, angle=-20)
    assert slanted.shape[1] == image.shape[1] + 2 * int(np.ceil(np.tan(np.deg2rad(20)) * 39 / 2))
    assert abs(slant_angle(slanted) - before - 20) <= 3
    assert slanted[0, 0] == slanted[-1, -1] == np.median(image)
    # The polarity does not matter, nor does the size.
    assert slant_angle(255 - slanted) == slant_angle(slanted)
    assert abs(slant_angle(slanted.repeat(4, 0).repeat(4, 1)) - slant_angle(slanted)) <= 1


@pytest.mark.parametrize("image", [np.full((40, 80), 200, np.uint8), np.zeros((1, 1), np.uint8),
                                   np.full((30, 1), 255, np.uint8)])
def test_blank_images_stay(image):
    assert slant_angle(image) == 0
    assert (deslant(image) == image).all()
    assert (compensate_illumination(image) == image).all()


def test_light_is_made_even_and_ink_kept():
    flat = strokes(0, paper=240, ink=60)
    shade = np.linspace(1.0, 0.55, flat.shape[1])
    shaded = (flat * shade).astype(np.uint8)
    paper = flat == 240
    for image, sign in ((shaded, 1), (255 - shaded, -1)):
        even = compensate_illumination(image)
        assert even.shape == image.shape and even.dtype == np.uint8
        assert even[paper].std() < image[paper].std() / 8
        assert abs(np.median(even[paper]) - np.median(image[paper])) <= 6
        # Strokes are darker than paper by the same factor everywhere.
        dark = even if sign > 0 else 255 - even
        ratio = dark[~paper] / np.median(dark[paper])
        assert abs(ratio - 0.25).max() < 0.05


@given(st.integers(1, 70), st.integers(1, 120), st.integers(0, 2**32 - 1))
def test_any_image_can_be_cleaned(height, width, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    assert compensate_illumination(image).shape == image.shape
    angle = slant_angle(image, limit=20)
    assert -20 <= angle <= 20
    room = int(np.ceil(abs(np.tan(np.deg2rad(angle))) * (height - 1) / 2))
    assert deslant(image, limit=20).shape == (height, width + 2 * room)


def test_bad_arguments():
    image = np.zeros((4, 4), np.uint8)
    for bad in (image.astype(float), image[0], image[:0]):
        for clean in (compensate_illumination, slant_angle, deslant):
            with pytest.raises(DataError, match="expected a grey uint8 image"):
                clean(bad)
    with pytest.raises(ConfigError, match="window is 0"):
        compensate_illumination(image, window=0)
    with pytest.raises(ConfigError, match="limit is 90"):
        slant_angle(image, limit=90)
    with pytest.raises(ConfigError, match="angle is 89"):
        deslant(image, angle=89)


@given(hnp.arrays(np.uint8, st.tuples(st.integers(7, 12), st.integers(7, 12))), st.integers(1, 3))
def test_extremes_are_those_of_every_square(values, reach):
    from ocr.image.cleaning import _extremes

    squares = np.lib.stride_tricks.sliding_window_view(values, (2 * reach + 1,) * 2)
    np.testing.assert_array_equal(_extremes(values, reach, np.maximum), squares.max((2, 3)))
    np.testing.assert_array_equal(_extremes(values, reach, np.minimum), squares.min((2, 3)))
