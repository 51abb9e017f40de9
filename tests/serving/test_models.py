"""Versions on disk: found, loaded beside the old one, swapped, reported when broken."""

import os
import shutil
import threading
import time

import pytest

from lm.base.errors import CheckpointError, MissingDataError
from ocr.serving.config import ServingConfig
from ocr.serving.errors import NotFound, Unavailable
from ocr.serving.metrics import Metrics
from ocr.serving.models import ModelStore, find_versions

from .conftest import png
from .fakes import open_served_bars


def put(folder, number, text="bars", name="model.onnx"):
    """Write a version as one should: under another name first."""
    made = folder / f".{number}"
    made.mkdir()
    (made / name).write_text(text)
    os.replace(made, folder / str(number))


@pytest.fixture
def store(tmp_path):
    made = []

    def make(**models):
        config = ServingConfig(models={k: str(v) for k, v in models.items()}, poll=0.0)
        one = ModelStore(config, open_served_bars, Metrics())
        made.append(one)
        one.start()
        return one

    yield make
    for one in made:
        one.close(5)


def states(model):
    return {v.number: (v.state, bool(v.error)) for v in model.versions()}


def test_versions_on_disk(tmp_path):
    file = tmp_path / "a.onnx"
    file.write_text("")
    assert find_versions(str(file))[1][0] == str(file)
    with pytest.raises(MissingDataError, match="none: no such model"):
        find_versions(str(tmp_path / "none"))
    folder = tmp_path / "m"
    (folder / "x").mkdir(parents=True)
    with pytest.raises(MissingDataError, match="model.onnx"):
        find_versions(str(folder))
    for number, names in ((1, ["model.onnx", "other.onnx"]), (2, ["best.ckpt"]),
                          (10, ["a.onnx", "b.ckpt", "readme.md"]), (11, ["a.onnx", "b.onnx"]),
                          (12, [])):
        (folder / str(number)).mkdir()
        for name in names:
            (folder / str(number) / name).write_text("")
    files = {number: file and os.path.basename(file)
             for number, (file, _) in find_versions(str(folder)).items()}
    assert files == {1: "model.onnx", 2: "best.ckpt", 10: "a.onnx", 11: None, 12: None}


def test_the_highest_that_loads_is_served(tmp_path, store):
    for number, text in ((2, "bars"), (9, "bars"), (10, "broken")):
        put(tmp_path, number, text)
    model = store(m=tmp_path).get("m")
    assert model.current.number == 9
    assert states(model) == {9: ("AVAILABLE", False), 10: ("END", True)}
    assert "not bars" in model.versions()[0].error
    with pytest.raises(NotFound, match=r"Specific\(m, 10\)"):
        model.acquire(10)


def test_a_model_without_a_version_that_loads_is_an_error_at_the_start(tmp_path, store):
    put(tmp_path, 1, "broken")
    with pytest.raises(CheckpointError, match="not bars"):
        store(m=tmp_path)
    with pytest.raises(MissingDataError, match="no such model"):
        store(m=tmp_path / "none")


def test_a_new_version_takes_over_and_the_old_one_ends_with_its_last_request(tmp_path, store):
    put(tmp_path, 1)
    model = store(m=tmp_path).get("m")
    old = model.acquire()
    put(tmp_path, 2)
    model.refresh()
    # It might still be being written: a second look decides.
    assert model.current is old
    model.refresh()
    assert model.current.number == 2 and old.state == "UNLOADING" and old.model is not None
    assert model.acquire().number == 2
    time.sleep(0.1)
    assert old.batcher is not None
    model.release(old)
    _until(lambda: old.state == "END")
    assert old.batcher is None and states(model)[2] == ("AVAILABLE", False)
    model.release(model.current)


def test_a_broken_version_is_told_once_and_tried_again_when_it_changes(tmp_path, store, caplog):
    put(tmp_path, 1)
    model = store(m=tmp_path).get("m")
    put(tmp_path, 2, "broken")
    for _ in range(4):
        model.refresh()
    assert states(model) == {1: ("AVAILABLE", False), 2: ("END", True)}
    told = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert len(told) == 1 and "version 2 cannot be loaded" in told[0] and "1 stays" in told[0]
    text = model._metrics.exposition()[0].decode()
    assert 'ocr_model_load_failures_total{model="m"} 1.0' in text
    (tmp_path / "2" / "model.onnx").write_text("bars shift=1")
    model.refresh()
    model.refresh()
    assert model.current.number == 2


def test_a_version_that_goes_gives_way_to_the_next_lower(tmp_path, store, caplog):
    put(tmp_path, 1)
    put(tmp_path, 2)
    model = store(m=tmp_path).get("m")
    assert model.current.number == 2
    shutil.rmtree(tmp_path / "2")
    model.refresh()
    assert model.current.number == 1
    _until(lambda: states(model).get(2, ("END",))[0] == "END")
    # With nothing left the last one serves on, and that is told once.
    shutil.rmtree(tmp_path / "1")
    for _ in range(3):
        model.refresh()
    assert model.current.number == 1 and model.current.state == "AVAILABLE"
    assert sum("1 stays" in r.getMessage() for r in caplog.records) == 1


def test_a_closed_model_takes_no_requests(tmp_path, store):
    put(tmp_path, 1)
    one = store(m=tmp_path)
    one.close(5)
    with pytest.raises(Unavailable):
        one.get("m").acquire()


def test_swapping_under_load_loses_and_confuses_nothing(tmp_path, running):
    folder = tmp_path / "m"
    folder.mkdir()
    put(folder, 1, "bars delay=0.005")
    client, service = running(models={"m": str(folder)}, max_batch=4)
    wrong, counts, stop = [], {}, threading.Event()

    def work(seed):
        texts = ["abc", "some line", "x" * (seed + 1)]
        # As version 2 reads, whose letters are shifted, and 3 again as 1.
        shifted = [t.translate(str.maketrans("abcsomelinx ", "bcdtpnfmjoy.")) for t in texts]
        number = seed
        while not stop.is_set():
            number += 1
            answer = client.recognise(png(texts[number % 3]), query="?lines=one")
            if answer.status != 200:
                wrong.append(answer)
                continue
            version = answer.json["version"]
            right = (shifted if version == 2 else texts)[number % 3]
            counts[version] = counts.get(version, 0) + 1
            if answer.json["images"][0]["text"] != right:
                wrong.append((version, right, answer.body))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    _until(lambda: counts.get(1, 0) > 5)
    put(folder, 2, "bars shift=1 delay=0.005")
    _until(lambda: counts.get(2, 0) > 5)
    put(folder, 3, "broken")
    _until(lambda: client.get("/info").json["models"][0]["failed"])
    put(folder, 4, "bars delay=0.005")
    _until(lambda: counts.get(4, 0) > 5)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong and set(counts) == {1, 2, 4}
    _until(lambda: {v["version"]: v["state"] for v in client.get(
        "/v1/models/m").json["model_version_status"]}["2"] == "END")
    assert 'ocr_model_version{model="m"} 4.0' in client.get("/metrics").body.decode()


def _until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
