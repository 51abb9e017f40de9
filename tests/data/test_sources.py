import numpy as np
import pytest

from lm.base.errors import ConfigError
from lm.base.settings import describe
from ocr.data import LineDataset, LineSample, list_datasets, open_dataset
from ocr.data.sources import DATASETS
from ocr.text.alphabet import Alphabet


def padded(lines):
    """A batch as one makes it of images of several sizes."""
    images, texts = zip(*lines)
    batch = np.zeros((len(images), max(i.shape[0] for i in images),
                      max(i.shape[1] for i in images)), np.uint8)
    for row, image in zip(batch, images):
        row[:image.shape[0], :image.shape[1]] = image
    return batch, texts


@pytest.mark.parametrize("threads, workers", [(False, 0), (True, 2), (False, 2)])
def test_gluons_data_loader_takes_a_dataset_as_it_is(table, threads, workers):
    mx = pytest.importorskip("mxnet")
    dataset = open_dataset("table", path=table[0])
    loader = mx.gluon.data.DataLoader(dataset, 5, shuffle=True, batchify_fn=padded,
                                      num_workers=workers, thread_pool=threads)
    read = {}
    for batch, texts in loader:
        assert batch.dtype == np.uint8 and len(batch) == len(texts) <= 5
        read.update(zip(texts, batch))
    assert sorted(read) == sorted(dataset.texts())
    for image, text in dataset:
        assert np.array_equal(read[text][:image.shape[0], :image.shape[1]], image)
    assert dataset[-1][1] == dataset.samples[-1].text
    # One image and its text: what Gluon's own way of making batches and its transforms see.
    lengths = mx.gluon.data.SimpleDataset(dataset).transform(lambda image, text: (
        image.mean(), len(text)))
    batch = next(iter(mx.gluon.data.DataLoader(lengths, 16)))
    assert batch[1].asnumpy().tolist() == [len(text) for text in dataset.texts()]


@pytest.mark.parametrize("source", list_datasets())
def test_every_option_of_every_source_has_a_type_and_a_meaning(source):
    for option in describe(DATASETS.get(source)):
        assert option.type != "anything" and len(option.meaning) > 3, option


def test_another_packages_source_has_the_common_options():
    @DATASETS.register("letters")
    def letters(count: int, first: str = "a"):
        """Letters, one a line."""
        start = ord(first)
        return LineDataset("letters", "all", [LineSample(chr(c), chr(c), f"{chr(c)}.png")
                                              for c in range(start, start + count)])

    try:
        dataset = open_dataset("letters", count=4, alphabet=Alphabet("abd"))
        assert dataset.texts() == ["a", "b", "d"]
        assert dataset.report.counts() == {"outside the alphabet": 1}
        checked = open_dataset("letters", count=2, check_images=True)
        assert not len(checked) and checked.report.counts() == {"unreadable image": 2}
        for options, message in (({"count": "2"}, "letters.count: expected int, not '2'"),
                                 ({"count": 2, "last": "z"}, "letters has no option 'last'"),
                                 ({}, "letters needs the option")):
            with pytest.raises(ConfigError, match=message):
                open_dataset("letters", **options)
    finally:
        del DATASETS._entries["letters"]
