"""The shipped models themselves: size, cards, and that they read."""

import os
import re

import pytest

from ocr.checkpoints.metadata import read_settings
from ocr.checkpoints.shipped import list_shipped, model_path
from ocr.cli.main import main
from ocr.data import open_dataset
from ocr.recognition import recognise
from ocr.recognition.readings import LOW_CONFIDENCE
from ocr.recognition.tuned import pipeline_of
from ocr.text.metrics import TextMetric

FOLDER = os.path.dirname(model_path())
TEXTS = {"english": ["We hold these truths", "the people of this nation", "In the year 1789"],
         "french": ["Je comprends que mon texte", "une maison de la rue", "Le 12 mars 1974"]}


def test_what_is_shipped_fits_the_promise():
    files = [os.path.join(folder, name) for folder, _, names in os.walk(FOLDER) for name in names]
    assert sum(map(os.path.getsize, files)) < 20e6
    assert list_shipped() == sorted(TEXTS)
    for name in TEXTS:
        assert os.path.exists(os.path.join(FOLDER, f"{name}.md"))
        decoder = read_settings(model_path(name))["pipeline"]["decoder"]
        assert not any(os.path.isabs(decoder[key]) for key in ("lm", "words"))


def test_cards_formats_and_help_say_the_threshold_that_is_used(capsys):
    threshold = re.escape(str(LOW_CONFIDENCE))
    cards = [os.path.join(FOLDER, f"{name}.md") for name in TEXTS]
    for path in (*cards, "docs/formats.md"):
        with open(path, encoding="utf-8") as source:
            text = " ".join(source.read().split())
        assert re.search(rf"[Ll]ines below (a confidence of )?{threshold} are flagged", text), path
    assert main(["recognise", "--help"]) == 0
    assert re.search(rf"flag lines below this confidence \(default: {threshold}\)",
                     " ".join(capsys.readouterr().out.split()))


@pytest.mark.parametrize("decoder, worst", [("greedy", 14), (None, 9)])
def test_the_french_one_reads_real_handwriting(decoder, worst):
    """Six lines of as many writers, 250 characters in all (see their README)."""
    folder = os.path.join(os.path.dirname(os.path.dirname(__file__)), "data", "real_lines")
    lines = open_dataset("table", path=os.path.join(folder, "lines.tsv"))
    assert len(lines) == 6
    metric = TextMetric()
    for index, truth in enumerate(lines.texts()):
        metric.update(truth, recognise(lines.image(index), "french", decoder, lines="one").text)
    summary = metric.summary(bootstrap=0)
    assert summary.cer * sum(map(len, lines.texts())) <= worst + 0.5


@pytest.mark.parametrize("decoder", ["greedy", None])
@pytest.mark.parametrize("name", sorted(TEXTS))
def test_they_read_lines_drawn_here(name, decoder, tmp_path):
    (tmp_path / "text.txt").write_text("\n".join(10 * TEXTS[name]), encoding="utf-8")
    lines = open_dataset("synthetic", split="test", lines=6, writers=3, seed=11, fonts="hershey",
                         text_file=str(tmp_path / "text.txt"), height=60)
    if decoder is None:
        assert pipeline_of(model_path(name)).name == "beam-char"
    metric = TextMetric()
    for index, truth in enumerate(lines.texts()):
        metric.update(truth, recognise(lines.image(index), name, decoder, lines="one").text)
    assert metric.summary(bootstrap=0).cer < 0.15
