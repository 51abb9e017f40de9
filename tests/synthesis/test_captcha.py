import pickle
import random
import re
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.base.errors import ConfigError
from lm.base.settings import from_mapping
from ocr.batching import PreparedLines
from ocr.checkpoints.settings import DataConfig
from ocr.data import open_dataset
from ocr.image import PreprocessConfig
from ocr.training.sources import open_split

package = pytest.importorskip("captcha.image")


def test_images_and_labels():
    dataset = open_dataset("captcha", lines=20)
    image = dataset.image(3)
    assert image.shape == dataset.image_size(3) == (70, 160) and image.dtype == np.uint8
    assert np.median(image) > 200 > image.min()
    assert all(len(t) == 4 and t.isalnum() and t.isascii() for t in dataset.texts())
    assert len({s.id for s in dataset.samples}) == 20
    small = open_dataset("captcha", lines=20, length=2, characters="xy", width=90, height=50)
    assert set("".join(small.texts())) == {"x", "y"} and small.image(0).shape == (50, 90)


def test_the_case_is_that_of_the_label():
    kept = open_dataset("captcha", lines=5)
    lower = open_dataset("captcha", lines=5, case="lower")
    upper = open_dataset("captcha", lines=5, case="upper")
    assert lower.texts() == [t.lower() for t in kept.texts()] != kept.texts()
    assert upper.texts() == [t.upper() for t in kept.texts()]
    assert np.array_equal(kept.image(1), lower.image(1))


def test_order_threads_processes_and_copies_make_no_difference():
    dataset = open_dataset("captcha", lines=8, seed=5)
    images = [dataset.image(i) for i in range(8)]
    again = open_dataset("captcha", lines=8, seed=5)
    assert all(np.array_equal(again.image(i), images[i]) for i in (6, 0, 3))
    with ThreadPoolExecutor(4) as pool:
        assert all(map(np.array_equal, pool.map(again.image, range(8)), images))
    part = pickle.loads(pickle.dumps(dataset.subset([5, 2])))
    assert part.texts() == [dataset.samples[5].text, dataset.samples[2].text]
    assert np.array_equal(part.image(0), images[5])
    script = ("from ocr.data import open_dataset; import zlib\n"
              "d = open_dataset('captcha', lines=9, seed=5)\n"
              "print(d.samples[7].text, zlib.crc32(d.image(7)))")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          check=True)
    assert done.stdout.split() == [dataset.samples[7].text, str(zlib.crc32(images[7]))]


def test_seeds_and_splits_differ():
    texts = {tuple(open_dataset("captcha", lines=3, **options).texts()) for options in (
        {}, {"seed": 2}, {"split": "validation"}, {"split": "test"})}
    assert len(texts) == 4
    # Where the text is the same, the drawing is not.
    one = open_dataset("captcha", lines=50, length=1, characters="ab")
    a = [one.image(i) for i, t in enumerate(one.texts()) if t == "a"][:2]
    assert not np.array_equal(*a)


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from(["ab", "abc", "0123456789"]))
def test_a_longer_split_begins_with_the_shorter(short, long, characters):
    short, long = sorted((short, long))
    first, second = (open_dataset("captcha", lines=n, characters=characters).texts()
                     for n in (short, long))
    assert second[:short] == first


def test_no_global_state_is_touched():
    import secrets

    random.seed(7)
    np.random.seed(7)
    before = random.getstate(), np.random.get_state()[1].tolist()
    functions = secrets.randbelow, secrets.randbits, secrets.choice
    open_dataset("captcha", lines=2).image(0)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    assert package.secrets is secrets
    assert (secrets.randbelow, secrets.randbits, secrets.choice) == functions
    # The package itself still draws as it likes.
    pictures = [np.asarray(package.ImageCaptcha().generate_image("abc")) for _ in range(2)]
    assert not np.array_equal(*pictures)


def test_many_lines_cost_little():
    dataset = open_dataset("captcha", lines=1_000_000, stream=True)
    assert len(dataset) == 1_000_000 and dataset.codes.nbytes == 8_000_000
    assert dataset.samples[999_999].id == "captcha-train-0999999"
    assert dataset.image(-1).shape == (70, 160)
    # Half of them, still none is held.
    half = dataset.subset(range(0, 1_000_000, 2))
    assert half.samples[499_999].id == "captcha-train-0999998" and half.stream


def test_streamed_lines_are_those_kept():
    config = PreprocessConfig(height=32)
    kept = PreparedLines(open_dataset("captcha", lines=4), config, progress=False)
    streamed = PreparedLines(open_dataset("captcha", lines=4, stream=True), config,
                             progress=False)
    assert np.array_equal(kept.widths, streamed.widths) and len(streamed) == 4
    assert all(np.array_equal(kept[i], streamed[i]) for i in range(4))


def test_cache_key_holds_all_that_shapes_the_pixels():
    def keys(**options):
        dataset = open_dataset("captcha", **{"lines": 2, **options})
        return {dataset.image_key(i) for i in range(2)}

    variants = [keys(), keys(seed=2), keys(split="test"), keys(width=120), keys(height=60),
                keys(characters="abc")]
    assert len(set().union(*variants)) == 12
    assert keys() == keys(case="lower", stream=True)


def test_splits_of_an_experiment():
    data = from_mapping(DataConfig, {"source": "captcha", "options": {"lines": 2}})
    assert [open_split(data, s).split for s in ("train", "validation", "test")] == [
        "train", "validation", "test"]
    # Normalised transcripts leave the images as they are.
    folded = from_mapping(DataConfig, {"source": "captcha", "options": {"lines": 2},
                                       "normalise": ["case"]})
    plain, lower = open_split(data, "train"), open_split(folded, "train")
    assert lower.texts() == [t.lower() for t in plain.texts()]
    assert np.array_equal(plain.image(1), lower.subset([1]).image(0))


@pytest.mark.parametrize("options, message", [
    ({"split": "dev"}, "unknown captcha.split 'dev'; known: train, validation, test"),
    ({"case": "x"}, "unknown captcha.case 'x'"),
    ({"lines": 0}, "captcha.lines must be at least 1, not 0"),
    ({"length": 2.5}, "captcha.length: expected int, not 2.5"),
    ({"width": 10}, "captcha.width must be at least 48, not 10"),
    ({"seed": -1}, "captcha.seed must be at least 0, not -1"),
    ({"characters": "a"}, "at least two"),
    ({"characters": "aba"}, "none of them twice"),
    ({"characters": "a b"}, "' ' is not a single printable character"),
    ({"characters": ["a", "bc"]}, "'bc' is not a single printable character"),
    ({"characters": "a\u4e2d"}, r"the font has no '中' \(U\+4E2D\)"),
])
def test_bad_settings(options, message):
    with pytest.raises(ConfigError, match=message):
        open_dataset("captcha", **options)


@pytest.mark.parametrize("content, message", [
    (None, "pip install captcha"),
    ("import random", r"captcha 0\.\S+ is too old"),
])
def test_without_a_usable_package(tmp_path, content, message):
    # A process of its own, in which the package is hidden or replaced.
    (tmp_path / "captcha").mkdir()
    (tmp_path / "captcha" / "__init__.py").write_text("")
    if content is not None:
        (tmp_path / "captcha" / "image.py").write_text(content)
    script = (f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
              "import ocr.data, lm.base.errors\n"
              "try: ocr.data.open_dataset('captcha')\n"
              "except lm.base.errors.ConfigError as error: print(error)")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          check=True)
    assert re.search(message, done.stdout)
