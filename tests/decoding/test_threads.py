"""Decoders and correctors that many threads use at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lm import NgramConfig, train_ngram
from ocr.correction import PipelineConfig, build_pipeline, corrector_stage
from ocr.decoding import decoder_stage, parallel
from ocr.text.alphabet import Alphabet

ALPHABET = Alphabet("abc ")
THREADS = 12


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "text").write_text("ab ab ba\ncab b cab\naab ab\nb ab ca\n" * 3)
    for unit in ("word", "character", "wordform"):
        train_ngram(NgramConfig(str(folder / "text"), str(folder / unit), order=3, unit=unit,
                                estimator="builtin", binary_type="none"))
    return folder


def config_of(name, models, workers):
    more = {"beam-lm": {"lm": str(models / "word")},
            "beam-char": {"lm": str(models / "character"), "words": str(models / "wordform")}}
    decoder = decoder_stage(name, more.get(name), **({} if name == "greedy" else
                                                     {"workers": workers}))
    return PipelineConfig(decoder, (
        corrector_stage("word-rescore", lm=str(models / "word"), weight=0.2),
        corrector_stage("spelling", lexicon=[str(models / "text")], max_confidence=0.9)))


@pytest.mark.parametrize("name, workers", [
    ("greedy", 1), ("beam", 1), ("beam", 2), ("beam-lm", 1), ("beam-char", 1), ("beam-char", 2)])
def test_each_thread_gets_its_own_readings(models, name, workers):
    pipeline = build_pipeline(config_of(name, models, workers), ALPHABET)
    random = np.random.default_rng(len(name))
    batches = [[random.normal(0, 3, (int(random.integers(1, 9)), 5)).astype(np.float32)
                for _ in range(9)] for _ in range(THREADS)]
    alone = [pipeline.decode(batch, n_best=2) for batch in batches]
    together = threading.Barrier(THREADS)

    def decode(batch):
        together.wait()
        return pipeline.decode(batch, n_best=2)

    with ThreadPoolExecutor(THREADS) as threads:
        found = list(threads.map(decode, batches))
    assert found == alone
    assert not parallel._INHERITED and parallel._POOL.acquire(blocking=False)
    parallel._POOL.release()
