import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest
from PIL import Image

from lm.base.errors import CheckpointError, ConfigError, TrainingError
from lm.base.settings import from_mapping
from ocr.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from ocr.checkpoints.settings import ExperimentConfig, TrainingConfig
from ocr.recognition.network import Recogniser

TINY_MODEL = {"name": "small", "options": {
    "body_channels": 8, "body_blocks": 1, "scale_channels": [8], "scale_blocks": [1],
    "hidden": [8, 16], "layers": 1, "dropout": 0.2}}


def settings(table, output, **training):
    return {"output": str(output), "model": TINY_MODEL, "preprocess": {"height": 32},
            "data": {"source": "table", "train": {"path": str(table[0])},
                     "validation": {"path": str(table[1])}},
            "training": {"epochs": 2, "batch_size": 4, "learning_rate": 5e-3, "warmup_steps": 2,
                         "log_images": 2, "device": "cpu", **training}}


def run(mapping, resume=False):
    from ocr.training.trainer import train

    lines = []
    history = train(from_mapping(ExperimentConfig, mapping), resume, lines.append)
    return history, lines


def test_trains_logs_and_keeps_the_best(table, tmp_path):
    history, lines = run(settings(table, tmp_path / "run", epochs=8, learning_rate=1e-2))
    assert [entry["epoch"] for entry in history] == list(range(1, 9))
    assert history[-1]["train_loss"] < 0.8 * history[0]["train_loss"]
    best = min(history, key=lambda e: e["validation_cer"])
    checkpoint = load_checkpoint(str(tmp_path / "run" / "best.ckpt"))
    assert checkpoint.state["epoch"] == best["epoch"]
    assert checkpoint.state["best_cer"] == best["validation_cer"]
    assert json.loads((tmp_path / "run" / "history.json").read_text()) == history
    assert "16 training lines, 4 validation lines" in lines[0]
    assert any('" read for "le test"' in line for line in lines)
    for picture in ("curve.png", "samples.png"):
        with Image.open(tmp_path / "run" / picture) as image:
            assert min(image.size) > 60 and np.ptp(np.asarray(image)) > 100
    summary = (tmp_path / "run" / "summary.txt").read_text()
    assert "stem  " in summary and "1 x 8 x 16 x 400" in summary


def test_tensorboard_shows_what_is_logged(table, tmp_path):
    """By the command that is printed: mxboard and TensorBoard cannot live in one process."""
    history, lines = run(settings(table, tmp_path / "run", epochs=3, log_images=1))
    [command] = [line.split(": ")[1] for line in lines if line.startswith("to watch: ")]
    server = subprocess.Popen(
        [sys.executable, "-m", "tensorboard.main", *shlex.split(command)[1:], "--port", "0",
         "--load_fast", "false"], stderr=subprocess.PIPE, text=True, cwd=os.getcwd())
    try:
        while not (found := re.search(r"http://localhost:\d+/", server.stderr.readline())):
            assert server.poll() is None

        def ask(path):
            with urllib.request.urlopen(f"{found[0]}data/plugin/{path}", timeout=60) as answer:
                return json.load(answer)

        deadline = time.monotonic() + 60
        while len(tags := ask("scalars/tags")) < 3 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert {"train/learning_rate", "train/lines_per_second", "validation/cer",
                "validation/wer", "train/cer_of_shown_lines"} <= set(tags["."])
        assert {"validation/line_0", "train/line_0"} <= set(ask("images/tags")["."])
        assert set(ask("text/tags")["."]) == {"network"}
        # One chart: the same tag in two runs.
        for folder, key in (("loss/train", "train_loss"), ("loss/validation", "validation_loss")):
            [tag] = tags[folder]
            rows = ask(f"scalars/scalars?run={folder}&tag={tag}")
            assert [(step, value) for _, step, value in rows] == [
                (e["epoch"], pytest.approx(e[key], rel=1e-5)) for e in history]
        assert tags["loss/train"].keys() == tags["loss/validation"].keys() == {"loss"}
    finally:
        server.terminate()
        server.communicate()


def weights(folder):
    return load_checkpoint(str(folder / "last.ckpt")).weights


