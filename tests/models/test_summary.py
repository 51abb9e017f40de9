import subprocess
import sys

import pytest

from lm.base.errors import CheckpointError, UnknownNameError
from ocr.checkpoints.checkpoint import Checkpoint, save_checkpoint
from ocr.checkpoints.shipped import model_path
from ocr.models import get_model, list_models
from ocr.models.summary import summarise, summarise_model
from ocr.text.alphabet import Alphabet


@pytest.mark.parametrize("name", list_models())
def test_every_network_is_told_layer_by_layer(name):
    net = get_model(name, 11)
    net.initialize()
    table = summarise(net, 100)
    *rows, total = [line.split() for line in table.splitlines()[1:]]
    counted = sum(int(row[-1].replace(",", "")) for row in rows)
    assert total[0] == f"{counted:,}" and "of 11 classes" in table
    names = {row[0] for row in rows}
    # The names under which checkpoints hold the weights.
    assert {n.rpartition(".")[0].replace("._unfused.0", "")
            for n in net._collect_params_with_prefix()} == names
    assert not any("-" == row[2] for row in rows)


def test_shapes():
    net = get_model("small", 11)
    net.initialize()
    rows = {line.split()[0]: line for line in summarise(net, 795).splitlines()}
    assert "1 x 32 x 32 x 400" in rows["stem"]
    assert "gives 100 frames" in summarise(net, 795)


def test_of_files(tmp_path):
    table = summarise_model(model_path("french"))
    assert "encoders.1.1.back" in table and "64 x 800 pixels gives 200 frames" in table
    path = str(tmp_path / "own.ckpt")
    save_checkpoint(path, Checkpoint({"output": "", "model": {"name": "captcha"},
                                      "preprocess": {"height": 50}}, Alphabet("abc"), {}))
    command = [sys.executable, "-m", "ocr", "summary", path, "--output", str(tmp_path / "own.txt")]
    subprocess.run(command, check=True)
    assert (tmp_path / "own.txt").read_text() == summarise_model(path) + "\n"
    assert "of 4 classes" in summarise_model(path)
    save_checkpoint(path, Checkpoint({"output": "", "model": {"name": "captchas"}},
                                     Alphabet("abc"), {}))
    with pytest.raises(UnknownNameError, match="unknown network 'captchas'"):
        summarise_model(path)
    with pytest.raises(CheckpointError, match="no such"):
        summarise_model(str(tmp_path / "none.ckpt"))
