import numpy as np
import pytest

from ocr.exceptions import ConfigError, DataError
from ocr.transforms import PreprocessConfig, line_to_input, resize_line

from ..conftest import draw_text


def test_height_is_normalised_and_aspect_kept():
    line = resize_line(np.full((40, 200), 255, np.uint8), PreprocessConfig(height=64))
    assert line.shape == (64, 320)


def test_polarity_is_found():
    dark = draw_text("word")
    config = PreprocessConfig(height=32)
    assert np.array_equal(resize_line(dark, config), resize_line(255 - dark, config))
    forced = resize_line(dark, PreprocessConfig(height=32, polarity="light"))
    assert np.median(forced) > 200


def test_ink_scaling_puts_paper_at_zero_and_evens_out_contrast():
    config = PreprocessConfig(height=32)
    strong = line_to_input(resize_line(draw_text("some word"), config), config)
    faint_image = (200 + draw_text("some word").astype(float) / 255 * 40).astype(np.uint8)
    faint = line_to_input(resize_line(faint_image, config), config)
    assert np.median(strong) == np.median(faint) == 0
    assert strong.max() == pytest.approx(faint.max(), abs=0.35)
    assert (strong[:, :8] == 0).all() and (strong[:, -8:] == 0).all()


def test_original_box():
    config = PreprocessConfig(height=60, width=800, scaling="original", polarity="dark")
    white = line_to_input(resize_line(np.full((30, 100), 255, np.uint8), config), config)
    assert white.shape == (60, 800)
    assert np.allclose(white, (1 - 0.942532484060557) / 0.15926149044640417)
    wide = resize_line(np.zeros((10, 5000), np.uint8), config)
    assert wide.shape == (60, 800)


def test_narrow_and_wide_lines():
    config = PreprocessConfig(height=32, min_width=40, max_width=100, margin=3)
    narrow = resize_line(np.full((32, 2), 255, np.uint8), config)
    assert line_to_input(narrow, config).shape[1] == 46
    assert resize_line(np.full((32, 900), 255, np.uint8), config).shape == (32, 100)


@pytest.mark.parametrize("settings", [{"height": 2}, {"margin": -1}, {"polarity": "blue"},
                                      {"scaling": "log"}, {"min_width": 9, "max_width": 3}])
def test_bad_settings(settings):
    with pytest.raises(ConfigError):
        PreprocessConfig(**settings)


def test_colour_array_is_refused():
    with pytest.raises(DataError, match="grey uint8"):
        resize_line(np.zeros((4, 4, 3), np.uint8), PreprocessConfig())