def test_resume_after_a_kill_gives_the_same_numbers(table, tmp_path):
    """Exactly: one run in peace; one killed in the middle of an epoch, and resumed."""
    whole, _ = run(settings(table, tmp_path / "whole", epochs=4))

    mapping = settings(table, tmp_path / "broken", epochs=4)
    config = tmp_path / "config.json"
    # YAML holds JSON.
    config.write_text(json.dumps(mapping))
    script = (
        "import sys, time; from ocr.training import trainer\n"
        "step = trainer.Trainer._step\n"
        "def slow(self, batch):\n"
        "    loss = step(self, batch); print('step', flush=True)\n"
        "    time.sleep(0.2); return loss\n"
        "trainer.Trainer._step = slow\n"
        "from ocr.cli.main import main; sys.exit(main(sys.argv[1:]))\n")
    command = [sys.executable, "-c", script, "train", "--config", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(6):
        # Epochs have 4 steps: the 6th lies inside the second.
        while process.stdout.readline().strip() != "step":
            assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert "go on with --resume" in errors and "Traceback" not in errors
    state = load_checkpoint(str(tmp_path / "broken" / "last.ckpt")).state
    assert state["epoch"] == 1 and 0 < state["batch"] < 4

    resumed, lines = run(mapping, resume=True)
    assert any("resuming at epoch 2" in line for line in lines)
    for a, b in zip(whole, resumed):
        a, b = ({k: v for k, v in e.items() if k != "lines_per_second"} for e in (a, b))
        assert a == b
    for name, value in weights(tmp_path / "whole").items():
        assert np.array_equal(value, weights(tmp_path / "broken")[name]), name


def test_resume_after_sigkill_goes_back_to_the_last_epoch(table, tmp_path):
    mapping = settings(table, tmp_path / "run", epochs=200, log_images=0)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(mapping))
    process = subprocess.Popen([sys.executable, "-m", "ocr", "train", "--config", str(config)],
                               stderr=subprocess.PIPE, text=True)
    while not process.stderr.readline().startswith("epoch 1/"):
        assert process.poll() is None
    time.sleep(0.3)
    process.kill()
    process.communicate()
    state = load_checkpoint(str(tmp_path / "run" / "last.ckpt")).state
    assert state["epoch"] >= 1
    assert not [p for p in os.listdir(tmp_path / "run") if p.endswith(".part")]


def test_resume_refuses_other_settings(table, tmp_path):
    run(settings(table, tmp_path / "run"))
    with pytest.raises(CheckpointError, match="settings differ: training.learning_rate"):
        run(settings(table, tmp_path / "run", learning_rate=1e-3), resume=True)
    with pytest.raises(TrainingError, match="is there already: resume it"):
        run(settings(table, tmp_path / "run"))
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        run(settings(table, tmp_path / "other"), resume=True)


def test_resume_takes_checkpoints_from_before_a_setting_was_known(table, tmp_path):
    mapping = settings(table, tmp_path / "run")
    history, _ = run(mapping)
    path = str(tmp_path / "run" / "last.ckpt")
    old = load_checkpoint(path)
    for section, name in (("preprocess", "binarise"), ("training", "ema"), ("data", "normalise")):
        del old.config[section][name]
    save_checkpoint(path, old)
    again, lines = run(mapping, resume=True)
    assert again == history and lines[0].startswith("resuming")


def test_nan_loss_stops_and_names_the_lines(table, tmp_path, monkeypatch):
    from ocr.training import trainer

    def poisoned(self, arrays):
        from ocr.base.backend import nd

        main, extra = original(self, arrays)
        return main + nd.array([float("nan")] + [0] * (len(main) - 1)), extra

    original = trainer.Trainer._losses
    monkeypatch.setattr(trainer.Trainer, "_losses", poisoned)
    with pytest.raises(TrainingError, match=r"loss is not finite .* lines/train-\d+.png;"):
        run(settings(table, tmp_path / "run"))


def test_infeasible_and_unknown_lines_are_listed(table, tmp_path):
    path = table[0]
    rows = path.read_text().splitlines()
    file, writer, _ = rows[1].split("\t")
    rows[1] = "\t".join([file, writer, "far too long a text for such a short line " * 3])
    rows[2] = rows[2] + "é"
    path.write_text("\n".join(rows) + "\n")
    mapping = settings(table, tmp_path / "run", epochs=1)
    mapping["alphabet"] = "ascii"
    _, lines = run(mapping)
    assert any("1 infeasible for CTC, 1 outside the alphabet" in line for line in lines)
    skipped = json.loads((tmp_path / "run" / "skipped.json").read_text())["train"]
    assert skipped["skipped"][0]["id"] == rows[2].split("\t")[0]
    assert "'é' (U+00E9)" in skipped["skipped"][0]["detail"]


