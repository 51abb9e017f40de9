import numpy as np
import pytest

from lm.base.errors import CheckpointError
from ocr.checkpoints.checkpoint import (
    Checkpoint,
    average_checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from ocr.text.alphabet import Alphabet


def stored(path):
    save_checkpoint(path, Checkpoint({"output": "x"}, Alphabet("abé"),
                                     {"layer.weight": np.ones((2, 3), np.float32)},
                                     {"epoch": 4}, {"adam/mean/w": np.zeros(3)}))
    return path


def test_round_trip(tmp_path):
    checkpoint = load_checkpoint(stored(tmp_path / "c.ckpt"))
    assert checkpoint.config == {"output": "x"} and checkpoint.state == {"epoch": 4}
    assert checkpoint.alphabet == Alphabet("abé")
    assert checkpoint.weights["layer.weight"].shape == (2, 3)
    assert list(checkpoint.arrays) == ["adam/mean/w"]
    assert [p.name for p in tmp_path.iterdir()] == ["c.ckpt"]


def test_truncated_missing_and_foreign_files(tmp_path):
    path = stored(tmp_path / "c.ckpt")
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match="c.ckpt: not a checkpoint, or cut short"):
            load_checkpoint(path)
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none.ckpt")
    with open(path, "wb") as out:
        np.savez(out, a=np.ones(3))
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load_checkpoint(path)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = stored(tmp_path / "c.ckpt")
    with pytest.raises(TypeError):
        save_checkpoint(path, Checkpoint({"bad": object()}, Alphabet("a"), {}))
    assert load_checkpoint(path).state == {"epoch": 4}
    assert [p.name for p in tmp_path.iterdir()] == ["c.ckpt"]


def one_of_several(path, value, config=None, alphabet="abé", name="layer.weight", shape=(2, 3)):
    config = {"model": {"name": "small"}, **(config or {})}
    save_checkpoint(path, Checkpoint(config, Alphabet(alphabet),
                                     {name: np.full(shape, value, np.float32)}, {"epoch": 4}))
    return str(path)


def test_the_average_of_checkpoints(tmp_path):
    paths = [one_of_several(tmp_path / f"{i}.ckpt", value, {"output": str(i)})
             for i, value in enumerate((1, 2, 6))]
    mean = average_checkpoints(paths)
    assert mean.config["output"] == "0" and mean.alphabet == Alphabet("abé")
    assert mean.state == {"averaged": paths} and mean.arrays == {}
    assert mean.weights["layer.weight"].dtype == np.float32
    np.testing.assert_array_equal(mean.weights["layer.weight"], np.full((2, 3), 3))


@pytest.mark.parametrize("other, message", [
    ({"alphabet": "ab"}, "its alphabet is not that of"),
    ({"config": {"model": {"name": "flor"}}}, "its settings of model"),
    ({"config": {"preprocess": {"height": 32}}}, "its settings of preprocess"),
    ({"name": "other.weight"}, "layer.weight is not as in"),
    ({"shape": (3, 3)}, "layer.weight is not as in"),
])
def test_only_one_networks_checkpoints_are_averaged(tmp_path, other, message):
    paths = [one_of_several(tmp_path / "a.ckpt", 1),
             one_of_several(tmp_path / "b.ckpt", 2, **other)]
    with pytest.raises(CheckpointError, match=f"b.ckpt: {message}"):
        average_checkpoints(paths)
    with pytest.raises(CheckpointError, match="at least two"):
        average_checkpoints(paths[:1])
