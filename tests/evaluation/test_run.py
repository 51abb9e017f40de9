"""Reading a data set part by part: the same figures, and few lines in memory."""

import pytest

from lm.base.errors import DataError
from ocr.data import open_dataset
from ocr.evaluation import run
from ocr.recognition import open_recogniser

from ..conftest import WORDS, write_table
from ..export.networks import write_checkpoint


def test_parts_give_what_the_whole_gives(tmp_path, monkeypatch):
    path = write_table(tmp_path, "t", [f"{word} {i}" for i, word in enumerate(WORDS * 2)])
    (tmp_path / "lines" / "t-003.png").write_bytes(b"no image")
    recogniser = open_recogniser(write_checkpoint(tmp_path / "m.ckpt", "captcha"), "cpu")
    # What one line's neighbours in the batch are must not matter here.
    recogniser.logits = lambda prepared, batch_size: type(recogniser).logits(
        recogniser, prepared, 1, progress=False)

    def read(cache=None):
        dataset = open_dataset("table", path=str(path))
        report, lines, _ = run.evaluate(recogniser, dataset, ["greedy", "beam"], cache=cache)
        assert len(lines) == len(lines.images()) == 15 == len(report.references)
        assert [s.id for s in lines.samples] == report.ids and lines.texts() == report.references
        assert lines.report.counts() == {"unreadable image": 1}
        assert (lines.images()[3] == dataset.image(4)).all()
        return [(s.hypotheses, s.confidences) for s in report.systems]

    whole, most = read(), []
    monkeypatch.setattr(run, "_AT_ONCE", 4)
    prepare = recogniser.prepare
    monkeypatch.setattr(recogniser, "prepare", lambda dataset, cache=None: most.append(
        len(dataset)) or prepare(dataset, cache))
    assert read() == whole and max(most) == 4
    assert read(str(tmp_path / "cache")) == whole == read(str(tmp_path / "cache"))


def test_nothing_to_read(tmp_path):
    path = write_table(tmp_path, "t", ["un"])
    (tmp_path / "lines" / "t-000.png").write_bytes(b"no image")
    recogniser = open_recogniser(write_checkpoint(tmp_path / "m.ckpt", "captcha"), "cpu")
    with pytest.raises(DataError, match="no line to read; skipped 1: 1 unreadable image"):
        run.evaluate(recogniser, open_dataset("table", path=str(path)), ["greedy"])
