import json
import os
import signal
import subprocess
import sys
import time

import pytest

from lm.cli import main

pytest.importorskip("kenlm")


@pytest.fixture
def run(environment, tmp_path):
    (tmp_path / "text.txt").write_text("the cat sat\nthe dog sat down\na cat sat\n")
    (tmp_path / "held.txt").write_text("a dog sat\nthe unicorn\n")
    environment = {**environment, "PATH": str(tmp_path / "tools")}

    def call(*arguments):
        return subprocess.run([sys.executable, "-m", "lm", *arguments], cwd=tmp_path,
                              env=environment, capture_output=True, text=True, timeout=60)
    return call


def assert_refused(result, *parts):
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("lm: error: ") and result.stderr.count("\n") == 1
    for part in parts:
        assert part in result.stderr


def test_train_then_perplexity(run, tmp_path):
    trained = run("train", "text.txt", "--order", "2", "--output", "out/m", "--heldout",
                  "held.txt")
    assert trained.returncode == 0 and trained.stderr == ""
    assert "out/m.ngram: order 2, words, builtin estimator" in trained.stdout
    assert "1 out of vocabulary (20.00%)" in trained.stdout
    assert sorted(os.listdir(tmp_path / "out")) == ["m.arpa", "m.json", "m.ngram",
                                                    "m.unigrams.txt"]
    measured = run("perplexity", "out/m", "held.txt")
    assert measured.returncode == 0 and measured.stderr == ""
    assert measured.stdout.strip() in trained.stdout
    report = json.loads(run("perplexity", "out/m.arpa", "held.txt", "--json").stdout)
    stored = json.loads((tmp_path / "out" / "m.json").read_text())["heldout"]
    assert report.pop("model") == "m.arpa"
    assert report == stored and report["oov"] == 1


def test_config_file_and_overrides(run, tmp_path):
    (tmp_path / "c.yaml").write_text(
        "corpus: text.txt\norder: 3\nunit: character\noutput: m\ndiscount_fallback: false\n"
        "heldout: [held.txt]\nfallback_discounts: [0.4, 0.8, 1.2]\n")
    result = run("train", "--config", "c.yaml", "--order", "2", "--discount-fallback", "--json")
    assert result.returncode == 0, result.stderr
    metadata = json.loads(result.stdout)
    assert (metadata["order"], metadata["unit"]) == (2, "character")
    assert metadata["options"]["discount_fallback"] is True
    assert metadata["options"]["fallback_discounts"] == [0.4, 0.8, 1.2]
    assert metadata["heldout"]["files"] == ["held.txt"]
    (tmp_path / "c.yaml").write_text("ordre: 3\n")
    assert_refused(run("train", "text.txt", "--output", "m", "--config", "c.yaml"), "'ordre'",
                   "known", "order", "fallback_discounts")
    (tmp_path / "c.yaml").write_text("order: three\n")
    assert_refused(run("train", "text.txt", "--output", "m", "--config", "c.yaml"), "order",
                   "three")


def test_word_forms_and_normalisation(run, tmp_path):
    (tmp_path / "fr.txt").write_text("L’été – là !\nl'ete 12\n", "utf-8")
    result = run("train", "fr.txt", "--unit", "wordform", "--order", "2", "--output", "m",
                 "--normalise", "quotes,accents")
    assert result.returncode == 0 and "wordforms" in result.stdout, result.stderr
    assert (tmp_path / "m.unigrams.txt").read_text().split() == ["00", "ete", "l", "la"]
    report = json.loads(run("perplexity", "m", "fr.txt", "--json").stdout)
    assert (report["tokens"], report["oov"]) == (6, 0)
    assert_refused(run("train", "fr.txt", "--output", "m", "--normalise", "quotes,points"),
                   "'points'", "known: accents, ")
    (tmp_path / "c.yaml").write_text("corpus: fr.txt\nnormalise: [dashes]\noutput: y\norder: 2\n")
    metadata = json.loads(run("train", "--config", "c.yaml", "--json").stdout)
    assert metadata["normalisation"] == ["NFC", "dashes"]


def test_lmplz_by_path(run, fake_lmplz, tmp_path):
    result = run("train", "text.txt", "--order", "2", "--output", "m", "--estimator", "lmplz",
                 "--lmplz", fake_lmplz())
    assert result.returncode == 0 and "lmplz estimator" in result.stdout
    # Also found on PATH, and a failure shows what it said.
    (tmp_path / "tools" / "lmplz").write_text(
        f"#!{sys.executable}\nimport sys\nsys.stdin.read()\nsys.exit('two\\nlines')\n")
    assert_refused(run("train", "text.txt", "--order", "2", "--output", "m"),
                   "lmplz failed with status 1: two / lines")


