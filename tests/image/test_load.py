"""Image files of every kind: as greys, upright, or refused in one line."""

import os

import numpy as np
import pytest
from PIL import Image

from lm.base.errors import DataError
from ocr.data import open_dataset
from ocr.image.load import as_grey, image_shape, load_grey

GREY = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)


def test_16_bits_and_floats_are_scaled(tmp_path):
    path = tmp_path / "x.tif"
    Image.fromarray(GREY.astype(np.uint16) * 257).save(path)
    assert (load_grey(path) == GREY).all()
    Image.fromarray(GREY.astype(np.int32) * 257).save(path)
    assert (load_grey(path) == GREY).all()
    Image.fromarray(GREY.astype(np.float32) / 255).save(path)
    assert (load_grey(path) == GREY).all()
    # Eight bits in more than eight.
    Image.fromarray(GREY.astype(np.int32)).save(path)
    assert (load_grey(path) == GREY).all()


@pytest.mark.parametrize("values, message", [
    (np.array([[0, 70000]], np.int32), "values of int32 from 0 to 70000 are no greys"),
    (np.array([[-5, 7]], np.int32), "from -5 to 7"),
    (np.array([[0, 1]], np.int32), "black and white, or nearly black"),
    (np.array([[0.1, 1.5]], np.float32), "values of float32 from 0.1 to 1.5 are no greys"),
    (np.array([[0.1, np.nan]], np.float32), "are no greys"),
    (np.array([[0.1, np.inf]], np.float32), "are no greys")])
def test_other_numbers_are_refused(tmp_path, values, message):
    path = tmp_path / "x.tif"
    Image.fromarray(values).save(path)
    with pytest.raises(DataError, match=f"x.tif: .*{message}"):
        load_grey(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "tif", "jpg"])
def test_photos_are_turned_upright_by_every_source(tmp_path, orientation, ending):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"x.{ending}"
    Image.fromarray(np.repeat(np.repeat(GREY, 8, 0), 8, 1)).save(path, exif=exif)
    grey = load_grey(path)
    assert grey.shape == image_shape(path) == ((48, 32) if orientation > 4 else (32, 48))
    # Where the darkest corner comes to lie.
    corner = [(0, 0), (0, 0), (0, -1), (-1, -1), (-1, 0), (0, 0), (0, -1), (-1, -1), (-1, 0)]
    assert grey[corner[orientation]] < 30
    (tmp_path / "t.tsv").write_text(f"file\ttext\n{path.name}\tx\n")
    dataset = open_dataset("table", path=str(tmp_path / "t.tsv"))
    assert (dataset.image(0) == grey).all() and dataset.image_size(0) == grey.shape


def test_frames_are_told_and_chosen(tmp_path):
    frames = [Image.fromarray(np.full((4, 6), grey, np.uint8)) for grey in (10, 120, 250)]
    path = tmp_path / "x.tif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.warns(UserWarning, match="x.tif: holds 3 images; only the first is read"):
        assert load_grey(path)[0, 0] == 10
    assert [load_grey(path, frame)[0, 0] for frame in range(3)] == [10, 120, 250]
    for frame in (3, -1):
        with pytest.raises(DataError, match=f"holds 3 image.*no frame {frame}"):
            load_grey(path, frame)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_and_devices_are_refused(tmp_path):
    os.mkfifo(tmp_path / "p.png")
    for path in (tmp_path / "p.png", "/dev/zero"):
        for read in (load_grey, image_shape):
            with pytest.raises(DataError, match="pipe or a device"):
                read(path)


@pytest.mark.parametrize("content", [
    b"\x01\0\0\0" + b"\0" * 36 + b" EMF" + b"\0" * 80, b"\xd7\xcd\xc6\x9a" + b"\0" * 40,
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", b"",
    b"\x89PNG\r\n\x1a\n" + b"\xff" * 40, b"II*\0" + b"\xff" * 100, b"GIF89a" + b"\xff" * 7])
def test_drawings_and_noise_are_refused(tmp_path, content):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    for read in (load_grey, image_shape):
        with pytest.raises(DataError, match="x.png: ") as told:
            read(path)
        assert "\n" not in str(told.value)


def test_arrays_of_other_types_are_refused():
    with pytest.raises(DataError, match="not int64"):
        as_grey(GREY.astype(np.int64))
    assert (as_grey(GREY.astype(np.uint16)) == GREY).all()
