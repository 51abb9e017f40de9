"""How the command line ends when the system or the user stops it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ocr.cli.main import main
from ocr.recipes import list_recipes


def start(*arguments, module="ocr", **options):
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)], text=True, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.getcwd(), **options.pop("env", {})},
        # Tests that run in the background have it ignored, and hand that down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler), **options)


def end(process, status=2):
    """Return the one line that a command ends with."""
    _, err = process.communicate(timeout=120)
    assert process.returncode == status, err
    assert err.count("\n") == 1 and "Traceback" not in err, err
    return err


def test_output_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with open("/dev/full", "w") as full:
        for command in (["list"], ["settings"], ["train", "--help"]):
            assert "No space left on device" in end(start(*command, stdout=full))
    err = end(start("synth", tmp_path / "file" / "below"))
    assert err.startswith(f"ocr: error: {tmp_path / 'file'}")
    assert "File name too long" in end(start("synth", tmp_path / ("x" * 300)))
    below = end(start("train", "--config", "demo", f"output={tmp_path / 'file' / 'below'}",
                      "data.source=synthetic", "data.options={lines: 5}", "data.train={}",
                      "data.validation={}", "training.device=cpu"))
    assert str(tmp_path / "file") in below


def test_a_terminal_of_ascii_is_one_line(tmp_path):
    (tmp_path / "é.txt").write_text("a b\n")
    process = start("train", tmp_path / "é.txt", "--output", tmp_path / "é", "--order", "2",
                    module="lm", env={"PYTHONIOENCODING": "ascii"}, stdout=subprocess.PIPE)
    assert "cannot be written as ascii" in end(process)


def test_a_reader_that_has_enough_is_no_error():
    process = subprocess.run(f"{sys.executable} -m ocr settings | head -1", shell=True, text=True,
                             capture_output=True, env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert process.stdout.count("\n") == 1 and process.stderr == ""


TRAIN = ("train", "--config", "demo", "data.source=synthetic", "data.options={lines: 2000}",
         "data.train={}", "data.validation={}", "training.device=cpu")


@pytest.mark.parametrize("arguments, module", [
    (TRAIN, "lm.base.signals"), (TRAIN, "numpy.core.multiarray"), (TRAIN, "mxnet.base"),
    (("serve", "--port", "0"), "lm.base.signals"), (("serve", "--port", "0"), "argparse"),
    (("serve", "--port", "0"), "fastapi.params"),
    (("serve", "--port", "0"), "onnxruntime.capi._ld_preload")],
    ids=lambda value: value if isinstance(value, str) else value[0])
def test_ctrl_c_while_modules_are_imported(tmp_path, arguments, module):
    log = tmp_path / "imports"
    with open(log, "w") as told:
        process = subprocess.Popen(
            [sys.executable, "-X", "importtime", "-m", "ocr", *arguments], stderr=told, text=True,
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.getcwd()}, stdout=subprocess.DEVNULL,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
        # The command's own code has begun; what is before that is Python's.
        while not {module, "lm.base.signals"} <= {
                row.split("|")[-1].strip() for row in log.read_text().splitlines()}:
            assert process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.01)
        # Just behind it the handler is set.
        time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        status = process.wait(timeout=120)
    if " INFO serving " in log.read_text():
        # It had begun: an orderly end.
        assert status == 0 and " 0 lost" in log.read_text()
        return
    assert status == 130, log.read_text()[-2000:]
    # What is not of `-X importtime`; a training that had begun says that it is saved.
    own = [line for line in log.read_text().splitlines()
           if line.startswith("ocr: ") or "Traceback" in line or "rror" in line.split("|")[0]]
    assert len(own) == 1 and ("stopped" in own[0]), own


def test_every_recipe_is_read(tmp_path):
    from ocr.checkpoints.settings import read_experiment

    for name in list_recipes():
        assert read_experiment(name).output
    assert set(list_recipes()) >= {"copiste", "flor", "keras_captcha", "shixin", "printed", "iam",
                                   "demo", "hands"}


def test_settings_are_told_by_name(capsys):
    def settings(*arguments):
        main(["settings", *arguments])
        return "".join(capsys.readouterr())

    assert "training.epochs = 30    int, at least 1\n    Times" in settings()
    assert settings("training.epochs").count("\n") == 2
    assert settings("captcha").startswith("network captcha\n\nheight = 50    int, ")
    assert "\n\ndata source captcha\n\nsplit = train    one of train, " in settings("captcha")
    assert "\nhidden = [64, 192]" in settings("small")
    assert "\nhidden = [128, 256]" in settings("base")
    assert "\n\nrecipe flor\n\n# Flor's network" in settings("flor")
    assert "nothing to set" in settings("greedy") and "beam_width = " in settings("beam")
    assert "port = 8501" in settings("serve") and "hidden = 160" in settings("denoise-train")
    assert settings("trainin").startswith("ocr: error: nothing is called 'trainin' (did you mean")


def test_outputs_are_looked_at_before_the_work(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "model").write_text("no model")
    model, below = str(tmp_path / "model"), str(tmp_path / "file" / "below")
    for command in (("evaluate", "--model", model, "--output", below),
                    ("tune", "--model", model, "--decoder", "beam", "--output", below),
                    ("denoise-data", "--output", below),
                    ("average", "a", "--output", str(tmp_path)),
                    ("export", "none", "--onnx", str(tmp_path / ("x" * 300 + ".onnx"))),
                    ("restore", "--model", model, "--output", below)):
        assert main(list(command)) == 2
        err = capsys.readouterr().err
        assert "cannot be written" in err or "a folder; name a file" in err
        assert err.count("\n") == 1