def test_plateau_lowers_the_rate_after_as_many_validations_as_it_says(table, tmp_path):
    # The first validation is the best, for nothing changes.
    mapping = settings(table, tmp_path / "run", epochs=3, learning_rate=1e-30, ema=0.0,
                       schedule="plateau", plateau_patience=2, plateau_factor=0.25, log_images=0)
    run(mapping)
    state = load_checkpoint(str(tmp_path / "run" / "last.ckpt")).state
    assert state["plateau_scale"] == 0.25 and state["best_epoch"] == 1


def test_monitor_loss_and_weights_of_every_epoch(table, tmp_path):
    history, lines = run(settings(table, tmp_path / "run", epochs=4, monitor="loss",
                                  keep_epochs=True, log_images=0, learning_rate=2e-2))
    losses = [entry["validation_loss"] for entry in history]
    best = load_checkpoint(str(tmp_path / "run" / "best.ckpt"))
    assert best.state["epoch"] == 1 + losses.index(min(losses))
    kept = sorted(path.name for path in (tmp_path / "run").glob("epoch-*.ckpt"))
    assert kept == [f"epoch-{number:03d}.ckpt" for number in range(1, 5)]
    same = load_checkpoint(str(tmp_path / "run" / f"epoch-{best.state['epoch']:03d}.ckpt"))
    assert all(np.array_equal(same.weights[n], v) for n, v in best.weights.items())
    assert [" (best)" in line for line in lines if line.startswith("epoch")].count(True) >= 1


def test_validation_lines_without_the_monitored_figure_stop_the_training(table, tmp_path):
    path = table[1]
    rows = path.read_text().splitlines()
    path.write_text("\n".join(row + "é" if i else row for i, row in enumerate(rows)) + "\n",
                    encoding="utf-8")
    mapping = settings(table, tmp_path / "run", epochs=1, monitor="loss")
    with pytest.raises(TrainingError, match="the validation lines have no loss"):
        run(mapping)
    history, _ = run(settings(table, tmp_path / "cer", epochs=1))
    assert np.isnan(history[0]["validation_loss"]) and history[0]["validation_cer"] > 0


def test_lines_in_both_splits_are_warned_of(table, tmp_path):
    mapping = settings((table[0], table[0]), tmp_path / "run", epochs=1, log_images=0)
    with pytest.warns(UserWarning, match="16 of 16 lines for validation are lines for training"):
        run(mapping)


def test_going_on_tells_the_figure_before_and_keeps_what_it_starts_from(table, tmp_path):
    mapping = settings(table, tmp_path / "run", epochs=2)
    history, _ = run(mapping)
    own = tmp_path / "run" / "best.ckpt"
    before = own.read_bytes()
    (tmp_path / "run" / "last.ckpt").unlink()
    mapping["training"]["initial_checkpoint"] = str(own)
    with pytest.raises(TrainingError, match="best.ckpt is there already: resume it, or choose"):
        run(mapping)
    assert own.read_bytes() == before
    mapping["output"] = str(tmp_path / "next")
    _, lines = run(mapping)
    best = min(entry["validation_cer"] for entry in history)
    assert any(line.startswith(f"before the first epoch: validation CER {100 * best:.2f}%")
               for line in lines)
    start = load_checkpoint(str(tmp_path / "next" / "last.ckpt")).state["start"]
    assert start["validation_cer"] == best
    _, lines = run(mapping, resume=True)
    assert not any("before the first epoch" in line for line in lines)


def test_an_alphabet_that_grows_keeps_its_outputs(table, tmp_path):
    run(settings(table, tmp_path / "first", epochs=1))
    first = load_checkpoint(str(tmp_path / "first" / "best.ckpt"))
    rows = table[0].read_text().splitlines()
    table[0].write_text("\n".join([*rows[:-1], rows[-1] + " Zß"]) + "\n", encoding="utf-8")
    path = str(tmp_path / "first" / "best.ckpt")
    mapping = settings(table, tmp_path / "second", epochs=1, learning_rate=1e-30, ema=0.0,
                       initial_checkpoint=path)
    mapping["alphabet"] = f"{path}+data"
    _, lines = run(mapping)
    assert not any("outside the alphabet" in line for line in lines)
    second = load_checkpoint(str(tmp_path / "second" / "best.ckpt"))
    known = len(first.alphabet)
    assert second.alphabet.characters == (*first.alphabet.characters, "Z", "ß")
    for name in ("output.weight", "output.bias", "short.weight"):
        old, new = first.weights[name], second.weights[name]
        assert len(new) == len(old) + 2
        np.testing.assert_allclose(new[:known], old[:known], atol=1e-7)
        np.testing.assert_allclose(new[-1], old[-1], atol=1e-7)


