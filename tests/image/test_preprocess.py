import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.base.errors import ConfigError, DataError
from ocr.batching import PreparedLines
from ocr.data import open_dataset
from ocr.image import (
    PreprocessConfig,
    image_columns,
    input_width,
    line_to_input,
    prepare_line,
    resized_width,
)
from ocr.image.preprocess import _threshold, quantiles

from ..conftest import draw_text, write_table


def test_height_is_normalised_and_aspect_kept():
    line = prepare_line(np.full((40, 200), 255, np.uint8), PreprocessConfig(height=64))
    assert line.shape == (64, 320)


def test_polarity_is_found():
    dark = draw_text("word")
    config = PreprocessConfig(height=32)
    assert np.array_equal(prepare_line(dark, config), prepare_line(255 - dark, config))
    forced = prepare_line(dark, PreprocessConfig(height=32, polarity="light",
                                                 cleaning="none"))
    assert np.median(forced) > 200


def test_ink_scaling_puts_paper_at_zero_and_evens_out_contrast():
    config = PreprocessConfig(height=32)
    strong = line_to_input(prepare_line(draw_text("some word"), config), config)
    faint_image = (200 + draw_text("some word").astype(float) / 255 * 40).astype(np.uint8)
    faint = line_to_input(prepare_line(faint_image, config), config)
    assert np.median(strong) == np.median(faint) == 0
    assert strong.max() == pytest.approx(faint.max(), abs=0.35)
    assert (strong[:, :8] == 0).all() and (strong[:, -8:] == 0).all()


@given(st.integers(0, 2 ** 20), st.integers(1, 6), st.integers(1, 30), st.integers(1, 256),
       st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_quantiles_are_those_of_numpy(seed, height, width, greys, shares):
    image = np.random.default_rng(seed).integers(0, greys, (height, width)).astype(np.uint8)
    assert quantiles(image, *shares) == pytest.approx(np.quantile(image, shares).tolist())
    assert quantiles(image.T[::-1], 0.5) == [np.median(image)]


def test_original_box():
    config = PreprocessConfig(height=60, width=800, scaling="original", polarity="dark")
    white = line_to_input(prepare_line(np.full((30, 100), 255, np.uint8), config), config)
    assert white.shape == (60, 800)
    assert np.allclose(white, (1 - 0.942532484060557) / 0.15926149044640417)
    wide = prepare_line(np.zeros((10, 5000), np.uint8), config)
    assert wide.shape == (60, 800)


def test_narrow_and_wide_lines():
    config = PreprocessConfig(height=32, min_width=40, max_width=100, margin=3)
    narrow = prepare_line(np.full((32, 2), 255, np.uint8), config)
    assert line_to_input(narrow, config).shape[1] == 46
    assert prepare_line(np.full((32, 900), 255, np.uint8), config).shape == (32, 100)


@pytest.mark.parametrize("settings", [{"height": 2}, {"margin": -1}, {"polarity": "blue"},
                                      {"scaling": "log"}, {"min_width": 9, "max_width": 3},
                                      {"binarise": "sauvola"}])
def test_bad_settings(settings):
    with pytest.raises(ConfigError):
        PreprocessConfig(**settings)


def test_colour_array_is_refused():
    with pytest.raises(DataError, match="grey uint8"):
        prepare_line(np.zeros((4, 4, 3), np.uint8), PreprocessConfig())


@given(st.integers(1, 90), st.integers(1, 400), st.sampled_from([None, 60]), st.integers(1, 50))
def test_widths_are_known_beforehand(height, width, box, min_width):
    config = PreprocessConfig(height=16, width=box, min_width=min_width, max_width=100)
    line = prepare_line(np.full((height, width), 255, np.uint8), config)
    assert line.shape[1] == resized_width(height, width, config)
    assert line_to_input(line, config).shape[1] == input_width(line.shape[1], config)


@pytest.mark.parametrize("method", ["otsu", "mean"])
@pytest.mark.parametrize("box", [None, 300])
def test_binarised_lines_have_two_values(method, box):
    config = PreprocessConfig(height=32, width=box, binarise=method)
    grey = draw_text("some word")
    # A shade over the paper, ink much darker.
    shaded = (grey * np.linspace(0.8, 1, grey.shape[1])).astype(np.uint8)
    line = prepare_line(shaded, config)
    assert set(np.unique(line)) == {0, 255}
    assert 0.02 < (line[:, :grey.shape[1]] == 255).mean() < 0.3
    values = line_to_input(line, config)
    assert set(np.unique(values)) == {0, 1} and values.dtype == np.float32
    # Ink stays ink, whichever way round it is.
    assert np.array_equal(line, prepare_line(255 - shaded, config))
    plain = prepare_line(shaded, PreprocessConfig(height=32, width=box))
    assert plain[line == 255].min() > plain[line == 0][plain[line == 0] > 0].mean()


def test_a_line_without_ink_stays_paper():
    for method in ("otsu", "mean"):
        for grey in (0, 90, 200, 255):
            config = PreprocessConfig(height=32, binarise=method)
            line = prepare_line(np.full((40, 50), grey, np.uint8), config)
            assert not line.any()


@given(st.lists(st.integers(0, 255), min_size=2, max_size=60))
def test_otsu_parts_the_groups_best(values):
    values = np.array(values, np.uint8)

    def spread(threshold):
        groups = values[values <= threshold], values[values > threshold]
        return sum(len(g) * np.var(g.astype(float)) for g in groups if len(g))

    threshold = _threshold(values, "otsu")
    if len(set(values)) == 1:
        assert not (values > threshold).any()
    else:
        assert values.min() <= threshold < values.max()
        assert spread(threshold) == pytest.approx(min(map(spread, range(256))), abs=1e-6)


def test_binarisation_is_part_of_the_cache_key(tmp_path):
    path = write_table(tmp_path, "t", ["one"])

    def prepare(method):
        return PreparedLines(open_dataset("table", path=str(path)),
                             PreprocessConfig(height=32, binarise=method), str(tmp_path / "c"))

    for _ in range(2):
        assert len(np.unique(prepare("")[0])) > 2
        assert set(np.unique(prepare("otsu")[0])) == {0, 255}
    assert len(list((tmp_path / "c").glob("*.u8"))) == 2


@pytest.mark.parametrize("lean", [-0.5, 0.0, 0.5])
def test_places_are_found_again_where_letters_were_stood_upright(lean):
    grey = np.full((60, 500), 255, np.uint8)
    for column in (80, 150, 230, 300, 420):
        for row in range(10, 50):
            grey[row, int(column - lean * (row - 30)):][:3] = 0
    config = PreprocessConfig(height=30, deslant=True)
    line = prepare_line(grey, config)
    assert (line.shape[1] > 250) == bool(lean)
    values = line_to_input(line, config)
    ink = np.flatnonzero(values.sum(axis=0) > 0.6 * values.sum(axis=0).max())
    bars = [run.mean() + 0.5 for run in np.split(ink, np.flatnonzero(np.diff(ink) > 3) + 1)]
    found = image_columns(bars, 60, 500, config, values.shape[1])
    assert np.abs(np.array(found) - [81.5, 151.5, 231.5, 301.5, 421.5]).max() < 4