def test_errors_are_one_line(run, tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"ok\nnot \xe9\n")
    (tmp_path / "reserved.txt").write_text("ok\nan </s> inside\n")
    (tmp_path / "empty.txt").write_text("")
    output = ("--output", "m")
    assert_refused(run("train", "none.txt", *output), "none.txt: no such text file")
    assert_refused(run("train", "bad.txt", *output), "bad.txt, line 2: not UTF-8")
    assert_refused(run("train", "reserved.txt", *output), "reserved.txt, line 2", "'</s>'")
    assert_refused(run("train", "empty.txt", *output), "empty")
    assert_refused(run("train", "text.txt", "--order", "99", *output), "no n-gram of order 7")
    assert_refused(run("train", "text.txt", "--order", "6", "--unit", "word",
                       "--no-discount-fallback", *output), "discounts")
    assert_refused(run("train", "text.txt"), "'output' is missing")
    assert_refused(run("train", *output), "'corpus' is missing")
    assert_refused(run("train", "text.txt", "--order", "two", *output), "--order")
    assert_refused(run("trian"), "unknown command 'trian' (did you mean 'train'?)")
    assert_refused(run("perplexity", "none", "text.txt"), "none: no such language model")
    assert not [name for name in os.listdir(tmp_path) if name.startswith((".m", "m"))]


def test_reserved_words_may_be_skipped(run, tmp_path):
    (tmp_path / "reserved.txt").write_text("ok\nan </s> inside\n")
    result = run("train", "reserved.txt", "--order", "2", "--output", "m", "--reserved", "skip")
    assert result.returncode == 0 and "1 skipped" in result.stdout
    assert_refused(run("perplexity", "m", "reserved.txt"), "reserved.txt, line 2")
    assert run("perplexity", "m", "reserved.txt", "--reserved", "skip").returncode == 0


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["perplexity", "--help"],
                                       ["mix", "--help"], ["sample", "--help"]])
def test_help(arguments, capsys):
    assert main(arguments) == 0
    assert "usage: lm" in capsys.readouterr().out


def test_ctrl_c(environment, script, tmp_path):
    ready = tmp_path / "ready"
    slow = script("lmplz", f"import time; open({str(ready)!r}, 'w'); time.sleep(60)")
    (tmp_path / "text.txt").write_text("a b\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "lm", "train", "text.txt", "--output", "m", "--lmplz", slow],
        cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True,
        # Tests that run in the background have it ignored, and hand that down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    while not ready.exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "lm: stopped\n"
    assert sorted(os.listdir(tmp_path)) == ["ready", "text.txt", "tools"]


def test_import_is_light(environment):
    code = ("import sys, lm, lm.cli; "
            "print([m for m in ('mxnet', 'numpy', 'kenlm', 'yaml') if m in sys.modules]); "
            "import lm.ngram; print('mxnet' in sys.modules); print(lm.load_ngram.__name__)")
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True,
                            text=True)
    assert result.stdout.split("\n")[:3] == ["[]", "False", "load_ngram"], result.stderr


def test_pack(run, tmp_path):
    assert run("train", "text.txt", "--output", "m", "--no-packed").returncode == 0
    assert not (tmp_path / "m.ngram").exists()
    packed = run("pack", "m", "--quantise", "8")
    assert packed.returncode == 0, packed.stderr
    assert packed.stdout.startswith("m.ngram: order 3, 9 words, ")
    (tmp_path / "keep.txt").write_text("the\ncat\nsat\n")
    assert run("pack", "m.arpa", "--keep", "keep.txt", "--output", "k.ngram").returncode == 0
    (tmp_path / "the.txt").write_text("the cat sat\n")
    reports = [json.loads(run("perplexity", name, "the.txt", "--json").stdout)["perplexity"]
               for name in ("m.arpa", "m.ngram", "k.ngram")]
    assert reports[0] == pytest.approx(reports[1], rel=0.02)
    assert reports[0] == pytest.approx(reports[2], rel=1e-6)
    assert_refused(run("pack", "none"), "none: no such ARPA file")
    assert_refused(run("pack", "m", "--output", "m.arpa"), "would take the place")
    assert_refused(run("pack", "m", "--quantise", "9"), "2 to 8 bits, not 9")


def test_no_command_eats_its_input(run, tmp_path):
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("{}\n")
    assert_refused(run("confusions", "pairs.jsonl", "--output", "pairs.jsonl"),
                   "would take the place")
    assert pairs.read_text() == "{}\n"
    (tmp_path / "onto.arpa").write_text("the cat sat\n")
    assert_refused(run("train", "onto.arpa", "--output", "onto"), "would take the place")
    assert (tmp_path / "onto.arpa").read_text() == "the cat sat\n"


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero"])
def test_a_corpus_that_never_ends(run, tmp_path, kind):
    if kind == "pipe":
        os.mkfifo(tmp_path / "pipe")
    assert_refused(run("train", kind, "--output", "m"), f"{kind}: is a pipe or a device")
    assert_refused(run("train", "text.txt", "--heldout", kind, "--output", "m"), "is a pipe")
