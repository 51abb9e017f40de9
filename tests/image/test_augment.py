import dataclasses
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.base.errors import ConfigError
from ocr.base.randomness import generator
from ocr.image import AugmentConfig, augment, augmented_width

OFF = AugmentConfig(probability=1, translate_x=0, translate_y=0, scale_x=0, scale_y=0, shear=0,
                    rotation=0, elastic=0, thickness=0, gamma=0, noise=0, erase=0)


def line(height=32, width=200):
    image = np.zeros((height, width), np.uint8)
    image[12:20, 60:140] = 200
    return image


def centre(image):
    """Of the ink; columns from the middle of the picture, which grows on both sides alike."""
    rows, columns = np.nonzero(image > 100)
    return rows.mean(), columns.mean() - image.shape[1] / 2


def test_all_off_changes_nothing():
    assert np.array_equal(augment(line(), OFF, generator(1)), line())
    never = AugmentConfig(probability=0)
    assert np.array_equal(augment(line(), never, generator(1)), line())


def spread(**settings):
    """Centres of 60 distorted copies, minus the original's: (60, 2) rows, columns."""
    config = dataclasses.replace(OFF, **settings)
    origin = np.array(centre(line()))
    return np.array([np.array(centre(augment(line(), config, generator(i)))) - origin
                     for i in range(60)])


def test_translation_moves_along_its_own_axis():
    moved = spread(translate_x=0.4)
    assert np.abs(moved[:, 0]).max() < 0.6
    assert moved[:, 1].min() < -6 and moved[:, 1].max() > 6
    assert np.abs(moved[:, 1]).max() <= 0.4 * 32 + 1
    moved = spread(translate_y=0.2)
    assert np.abs(moved[:, 1]).max() < 0.6
    assert moved[:, 0].min() < -3 and moved[:, 0].max() > 3


def test_translation_leaves_all_ink_in_the_picture():
    full = np.full((32, 200), 200, np.uint8)
    full[:, 1:-1] = 0
    for i in range(30):
        out = augment(full, dataclasses.replace(OFF, translate_x=1.0), generator(i))
        # A bilinear shift by part of a pixel leaves the sum as it was.
        assert abs(out.sum() / full.sum() - 1) < 0.02


def sizes(**settings):
    config = dataclasses.replace(OFF, **settings)
    result = []
    for i in range(40):
        rows, columns = np.nonzero(augment(line(), config, generator(i)) > 100)
        result.append((np.ptp(rows) + 1, np.ptp(columns) + 1))
    return np.array(result)


def test_scale_stretches_its_own_axis_and_cuts_nothing():
    wide = sizes(scale_x=0.3)
    assert (wide[:, 0] == 8).all()
    assert wide[:, 1].min() < 66 and wide[:, 1].max() > 94
    high = sizes(scale_y=0.4)
    assert np.abs(high[:, 1] - 80).max() <= 1
    assert high[:, 0].min() < 7 and high[:, 0].max() > 9


def test_shear_slants():
    image = np.zeros((32, 100), np.uint8)
    image[:, 48:52] = 255
    slants = []
    for i in range(30):
        out = augment(image, dataclasses.replace(OFF, shear=0.5), generator(i))
        top, bottom = (np.nonzero(out[r] > 100)[0].mean() for r in (2, 29))
        slants.append((top - bottom) / 27)
    assert min(slants) < -0.2 and max(slants) > 0.2
    assert max(np.abs(slants)) < np.tan(0.5) + 0.1


def test_gamma_keeps_paper_and_full_ink():
    image = np.array([[0, 60, 255]], np.uint8)
    values = {int(augment(image, dataclasses.replace(OFF, gamma=1.0), generator(i))[0, 1])
              for i in range(30)}
    assert min(values) < 40 and max(values) > 90
    out = augment(image, dataclasses.replace(OFF, gamma=1.0), generator(3))
    assert (out[0, 0], out[0, 2]) == (0, 255)


def test_thickness_widens_and_thins():
    amounts = [int(augment(line(), dataclasses.replace(OFF, thickness=1.0),
                           generator(i)).astype(int).sum()) for i in range(30)]
    assert min(amounts) < int(line().astype(int).sum()) < max(amounts)


def test_blots_cover_boxes_and_leave_the_rest():
    image = np.full((40, 400), 90, np.uint8)
    counts, values = [], set()
    for i in range(60):
        out = augment(image, dataclasses.replace(OFF, erase=1.0), generator(i))
        rows, columns = np.nonzero(out != 90)
        counts.append(len(rows))
        values |= set(np.unique(out).tolist()) - {90}
        assert len(set(columns)) <= 0.75 * 400
    # One blot is meant, of 20% to 100% of the height and 10% to 50% of it in width.
    assert 0 in counts and 150 < np.mean(counts) < 450
    assert 0 in values and max(values) > 180
    assert (image == 90).all()


@given(st.integers(0, 2 ** 31), st.integers(1, 300), st.integers(8, 80))
def test_any_size_and_seed(seed, width, height):
    image = np.random.default_rng(seed).integers(0, 255, (height, width)).astype(np.uint8)
    out = augment(image, AugmentConfig(probability=1, noise=0.05, erase=5), generator(seed))
    assert out.dtype == np.uint8 and out.shape[0] == height and out.shape[1] >= 1


@given(st.integers(0, 2 ** 32), st.integers(1, 300), st.integers(8, 40), st.sampled_from(
    [AugmentConfig(), AugmentConfig(scale_x=0.5, shear=1.0), AugmentConfig(probability=0.5)]))
def test_the_width_is_foretold(seed, width, height, config):
    line = augment(np.zeros((height, width), np.uint8), config, generator(seed))
    assert augmented_width(height, width, config, generator(seed)) == line.shape[1]


def _in_worker(key):
    return augment(line(), AugmentConfig(probability=1, noise=0.02), generator(*key))


def test_the_same_in_worker_processes():
    keys = [(1, 0, i) for i in range(4)]
    with ProcessPoolExecutor(2) as pool:
        there = list(pool.map(_in_worker, keys))
    here = [_in_worker(key) for key in keys]
    assert all(np.array_equal(a, b) for a, b in zip(there, here))
    assert not np.array_equal(here[0], here[1])


@pytest.mark.parametrize("settings", [{"probability": 2}, {"shear": -1}, {"elastic_cell": 0},
                                      {"scale_x": 1.0}])
def test_bad_settings(settings):
    with pytest.raises(ConfigError):
        AugmentConfig(**settings)
