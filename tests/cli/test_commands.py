"""The real commands, as a user runs them."""

import argparse
import importlib.util
import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from lm.base.version import __version__
from ocr.cli.commands import COMMANDS
from ocr.cli.decoder_options import known_pipelines

from ..conftest import WORDS, write_table
from ..training.test_trainer import TINY_MODEL


def run(*arguments, module="ocr", cwd=None, status=0):
    """Run a command; returns (stdout, stderr) and checks the exit status."""
    done = subprocess.run([sys.executable, "-m", module, *map(str, arguments)], cwd=cwd,
                          capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with data, a trained tiny network, a word model and tuned decoder settings."""
    folder = tmp_path_factory.mktemp("cli")
    texts = [WORDS[i % len(WORDS)] for i in range(24)]
    train = write_table(folder, "train", texts)
    write_table(folder, "valid", ["le test", "la ligne", "un mot", "et petit"], seed=50)
    write_table(folder, "test", ["petit mot", "le texte", "une ligne", "abc"], seed=90)
    config = {"output": str(folder / "run"), "model": TINY_MODEL, "preprocess": {"height": 32},
              "augment": None,
              "data": {"source": "table", "train": {"path": str(train)},
                       "validation": {"path": str(folder / "valid.tsv")},
                       "test": {"path": str(folder / "test.tsv")}},
              "training": {"epochs": 12, "batch_size": 4, "learning_rate": 1e-2,
                           "warmup_steps": 5, "device": "cpu", "log_images": 0}}
    (folder / "config.yaml").write_text(json.dumps(config))
    out, err = run("train", "--config", folder / "config.yaml", "training.seed=2")
    assert out.startswith("best validation CER ") and "epoch 12/12" in err
    (folder / "corpus.txt").write_text("\n".join(texts) + "\n")
    run("train", folder / "corpus.txt", "--order", 2, "--output", folder / "words", module="lm")
    out, err = run("tune", "--checkpoint", folder / "run" / "best.ckpt", "--lm",
                   folder / "words", "--budget", 0.05)
    assert "beam-lm on" in out and "best.ckpt.decoder-beam-lm.json is written" in err
    return folder


def test_tuned_settings_lie_beside_the_checkpoint(trained):
    stored = json.loads((trained / "run" / "best.ckpt.decoder-beam-lm.json").read_text())
    assert stored["decoder"]["name"] == "beam-lm"
    assert not os.path.isabs(stored["decoder"]["settings"]["lm"])
    assert stored["tuned"]["split"] == "valid" and stored["tuned"]["lines"] == 4


def test_evaluate_prints_a_table_and_writes_a_report(trained):
    out, _ = run("evaluate", "--checkpoint", trained / "run" / "best.ckpt", "--output",
                 trained / "report")
    assert "split test: 4 lines" in out
    table, comparison = out.split("\n\n")
    assert [row.split()[0] for row in table.splitlines()[3:]] == ["greedy", "beam", "beam-lm"]
    assert comparison.startswith("against greedy")
    assert [row.split()[0] for row in comparison.splitlines()[2:]] == ["beam", "beam-lm"]
    report = json.loads((trained / "report" / "report.json").read_text())
    assert [s["name"] for s in report["systems"]] == ["greedy", "beam", "beam-lm"]
    assert (trained / "report" / "gallery.html").stat().st_size > 1000
    assert (trained / "report" / "gallery.png").stat().st_size > 1000
    # Other data, one decoder.
    out, _ = run("evaluate", "--checkpoint", trained / "run" / "best.ckpt", "--decoders", "greedy",
                 f"data.test.path={trained / 'train.tsv'}", "data.test.split=seen")
    assert "split seen: 24 lines" in out and "beam" not in out


def test_a_chain_from_the_command_line(trained):
    checkpoint = trained / "run" / "best.ckpt"
    run("train", trained / "corpus.txt", "--unit", "character", "--order", 3, "--output",
        trained / "characters", module="lm")
    out, err = run("tune", "--checkpoint", checkpoint, "--decoder", "beam-char", "--correct",
                   "spelling", "--lm", trained / "characters", "--set",
                   f"spelling.lexicon=[{trained / 'corpus.txt'}]", "--budget", 0.05,
                   "--max-lines", 3)
    assert out.startswith("beam-char+spelling on ") and ", 3 of 4 lines): " in out
    path = trained / "run" / "best.ckpt.decoder-beam-char+spelling.json"
    stored = json.loads(path.read_text())
    if stored["correctors"]:
        assert stored["correctors"][0]["settings"]["lexicon"] == ["../corpus.txt"]
    assert stored["calibration"].keys() == {"word_slope", "word_offset", "line_slope",
                                            "line_offset"}
    if stored["tuned"]["helps"]:
        assert stored["tuned"]["cer"] <= stored["tuned"]["greedy_cer"]
    (trained / "mine.yaml").write_text(
        "decoder: {name: beam-char, settings: {lm: characters, alpha: 0.4}}\n"
        "correctors: [{name: spelling, settings: {lexicon: [corpus.txt]}}]\n")
    out, _ = run("evaluate", "--checkpoint", checkpoint, "--decoders",
                 f"greedy,beam-char+spelling,{trained / 'mine.yaml'}",
                 "--calibration", "--output", trained / "chain")
    table = out.split("\n\n")[0].splitlines()
    assert [row.split()[0] for row in table[3:]] == ["greedy", "beam-char+spelling", "mine"]
    assert "ECE %" in out
    assert (trained / "chain" / "calibration-mine.html").stat().st_size > 1000
    out, _ = run("recognise", trained / "lines" / "train-001.png", "--checkpoint", checkpoint,
                 "--decoder", "beam", "--correct", "spelling", "--set",
                 f"spelling.lexicon=[{trained / 'corpus.txt'}]", "--hotwords", "mot", "ligne")
    assert len(out.splitlines()) == 1
    path.unlink()


def test_recognise(trained):
    image = trained / "lines" / "train-001.png"
    checkpoint = trained / "run" / "best.ckpt"
    out, _ = run("recognise", image, image, "--checkpoint", checkpoint, "--format", "tsv")
    _, *rows = [line.split("\t") for line in out.splitlines()]
    assert len(rows) == 2 and rows[0] == rows[1]
    assert rows[0][0] == str(image) and 0 <= float(rows[0][2]) <= 1
    out, _ = run("recognise", image, "--checkpoint", checkpoint, "--format", "json", "--decoder",
                 "beam", "--n-best", 3)
    [line] = [json.loads(row) for row in out.splitlines()]
    best = line["lines"][0]
    assert "".join(c["text"] for c in best["characters"]) == best["text"]
    assert " ".join(w["text"] for w in best["words"]) == best["text"]
    assert len(line["lines"]) == 1 and len(best["alternatives"]) <= 2


def test_options_from_yaml(trained):
    image = trained / "lines" / "train-001.png"
    (trained / "recognise.yaml").write_text(
        f"checkpoint: {trained / 'run' / 'best.ckpt'}\nsources: {image}\nn_best: 2\nformat: tsv\n"
        "decoder: beam\n")
    out, _ = run("recognise", "--config", trained / "recognise.yaml")
    assert 2 <= len(out.splitlines()) <= 3
    out, _ = run("recognise", "--config", trained / "recognise.yaml", "--n-best", 1)
    assert len(out.splitlines()) == 2
    (trained / "recognise.yaml").write_text("checkpint: x\n")
    _, err = run("recognise", "--config", trained / "recognise.yaml", status=2)
    assert "unknown setting 'checkpint' (did you mean 'checkpoint'?); known: alpha, " in err


def test_recognise_reads_what_it_can_and_fails(trained):
    image = trained / "lines" / "train-001.png"
    out, err = run("recognise", image, trained / "none.png", trained / "corpus.txt",
                   "--checkpoint", trained / "run" / "best.ckpt", "--decoder", "greedy", status=2)
    assert out.count("\n") == 1 and "none.png: no such image" in err
    assert "corpus.txt: not a readable image" in err


def test_denoising_data_of_unseen_splits(trained):
    out, _ = run("denoise-data", "--checkpoint", trained / "run" / "best.ckpt", "--splits",
                 "validation,test", "--output", trained / "typo", "--decoder", "beam",
                 "--n-best", 2)
    assert len(out.splitlines()) == 5
    rows = [json.loads(r) for r in (trained / "typo" / "test.jsonl").read_text().splitlines()]
    assert rows[0]["readings_of_training_lines"] == "none" and len(rows) == 5
    assert [r["truth"] for r in rows[1:]] == ["petit mot", "le texte", "une ligne", "abc"]
    assert all(r["trained_on"] is False and len(r["n_best"]) <= 2 for r in rows[1:])
    notebook = json.loads((trained / "typo" / "test.json").read_text())
    assert notebook == [[r["truth"], r["reading"]] for r in rows[1:]]
    assert (trained / "typo" / "text_train.txt").read_text().splitlines()[0] == WORDS[0]


def test_denoising_data_of_training_lines_must_be_honest(trained):
    checkpoint = trained / "run" / "best.ckpt"
    _, err = run("denoise-data", "--checkpoint", checkpoint, "--splits", "train", "--output",
                 trained / "seen", status=2)
    assert "use --folds" in err and not (trained / "seen").exists()
    run("denoise-data", "--checkpoint", checkpoint, "--splits", "train", "--output",
        trained / "seen", "--in-sample")
    header = json.loads((trained / "seen" / "train.jsonl").read_text().splitlines()[0])
    assert header["readings_of_training_lines"] == "in-sample"
    assert "trained on these very lines" in header["meaning"]


def test_denoising_data_by_folds(trained):
    command = ("denoise-data", "--config", trained / "config.yaml", "--folds", 2, "--output",
               trained / "folds", "training.epochs=1")
    run(*command)
    rows = [json.loads(r) for r in (trained / "folds" / "train.jsonl").read_text().splitlines()]
    assert rows[0]["readings_of_training_lines"] == "held-out (k-fold, k=2)"
    assert len(rows) == 25 and {r["fold"] for r in rows[1:]} == {1, 2}
    # Three writers: none is divided.
    writers = {}
    for row in rows[1:]:
        writers.setdefault(int(row["id"][-7:-4]) % 3, set()).add(row["fold"])
    assert all(len(folds) == 1 for folds in writers.values())
    # Again: the finished networks are taken as they are.
    before = (trained / "folds" / "fold-1" / "best.ckpt").stat().st_mtime_ns
    run(*command)
    assert (trained / "folds" / "fold-1" / "best.ckpt").stat().st_mtime_ns == before


def test_synth_writes_an_iam_folder(tmp_path):
    run("synth", tmp_path / "iam", "--forms", 5, "--lines-per-form", 2, "--writers", 4)
    assert (tmp_path / "iam" / "ascii" / "lines.txt").is_file()
    lines = (tmp_path / "iam" / "ascii" / "lines.txt").read_text().splitlines()
    assert sum(not line.startswith("#") for line in lines) == 10


def test_list():
    out, _ = run("list")
    assert "decoders: beam, beam-char, beam-lm, greedy" in out
    assert "correctors: char-rescore, denoise, spelling, word-rescore" in out
    assert "networks: base, captcha, densenet, flor, original, shixin, small" in out
    assert "data: alto, captcha, folder, hdf5, iam, index, page, synthetic, table" in out
    assert run("list", "shipped")[0].startswith("shipped: ")
    assert "finders: classical" in out
    out, _ = run("list", "decoders")
    assert [row for row in out.splitlines() if row and row[0] != " "] == [
        "beam", "beam-char", "beam-lm", "greedy"]
    assert "    beam_width = 50    int, at least 1 and at most 100000\n        Prefixes kept" in out


def test_what_is_missing_is_told(tmp_path):
    script = ("import sys\n"
              "sys.modules.update(dict.fromkeys(('mxnet', 'pyctcdecode', 'ctc_beam_decoder')))\n"
              "from ocr.cli.main import main\n"
              "sys.exit(main(sys.argv[1:]))")

    def without(*arguments):
        return subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True,
                              text=True, cwd=tmp_path)

    done = without("list")
    assert done.returncode == 0 and "shipped: english, french" in done.stdout
    assert "small (needs mxnet)" in done.stdout and "denoise (needs mxnet)" in done.stdout
    assert "decoders: beam (needs pyctcdecode or ctc_beam_decoder), beam-char," in done.stdout
    done = without("recognise", "x.png", "--decoder", "beam")
    assert done.returncode == 2 and done.stderr.count("\n") == 1


@pytest.mark.skipif(importlib.util.find_spec("ctc_beam_decoder") is None,
                    reason="ctc-beam-decoder is not installed")
def test_a_choice_of_engines_that_read_alike(trained):
    read = [run("recognise", trained / "lines", "--model", trained / "run" / "best.ckpt", "--lines",
                "one", "--decoder", "beam-lm", "--lm", trained / "words", "--format", "tsv",
                "--engine", engine)[0] for engine in ("pyctcdecode", "ctc-beam-decoder")]
    assert read[0] == read[1] and read[0].count("\n") > 24


def test_evaluate_adds_no_decoder_that_cannot_run(tmp_path, monkeypatch):
    arguments = argparse.Namespace(checkpoint=str(tmp_path / "m.ckpt"), decoder_settings=[])
    assert known_pipelines(arguments) == ["greedy", "beam"]
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec",
                        lambda name: None if "ctc" in name else found(name))
    assert known_pipelines(arguments) == ["greedy"]


def test_help():
    assert run("--help")[0] == run()[0] and run()[0].startswith("usage: ocr COMMAND")
    assert run("--version")[0] == f"ocr {__version__}\n"
    for command in COMMANDS:
        out, _ = run(command, "--help")
        assert out.startswith(f"usage: ocr {command} ") and "--config" in out
    assert run("recognize", "--help")[0].startswith("usage: ocr recognise ")


@pytest.mark.parametrize("arguments, message", [
    (["train", "--config", "none.yaml"],
     "none.yaml: neither a file of settings nor a recipe; recipes: copiste, "),
    (["train", "--config", "bad.yaml"],
     "unknown setting 'epochs' (did you mean 'training.epochs'?); known here: output"),
    (["train"], "the following arguments are required: --config"),
    (["trian"], "unknown command 'trian' (did you mean 'train'?); known: train, "),
    (["evaluate", "--checkpoint", "none.ckpt"], "none.ckpt: neither a model file nor a shipped"),
    (["evaluate", "--checkpoint", "bad.yaml"], "bad.yaml: not a checkpoint"),
    (["recognise", "x.png", "--checkpoint", "bad.yaml", "--decoder", "bem"],
     "unknown decoder 'bem'; known: beam, beam-char, beam-lm, greedy"),
    (["recognise", "x.png", "--checkpoint", "bad.yaml", "--n-best", "0"],
     "expected a whole number of at least 1, not '0'"),
    (["recognise", "x.png", "--checkpoint", "bad.yaml", "--correct", "spell"],
     "unknown corrector 'spell'; known: char-rescore, denoise, spelling, word-rescore"),
    (["tune", "--checkpoint", "bad.yaml", "--decoder", "beam+spelling", "--set", "lexicon=x"],
     "--set lexicon=x: expected NAME.KEY=VALUE"),
    (["tune", "--checkpoint", "bad.yaml", "--decoder", "beam+spelling", "--set", "denoise.x=1"],
     "--set denoise.x=1: no decoder or corrector in use has this setting; they have: beam.beam_"),
    (["recognise", "x.png", "--checkpoint", "bad.yaml", "--decoder", "beam", "--alpha", "1"],
     "--alpha: no decoder or corrector in use has this setting; they have: beam.beam_prune_logp"),
    (["recognise", "x.png", "--checkpoint", "bad.yaml", "--decoder", "beam-lm", "--alpha", "nan"],
     "beam-lm.alpha must be finite, not"),
    (["recognise", "x.png", "--checkpoint", "bad.yaml", "--decoder", "beam", "--beam-width",
      "9" * 30], "beam.beam_width: "),
    (["tune", "--checkpoint", "bad.yaml", "--lm", "x", "--budget", "nan"],
     "--budget must be a positive number of minutes, not nan"),
    (["tune", "--checkpoint", "bad.yaml", "--max-lines", "-5"],
     "expected a whole number of at least 1, not '-5'"),
    (["tune", "--checkpoint", "bad.yaml", "--output", "bad.yaml/x.json"],
     "bad.yaml/x.json: cannot be written (Not a directory); name another file with --output"),
    (["tune", "--checkpoint", "bad.yaml", "--decoder", "beam+spelling", "--set",
      "spelling.lex=x"], "unknown setting 'spelling.lex' (did you mean 'lexicon'?)"),
    (["evaluate", "--checkpoint", "bad.yaml", "--normalise", "qotes"],
     "unknown normalisation rule 'qotes'; known: "),
    (["evaluate", "--checkpoint", "bad.yaml", "--decoders", "bad.yaml"],
     "bad.yaml: not stored decoder settings (no 'decoder')"),
    (["average", "bad.yaml", "bad.yaml", "--output", "bad.yaml"],
     "--output bad.yaml: is one of the checkpoints to average"),
    (["denoise-data", "--output", "x"], "either --checkpoint, or --folds and --config"),
])
def test_errors_are_one_clear_line(tmp_path, arguments, message):
    (tmp_path / "bad.yaml").write_text("output: x\nepochs: 3\n")
    out, err = run(*arguments, cwd=tmp_path, status=2)
    assert out == "" and message in err and len(err.strip().splitlines()) == 1
    assert err.startswith("ocr")


def test_import_is_light():
    script = ("import sys, ocr, lm, ocr.cli.main, ocr.data, ocr.decoding, ocr.evaluation\n"
              "heavy = {'mxnet', 'matplotlib', 'kenlm', 'pyctcdecode', 'mxboard'}\n"
              "print(sorted(heavy & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          check=True)
    assert done.stdout.strip() == "[]"


def test_recombine_writes_lines_to_train_on(trained):
    checkpoint = trained / "run" / "best.ckpt"
    (trained / "texts.txt").write_text("texte de la ligne\nune fin\nQQ\n")
    folder = trained / "recombined"
    out, err = run("recombine", "--checkpoint", checkpoint, "--text", trained / "texts.txt",
                   "--output", folder, "--lines", 6, "--seed", 4, "--least-confidence", 0,
                   "--height", 40)
    assert "24 lines by 3 writers" in err and "6 lines" in err
    rows = (folder / "lines.tsv").read_text().splitlines()
    assert rows[0] == "file\twriter\ttext" and len(rows) == 7
    assert {row.split("\t")[2] for row in rows[1:]} <= {"texte de la ligne", "une fin"}
    with Image.open(folder / rows[1].split("\t")[0]) as image:
        assert image.height == 40
    out, err = run("train", "--config", trained / "config.yaml", f"output={trained / 'more'}",
                   f"data.train.path=[{trained / 'train.tsv'},{folder / 'lines.tsv'}]",
                   "training.epochs=1", f"training.initial_checkpoint={checkpoint}")
    assert "30 training lines" in err
    _, err = run("recombine", "--checkpoint", checkpoint, "--text", trained / "none.txt",
                 "--output", folder, status=2)
    assert "none.txt" in err


def test_average_writes_a_checkpoint_that_reads(trained):
    best, last = trained / "run" / "best.ckpt", trained / "run" / "last.ckpt"
    mean = trained / "mean.ckpt"
    _, err = run("average", best, last, "--output", mean)
    assert "mean of 2" in err
    out, _ = run("evaluate", "--checkpoint", mean, "--decoders", "greedy")
    assert "split test: 4 lines" in out
    _, err = run("average", best, trained / "none.ckpt", "--output", mean, status=2)
    assert "none.ckpt" in err


def test_an_exported_model_is_trained_on(trained):
    model, start, again = (trained / name for name in ("x.onnx", "start.ckpt", "again"))
    run("export", trained / "run" / "best.ckpt", "--onnx", model, "--decoder", "beam-lm")
    _, err = run("restore", "--model", model, "--output", start, "--lines", 8)
    assert "start.ckpt.decoder-beam-lm.json" in err
    image = trained / "lines" / "train-001.png"
    same = [run("recognise", image, "--model", path, "--format", "json")[0]
            for path in (model, start)]
    assert same[0] == same[1]
    scores = []
    for path in (trained / "run" / "best.ckpt", start):
        out, _ = run("evaluate", "--checkpoint", path, "--decoders", "greedy",
                     "--config", trained / "config.yaml")
        scores.append([row.split()[:4] for row in out.splitlines() if row.startswith("greedy")])
    assert scores[0] == scores[1] != []
    _, err = run("train", "--config", trained / "config.yaml", f"output={again}",
                 "training.epochs=1", f"training.initial_checkpoint={start}", f"alphabet={start}")
    assert "starting from" in err
    _, err = run("restore", "--model", trained / "run" / "best.ckpt", "--output", start, status=2)
    assert "best.ckpt" in err