def test_another_height_for_the_network_than_for_its_lines_is_one_line(table, tmp_path):
    mapping = settings(table, tmp_path / "run")
    mapping["model"] = {"name": "small", "options": {**TINY_MODEL["options"], "height": 64}}
    with pytest.raises(ConfigError, match="options.height is 64 and preprocess.height 32: a netw"):
        run(mapping)
    run(settings(table, tmp_path / "good", epochs=1))
    path = str(tmp_path / "good" / "best.ckpt")
    wrong = load_checkpoint(path)
    for options, said in (({"height": 64}, "options.height is 64"),
                          ({"body_blocks": 10 ** 7}, "body_blocks must be"),
                          ({"hidden": [8000, 8000]}, "encoders.* has shape")):
        wrong.config["model"]["options"] = {**TINY_MODEL["options"], **options}
        save_checkpoint(path, wrong)
        with pytest.raises(CheckpointError, match=f"best.ckpt: .*{said}"):
            Recogniser(path, "cpu")


def test_early_stopping_and_plateau(table, tmp_path):
    # A rate of almost nothing never improves on the first validation.
    history, _ = run(settings(table, tmp_path / "run", epochs=9, patience=2, learning_rate=1e-9,
                              schedule="plateau", ema=0.0))
    assert len(history) < 9


def test_streamed_lines_train_the_same(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "characters.txt").write_text("a\nb\n")
    rows = []
    for number in range(6):
        Image.fromarray(rng.integers(0, 255, (32, 96), np.uint8)).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png {' '.join(map(str, rng.integers(0, 2, 1 + 8 * number)))}\n")
    (tmp_path / "rows.txt").write_text("".join(rows))
    found = []
    for stream in (False, True):
        folder = tmp_path / f"stream-{stream}"
        mapping = settings(("", ""), folder, epochs=1)
        split = {"path": str(tmp_path / "rows.txt")}
        mapping["data"] = {"source": "index", "train": split, "validation": split, "options": {
            "characters": str(tmp_path / "characters.txt"), "stream": stream}}
        [entry], _ = run(mapping)
        found.append((entry["train_loss"], (folder / "skipped.json").read_text()))
        if stream:
            for name, value in weights(folder).items():
                np.testing.assert_array_equal(value, weights(tmp_path / "stream-False")[name])
    assert found[0] == found[1]
    # Of 33 and 41 characters; the line gives fewer frames.
    assert '"infeasible for CTC": ' in found[0][1]


def test_start_from_another_alphabet(table, tmp_path):
    run(settings(table, tmp_path / "first"))
    mapping = settings(table, tmp_path / "second", epochs=1,
                       initial_checkpoint=str(tmp_path / "first" / "best.ckpt"))
    mapping["alphabet"] = "ascii"
    _, lines = run(mapping)
    known = len(load_checkpoint(str(tmp_path / "first" / "best.ckpt")).alphabet)
    assert any(f"{known} of 95 characters known there" in line for line in lines)


