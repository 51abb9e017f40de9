"""docs/extending.md: its package is installed as it stands there, and run by the real commands."""

import ast
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KINDS = ("network", "decoder", "corrector", "source", "finder", "format")


def blocks():
    """The document's files: name -> content."""
    with open(os.path.join(ROOT, "docs", "extending.md"), encoding="utf-8") as source:
        text = source.read()
    files = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", text, re.DOTALL))
    [setup] = re.findall(r"^    # setup.cfg\n((?:(?:    .*)?\n)*)", text, re.MULTILINE)
    return {**files, "setup.cfg": re.sub(r"^    ", "", setup, flags=re.MULTILINE),
            "setup.py": "from setuptools import setup\nsetup()\n", "ocr_extras/__init__.py": ""}


def code_lines(text):
    """How many lines of code there are, without docstrings, comments and blank lines."""
    tree = ast.parse(text)
    told = {number for node in ast.walk(tree)
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node)
            for number in range(node.body[0].lineno, node.body[0].end_lineno + 1)}
    return sum(bool(line.strip()) and not line.strip().startswith("#") and number not in told
               for number, line in enumerate(text.splitlines(), 1))


def test_each_takes_less_than_25_lines():
    counts = {name: code_lines(text) for name, text in blocks().items() if "extras/" in name}
    assert counts.keys() == {f"ocr_extras/{kind}.py" for kind in KINDS} | {
        "ocr_extras/__init__.py"}
    assert max(counts.values()) < 25, counts


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the package installed."""
    folder = tmp_path_factory.mktemp("package")
    for name, text in blocks().items():
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "source" / name).write_text(text, encoding="utf-8")
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index",
                    "--no-build-isolation", "--target", str(folder / "site"),
                    str(folder / "source")], check=True)
    return str(folder / "site")


@pytest.fixture(scope="module")
def run(site, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")

    def call(*arguments, status=0):
        done = subprocess.run([sys.executable, "-m", "ocr", *map(str, arguments)], cwd=folder,
                              capture_output=True, text=True,
                              env={**os.environ, "PYTHONPATH": os.pathsep.join((site, ROOT))})
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout, done.stderr

    call.folder = folder
    return call


@pytest.fixture(scope="module")
def trained(run):
    config = {"output": "run", "model": {"name": "columns",
                                          "options": {"units": 8}},
              "preprocess": {"height": 32, "scaling": "original"},
              "data": {"source": "words", "options": {"words": ["oui", "non"]},
                       "train": {"times": 6}},
              "training": {"epochs": 1, "batch_size": 4, "device": "cpu", "log_images": 0}}
    (run.folder / "config.yaml").write_text(json.dumps(config))
    run("train", "--config", "config.yaml")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 160), np.uint8)).save(
        run.folder / "page.png")
    return "run/best.ckpt"


def test_they_are_listed_with_their_settings(run):
    out, _ = run("list")
    rows = dict(row.split(": ", 1) for row in out.splitlines())
    assert "columns" in rows["networks"] and "closed" in rows["decoders"]
    assert "substitute" in rows["correctors"] and "words" in rows["data"]
    assert "bands" in rows["finders"] and "markdown" in rows["formats"]
    out, _ = run("list", "networks", "decoders", "correctors", "data", "finders", "formats")
    for told in ("Of the dense layer.", "All that a line may say.", "What is replaced, and by",
                 "How often each comes.", "Lines of every page.", "What stands before each"):
        assert told in out
    assert "unsure = 1    float, at least 0 and at most 1" in run("settings", "closed")[0]
    assert "--unsure" in run("recognise", "--help")[0]


def test_they_work_together(run, trained):
    read = ("recognise", "page.png", "--checkpoint", trained, "--lines", "find", "--finder",
            "bands", "--set", "bands.rows=3", "--decoder", "closed")
    out, _ = run(*read, "--answers", "oui", "peut-etre", "--format", "markdown", "--set",
                 "markdown.bullet=+")
    title, _, *lines = out.splitlines()
    assert title == "# page.png" and len(lines) == 3
    assert set(lines) <= {"+ oui", "+ peut-etre"}
    out, _ = run(*read, "--correct", "substitute", "--set", "substitute.read=n", "--set",
                 "substitute.meant=m", "--answers", "nonne", "--format", "text")
    assert out == "momme\n" * 3


def test_they_are_tuned_evaluated_and_stored(run, trained):
    out, err = run("tune", "--checkpoint", trained, "--decoder", "closed", "--budget", 0.05)
    assert out.startswith("closed on words") and "best.ckpt.decoder-closed.json is written" in err
    stored = json.loads((run.folder / "run" / "best.ckpt.decoder-closed.json").read_text())
    assert stored["decoder"]["settings"]["answers"] == ["oui", "non"]
    (run.folder / "mine.yaml").write_text(
        "decoder: {name: closed, settings: {unsure: 0.5}}\n"
        "correctors: [{name: substitute, settings: {read: o, meant: a}}]\n")
    out, _ = run("evaluate", "--checkpoint", trained, "--decoders",
                 "closed,closed+substitute,mine.yaml", "--split", "validation")
    assert [row.split()[0] for row in out.split("\n\n")[0].splitlines()[3:]] == [
        "closed", "closed+substitute", "mine"]


@pytest.mark.parametrize("arguments, message", [
    (["recognise", "page.png", "--decoder", "closed", "--unsure", "2"],
     "closed.unsure must be at least 0 and at most 1, not 2"),
    (["recognise", "page.png", "--finder", "bands", "--set", "bands.rows=0"],
     "bands.rows must be at least 1"),
    (["recognise", "page.png", "--format", "markdown", "--set", "markdown.bulet=x"],
     "unknown setting 'markdown.bulet' (did you mean 'bullet'?)"),
    (["train", "--config", "config.yaml", "output=other",
      "model.options.unit=3"], "unknown setting 'model.unit'")])
def test_wrong_settings_of_theirs_are_one_line(run, trained, arguments, message):
    arguments = [*arguments, *(["--checkpoint", trained] if arguments[0] == "recognise" else [])]
    _, err = run(*arguments, status=2)
    assert message in err.splitlines()[-1]
