import numpy as np
import pytest
from PIL import Image

from lm.base.errors import ConfigError, DataError
from ocr.evaluation.grid import label_grid

IMAGES = [np.full((70, 160), 90 + i, np.uint8) for i in range(5)]
RED = (178, 34, 34)


def framed(path, columns, rows):
    """Which cells have a red frame."""
    pixels = np.asarray(Image.open(path))
    tall, wide = pixels.shape[0] // rows, pixels.shape[1] // columns
    return [tuple(pixels[tall * r + 3, wide * c + 3]) == RED
            for r in range(rows) for c in range(columns)]


def test_wrong_readings_are_marked(tmp_path):
    path = tmp_path / "sub" / "grid.png"
    truths = ["ab1", "cd2", "é", "", "gh"]
    readings = ["ab1", "cd3", "e\u0301", "x", "GH"]
    assert label_grid(IMAGES, truths, readings, path, columns=3) == 3
    assert framed(path, 3, 2) == [False, True, False, True, True, False]
    pixels = np.asarray(Image.open(path))
    # Every image is there, at its own size.
    for i in range(5):
        assert (pixels == 90 + i).all(axis=2).sum() >= 70 * 160
    assert [p.name for p in path.parent.iterdir()] == ["grid.png"]


def test_all_right_has_no_red(tmp_path):
    assert label_grid(IMAGES[:1], ["ab"], ["ab"], tmp_path / "g.png") == 0
    pixels = np.asarray(Image.open(tmp_path / "g.png"))
    assert not (pixels == RED).all(axis=2).any()
    # Both texts stand below the image.
    below = pixels[82:, :, 0]
    assert below.min() < 60 and (below < 200).any(axis=1).sum() > 15


def test_large_images_and_long_texts_are_fitted(tmp_path):
    label_grid([np.zeros((300, 3000), np.uint8)], ["truth " * 200], ["W" * 900],
               tmp_path / "g.png")
    assert max(Image.open(tmp_path / "g.png").size) < 460


def test_bad_arguments(tmp_path):
    path = tmp_path / "g.png"
    with pytest.raises(DataError, match="5 images, 1 truths and 0 readings"):
        label_grid(IMAGES, ["a"], [], path)
    with pytest.raises(DataError, match="no images"):
        label_grid([], [], [], path)
    with pytest.raises(ConfigError, match="columns is 0"):
        label_grid(IMAGES[:1], ["a"], ["a"], path, columns=0)
    with pytest.raises(ConfigError, match="none.ttf: not a readable font"):
        label_grid(IMAGES[:1], ["a"], ["a"], path, font="none.ttf")
    assert not path.exists()