def test_learning_rate_schedules():
    from ocr.training.optimiser import learning_rate_at

    cosine = TrainingConfig(learning_rate=1.0, warmup_steps=10, final_learning_rate=0.1)
    rates = [learning_rate_at(step, 110, cosine) for step in range(110)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == 1.0
    assert all(a >= b for a, b in zip(rates[10:], rates[11:]))
    assert rates[-1] == pytest.approx(0.1, abs=1e-3)
    plateau = TrainingConfig(learning_rate=1.0, warmup_steps=0, schedule="plateau",
                             final_learning_rate=0.1)
    assert learning_rate_at(5, 10, plateau, 0.3) == pytest.approx(0.3)
    assert learning_rate_at(5, 10, plateau, 0.01) == pytest.approx(0.1)


def test_a_batch_split_over_two_devices_trains_the_same(table, tmp_path, monkeypatch):
    """MXNet takes cpu(0) and cpu(1) for two devices: the code path of several GPUs."""
    from ocr.base.backend import mx
    from ocr.training import trainer

    def losses(name, contexts):
        monkeypatch.setattr(trainer, "devices", lambda spec: contexts)
        mapping = settings(table, tmp_path / name, epochs=1, log_images=0)
        # Dropout draws and batch statistics are each device's own.
        mapping["model"] = {"name": "small", "options": {**TINY_MODEL["options"], "dropout": 0.0}}
        history, _ = run(mapping)
        return history[0]

    one, two = losses("one", [mx.cpu(0)]), losses("two", [mx.cpu(0), mx.cpu(1)])
    assert two["train_loss"] == pytest.approx(one["train_loss"], rel=0.2)
    first, second = (weights(tmp_path / name) for name in ("one", "two"))
    moved = first["output.bias"] - second["output.bias"]
    assert np.abs(moved).max() < 0.02
    state = load_checkpoint(str(tmp_path / "two" / "last.ckpt"))
    assert any(name.startswith("adam/mean/") for name in state.arrays)
    resumed, _ = run({**settings(table, tmp_path / "two", epochs=1, log_images=0),
                      "model": {"name": "small", "options": {**TINY_MODEL["options"],
                                                             "dropout": 0.0}}}, resume=True)
    assert resumed[0] == two


def test_a_batch_smaller_than_the_number_of_devices(table, tmp_path, monkeypatch):
    from ocr.base.backend import mx
    from ocr.training import trainer

    monkeypatch.setattr(trainer, "devices", lambda spec: [mx.cpu(i) for i in range(3)])
    kept = []
    step = trainer.Trainer._step
    monkeypatch.setattr(trainer.Trainer, "_step",
                        lambda self, batch: kept.append((self, len(batch))) or step(self, batch))
    # 16 lines: batches of 5, 5, 5 and 1.
    history, _ = run(settings(table, tmp_path / "run", epochs=2, batch_size=5, log_images=0))
    assert sorted(size for _, size in kept) == [1, 1] + [5] * 6
    assert np.isfinite(history[1]["train_loss"])
    for name, parameter in kept[0][0].net._collect_params_with_prefix().items():
        first, *others = [value.asnumpy() for value in parameter.list_data()]
        # Running statistics are each device's own.
        if parameter.grad_req != "null":
            assert all(np.array_equal(first, other) for other in others), name


def test_start_from_what_fits_of_another_network(table, tmp_path):
    run(settings(table, tmp_path / "first", epochs=1))
    first = str(tmp_path / "first" / "best.ckpt")
    mapping = settings(table, tmp_path / "second", epochs=1, initial_checkpoint=first,
                       learning_rate=1e-9, ema=0.0)
    options = {**TINY_MODEL["options"], "hidden": [4, 16]}
    mapping["model"] = {"name": "small", "options": options}
    with pytest.raises(CheckpointError, match="has shape .* the network needs"):
        run(mapping)
    mapping["training"]["initial_partial"] = True
    _, lines = run(mapping)
    [said] = [line for line in lines if line.startswith("starting from")]
    assert "weights taken over, anew: encoders.0.0.ahead" in said and "output.weight" in said
    taken, before = weights(tmp_path / "second"), load_checkpoint(first).weights
    np.testing.assert_allclose(taken["stem.weight"], before["stem.weight"], atol=1e-5)
    assert taken["output.weight"].shape != before["output.weight"].shape
    mapping["model"] = {"name": "captcha"}
    mapping["output"] = str(tmp_path / "third")
    with pytest.raises(CheckpointError, match="another kind of network, only"):
        run(mapping)


def test_frozen_layers_stay_as_they_are(table, tmp_path):
    run(settings(table, tmp_path / "first", epochs=1))
    first = str(tmp_path / "first" / "best.ckpt")
    mapping = settings(table, tmp_path / "second", epochs=1, initial_checkpoint=first,
                       freeze=["stem", "stem_norm", "body"])
    run(mapping)
    before, after = load_checkpoint(first).weights, weights(tmp_path / "second")
    same = {name for name in before if np.array_equal(before[name], after[name])}
    assert same == {name for name in before if name.split(".")[0] in ("stem", "stem_norm", "body")}
    assert "body.0.norm1.running_mean" in same
    # Resuming meets the same layers.
    mapping["training"]["freeze"] = ["stem"]
    with pytest.raises(CheckpointError, match="the settings differ: training.freeze"):
        run(mapping, resume=True)


@pytest.mark.parametrize("freeze, message", [
    (["stem", "hat"], "no layer hat; known: body, body.0, body.0.conv1,.* stem_norm"),
    (["stem", "stem_norm", "body", "downsamplers", "encoders", "short", "output"],
     "nothing is left")])
def test_freezing_what_is_not_there_or_all_is_refused(table, tmp_path, freeze, message):
    with pytest.raises(TrainingError, match=message):
        run(settings(table, tmp_path / "run", freeze=freeze))
