import json
import os

import numpy as np
import pytest

from ocr.data import open_dataset

from ..conftest import write_table
from .test_commands import run

pytest.importorskip("h5py")


def test_iam_is_packed_by_one_command(tmp_path):
    run("synth", tmp_path / "iam", "--forms", "8", "--lines-per-form", "2", "--writers", "4",
        "--fonts", "hershey")
    file = tmp_path / "iam.hdf5"
    out, _ = run("pack", file, "data.source=iam", f"data.options.root={tmp_path / 'iam'}")
    assert out.startswith(f"{file}: train ")
    for split, name in (("train", "train"), ("validation", "validation1"), ("test", "test")):
        source = open_dataset("iam", root=tmp_path / "iam", split=f"official/{name}")
        dataset = open_dataset("hdf5", path=file, split=split)
        assert dataset.texts() == source.texts() and dataset.split == f"official/{name}"
        assert (dataset.image(0) == source.image(0)).all()
    _, err = run("pack", file, status=2)
    assert "name the data: --config YAML, or data.source=NAME" in err


def test_transcripts_need_no_network(tmp_path):
    table = write_table(tmp_path, "t", ["une ligne", "un mot"])
    (tmp_path / "lines" / "t-001.png").write_text("no image")
    data = ["data.source=table", f"data.train.path={table}"]
    _, err = run("transcripts", tmp_path / "text_train.txt", *data)
    assert (tmp_path / "text_train.txt").read_text() == "une ligne\nun mot\n"
    assert "text_train.txt: 2 lines of table" in err
    _, err = run("transcripts", tmp_path / "text_train.txt", *data, status=2)
    assert "text_train.txt: is there already; not overwritten" in err
    _, err = run("transcripts", tmp_path / "t.txt", *data, "--split", "test", status=2)
    assert "needs the option(s) path" in err and not (tmp_path / "t.txt").exists()


def test_pack_warns_of_lines_that_stand_in_two_splits(tmp_path):
    table = write_table(tmp_path, "t", ["une ligne", "un mot"])
    _, err = run("pack", tmp_path / "a.hdf5", "data.source=table", f"data.train.path={table}",
                 f"data.validation.path={table}", "--splits", "train,validation")
    assert "warning: 2 of 2 lines for validation are lines for train, too" in err


def test_pack_writes_what_an_experiment_reads(tmp_path):
    train = write_table(tmp_path, "train", ["une ligne", "un mot", "le test"])
    (tmp_path / "lines" / "train-001.png").write_text("no image")
    write_table(tmp_path, "valid", ["un test"], seed=5)
    config = {"output": "run", "data": {
        "source": "table", "train": {"path": str(train)},
        "validation": {"path": str(tmp_path / "valid.tsv")}}}
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    file = tmp_path / "new" / "lines.hdf5"
    options = ["pack", "--config", tmp_path / "config.yaml", file]
    _, err = run(*options, status=2)
    assert "needs the option(s) path" in err
    assert not file.parent.exists()
    out, _ = run(*options, "--splits", "train,validation")
    assert out.startswith(f"{file}: train 2 (1 skipped), validation 1; ")
    assert os.listdir(file.parent) == ["lines.hdf5"]
    source = open_dataset("table", path=str(train))
    dataset = open_dataset("hdf5", path=str(file))
    assert dataset.texts() == ["une ligne", "le test"] and dataset.samples[1].writer == "w2"
    assert (dataset.image(1) == source.image(2)).all()
    # Other options, overrides, and a file of the same command in the way.
    out, err = run(*options, f"data.test.path={train}", "--splits", "test", "--size", "128x24",
                 "--deslant", "--illumination", "--compression", "none", "--resume")
    assert ("to train on this file, set preprocess.cleaning=even preprocess.deslant=True "
            "preprocess.height=24 preprocess.width=128\n") in err
    dataset = open_dataset("hdf5", path=str(file), split="test")
    assert dataset.name.endswith("[even light, deslanted, 128x24]")
    assert dataset.image(0).shape == (24, 128) and np.ptp(dataset.image(0)) > 50
    for wrong, message in ((("--splits", "tset"), "unknown split 'tset'; known: train"),
                           (("--size", "128"), "--size is '128'; expected WxH"),
                           (("--size", "1²x32"), "--size is '1²x32'; expected WxH"),
                           (("--size", f"{'9' * 5000}x32"), "expected WxH"),
                           (("--size", "9x9", "--height", "9"), "not allowed with"),
                           (("--splits", "train", "--height", "4"), "at least 8")):
        _, err = run(*options, *wrong, status=2)
        assert message in err
    assert open_dataset("hdf5", path=str(file), split="test").texts() == dataset.texts()
