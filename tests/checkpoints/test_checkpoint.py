import io
import json
import os
import zipfile

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


def rewritten(path, meta=None, compression=zipfile.ZIP_STORED, **members):
    """Copy a checkpoint with other settings or raw members; None takes one away."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    if meta is not None:
        values = json.loads(np.load(io.BytesIO(parts["meta.npy"])).tobytes())
        values = {k: v for k, v in {**values, **meta}.items() if v is not None}
        parts["meta.npy"] = array(np.frombuffer(json.dumps(values).encode(), np.uint8))
    parts.update(members)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def array(value, shape=None):
    """Return the bytes of an ``.npy`` file; `shape` is claimed instead of the true one."""
    out = io.BytesIO()
    np.save(out, value)
    content = out.getvalue()
    if shape is None:
        return content
    true, claimed = (f"{s}, }}".encode() for s in (value.shape, shape))
    return content.replace(true + b" " * (len(claimed) - len(true)), claimed)


@pytest.mark.parametrize("changes, message", [
    ({"meta": {"config": None}}, "its config is missing"),
    ({"meta": {"config": []}}, "its config is missing or no mapping"),
    ({"meta": {"alphabet": None}}, "its alphabet is missing"),
    ({"meta": {"alphabet": {"characters": "aa"}}}, "its alphabet: .*a"),
    ({"meta": {"state": None}}, "its state is missing"),
    ({"compression": zipfile.ZIP_DEFLATED}, "is compressed"),
    ({"weights/w.npy": array(np.zeros((2, 3)), (10 ** 6, 10 ** 6))}, "claims the shape"),
    ({"weights/w.npy": array(np.zeros((2, 3)))[:-8]}, "claims the shape"),
    ({"weights/w.npy": array(np.array([object()]))}, "holds objects"),
    ({"weights/w.npy": array(np.array([1, np.nan]))}, "no finite numbers"),
    ({"weights/w.npy": array(np.array([1j]))}, "complex128"),
    ({"weights/w.npy": array(np.array([True]))}, "bool"),
    ({"weights/w.npy": b"no array"}, "not a checkpoint, or cut short")])
def test_damage_is_told_in_one_line(tmp_path, changes, message):
    path = rewritten(stored(tmp_path / "c.ckpt"), **changes)
    with pytest.raises(CheckpointError, match=f"c.ckpt: .*{message}") as told:
        load_checkpoint(path)
    assert "\n" not in str(told.value)


def test_flipped_bytes_of_the_zip(tmp_path):
    path = stored(tmp_path / "c.ckpt")
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 0x21
        path.write_bytes(damaged)
        try:
            load_checkpoint(path)
        except CheckpointError as error:
            assert "c.ckpt: " in str(error)


def test_an_old_checkpoint_reads_lines_as_it_was_trained(tmp_path):
    save_checkpoint(tmp_path / "c.ckpt", Checkpoint({"preprocess": {"height": 32}},
                                                    Alphabet("ab"), {}))
    assert load_checkpoint(tmp_path / "c.ckpt").config["preprocess"] == {
        "height": 32, "cleaning": "none"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_no_checkpoint(tmp_path):
    os.mkfifo(tmp_path / "c.ckpt")
    with pytest.raises(CheckpointError, match="c.ckpt: is a pipe or a device"):
        load_checkpoint(tmp_path / "c.ckpt")


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
