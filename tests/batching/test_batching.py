import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lm.base.errors import DataError, TrainingError
from ocr.batching import PreparedLines, TrainingBatches, collate, evaluation_batches
from ocr.data import open_dataset
from ocr.data.base import LineDataset, LineSample
from ocr.image import AugmentConfig, PreprocessConfig
from ocr.text.alphabet import Alphabet
from ocr.text.ctc import frames_needed

from ..conftest import write_table

CONFIG = PreprocessConfig(height=32)


class Blank(LineDataset):
    """White lines of given widths."""

    def __init__(self, widths, texts=None):
        texts = texts or ["ab"] * len(widths)
        super().__init__("blank", "all", [LineSample(str(i), t) for i, t in enumerate(texts)])
        self.widths = {str(i): w for i, w in enumerate(widths)}

    def image(self, index):
        return np.full((32, self.widths[self.samples[index].id]), 255, np.uint8)

    def image_key(self, index):
        return self.samples[index].id


def batches_of(widths, texts=None, batch_size=4, **options):
    alphabet = Alphabet("ab")
    prepared = PreparedLines(Blank(widths, texts), CONFIG, progress=False)
    labels = [alphabet.encode(s.text) for s in prepared.dataset.samples]
    return TrainingBatches(prepared, labels, batch_size, options.pop("augmentation", None), 3,
                           lambda width: -(-width // 8), **options)


@given(st.lists(st.integers(30, 400), min_size=1, max_size=40), st.integers(1, 9),
       st.integers(1, 4))
def test_no_line_is_lost(widths, batch_size, pool):
    batches = batches_of(widths, batch_size=batch_size, pool=pool, workers=0)
    for epoch in (0, 1):
        order = batches.order(epoch)
        assert sorted(np.concatenate(order)) == list(range(len(widths)))
        assert len(order) == len(batches)
        assert max(map(len, order)) <= batch_size
    prepared = batches.prepared
    read = [i for b in evaluation_batches(prepared, batch_size, 0) for i in b.indices]
    assert sorted(read) == list(range(len(widths)))


def test_epochs_differ_and_repeat():
    batches = batches_of(list(range(100, 140)), augmentation=AugmentConfig())
    first = [b.images for b in batches.epoch(0)]
    again = [b.images for b in batches.epoch(0)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert [list(o) for o in batches.order(0)] != [list(o) for o in batches.order(1)]
    # Resuming in the middle gives the rest of the same epoch.
    rest = [b.images for b in batches.epoch(0, 6)]
    assert len(rest) == 4 and all(np.array_equal(a, b) for a, b in zip(first[6:], rest))


def test_lines_are_together_with_those_as_wide_once_distorted():
    widths = [int(w) for w in np.random.default_rng(0).integers(100, 400, 96)]
    batches = list(batches_of(widths, augmentation=AugmentConfig(
        probability=1, scale_x=0.5, shear=0.5)).epoch(0))
    assert sorted(i for batch in batches for i in batch.indices) == list(range(96))
    narrowest, widest = zip(*sorted((min(b.widths), max(b.widths)) for b in batches))
    # One pool: no batch reaches into the next one's widths.
    assert all(a <= b for a, b in zip(widest, narrowest[1:]))


def test_threads_give_the_same_batches():
    options = {"augmentation": AugmentConfig(probability=1)}
    alone = batches_of([100, 200, 150, 90, 120], workers=0, **options)
    threaded = batches_of([100, 200, 150, 90, 120], workers=3, **options)
    for a, b in zip(alone.epoch(2), threaded.epoch(2)):
        assert np.array_equal(a.images, b.images) and a.indices == b.indices


def test_true_widths_and_padding():
    lines = [np.ones((8, w), np.float32) for w in (5, 70)]
    batch = collate(lines, [[1, 2], [3]], [7, 9])
    assert batch.images.shape == (2, 1, 8, 128)
    assert batch.widths.tolist() == [5, 70]
    assert batch.images[0, 0, :, 5:].sum() == 0
    assert batch.labels.tolist() == [[1, 2], [3, -1]]
    assert batch.label_lengths.tolist() == [2, 1]
    assert batch.indices == (7, 9)


@given(st.lists(st.integers(0, 2), max_size=12))
def test_frames_needed_counts_blanks_between_repeats(label):
    # The shortest path writes the label with a blank between equal neighbours.
    path = [v for i, v in enumerate(label)
            for v in ([None, v] if i and label[i - 1] == v else [v])]
    assert frames_needed(label) == len(path)


def test_infeasible_and_empty_labels_are_reported():
    # 64 + 16 pixels give 10 frames.
    batches = batches_of([64, 64, 64, 64], ["ab" * 5, "ab" * 5 + "a", "aaaaaa", "a"])
    assert batches.usable.tolist() == [0, 3]
    report = batches.prepared.dataset.report
    assert report.counts() == {"infeasible for CTC": 2}
    assert "11 frames needed for 'aaaaaa', the image gives 10" in report.skips[1].detail
    with pytest.raises(TrainingError, match="no line can be trained on"):
        batches_of([64], ["a" * 30])
    batches = batches_of([64, 64], ["", "a"])
    assert batches.prepared.dataset.report.counts() == {"empty transcript": 1}


def test_squeezing_never_makes_a_line_infeasible():
    config = AugmentConfig(probability=1, scale_x=0.9)
    batches = batches_of([64] * 30, ["ab" * 5] * 30, augmentation=config)
    for epoch in range(3):
        for batch in batches.epoch(epoch):
            assert (np.ceil(batch.widths / 8) >= batch.label_lengths).all()


def test_broken_images_are_reported_or_fatal(tmp_path):
    path = write_table(tmp_path, "t", ["one", "two", "three"])
    (tmp_path / "lines" / "t-001.png").write_bytes(b"no image")
    dataset = open_dataset("table", path=str(path))
    prepared = PreparedLines(dataset, CONFIG)
    assert [s.text for s in prepared.dataset.samples] == ["one", "three"]
    assert len(prepared) == len(prepared.widths) == 2
    assert dataset.report.counts() == {"unreadable image": 1}
    dataset = open_dataset("table", path=str(path), on_error="raise")
    with pytest.raises(DataError, match="t-001.png"):
        PreparedLines(dataset, CONFIG)


def test_cache_is_keyed_by_all_that_shapes_it(tmp_path):
    path = write_table(tmp_path, "t", ["one", "two", "three"])
    (tmp_path / "lines" / "t-001.png").write_bytes(b"no image")
    cache = str(tmp_path / "cache")

    def prepare(config=CONFIG):
        return PreparedLines(open_dataset("table", path=str(path)), config, cache)

    fresh, cached = prepare(), prepare()
    assert isinstance(cached[0].base, np.ndarray) and len(list((tmp_path / "cache").iterdir())) == 2
    assert all(np.array_equal(fresh[i], cached[i]) for i in range(2))
    assert cached.dataset.report.counts() == {"unreadable image": 1}
    assert prepare(PreprocessConfig(height=48))[0].shape[0] == 48
    # Another picture under the same name.
    Image.new("L", (40, 32), 255).save(tmp_path / "lines" / "t-000.png")
    assert prepare()[0].shape == (32, 40)


def test_damaged_cache_is_made_anew(tmp_path):
    path = write_table(tmp_path, "t", ["one", "two"])
    cache = tmp_path / "cache"

    def prepare():
        return PreparedLines(open_dataset("table", path=str(path)), CONFIG, str(cache))

    fresh = prepare()
    stored = next(p for p in cache.iterdir() if p.suffix == ".u8")
    stored.write_bytes(stored.read_bytes()[:-100])
    again = prepare()
    assert all(np.array_equal(fresh[i], again[i]) for i in range(2))


@pytest.mark.parametrize("content", ["[]", "5", "{}", "null", '{"crc": 1}', "[" * 100_000, None])
def test_a_damaged_index_of_the_cache_is_made_anew(tmp_path, content):
    path = write_table(tmp_path, "t", ["one", "two"])
    cache = tmp_path / "cache"

    def prepare():
        return PreparedLines(open_dataset("table", path=str(path)), CONFIG, str(cache))

    fresh = prepare()
    index = next(p for p in cache.iterdir() if p.suffix == ".json")
    # None: another width and as many pixels, for which the checksum of pixels alone would stand.
    whole = index.read_text()
    index.write_text(whole.replace('"height": 32', '"height": 16') if content is None else content)
    again = prepare()
    assert all(np.array_equal(fresh[i], again[i]) for i in range(2))
    assert index.read_text() == whole


def test_distorted_lines_keep_their_letters_in_a_box():
    """As the original notebook trains: not one stroke of a line that fills its box is cut off."""
    import dataclasses

    from ocr.checkpoints.settings import read_experiment

    config = read_experiment("original_iam", ["output=x"])
    box = config.preprocess
    strokes = np.full((box.height, box.width), 255, np.uint8)
    # Of every grey from faint to black, so that a lost one is missed; the ends are ink.
    for number, column in enumerate(range(0, box.width - 3, 20)):
        strokes[8:-8, column:column + 4] = 20 * (number % 5)
    strokes[8:-8, -4:] = 0
    count = len(range(0, box.width - 3, 20)) + 1

    class Full(Blank):
        def image(self, index):
            return strokes

    prepared = PreparedLines(Full([box.width] * 24), box, progress=False)
    augment = dataclasses.replace(config.augment, probability=1.0)
    batches = TrainingBatches(prepared, [[0, 1]] * 24, 4, augment, 1, lambda width: 100)
    for batch in batches.epoch(0):
        assert batch.images.shape[2:] == (box.height, box.width)
        for image in batch.images[:, 0]:
            # In the middle row the slant does not matter.
            dark = image[box.height // 2] < image.max() - 1.5
            assert np.count_nonzero(np.diff(np.r_[0, dark, 0].astype(int)) > 0) == count
