import shutil

import numpy as np
import pytest

from lm.arpa import write_arpa
from lm.base.errors import ConfigError, LanguageModelError
from lm.kneser_ney import estimate, index_sentences
from lm.lmplz import find_tool, run_build_binary, run_lmplz

from .reference import read_arpa

SENTENCES = [["a", "é"], [], ["a"]]


def test_the_corpus_is_streamed_and_the_options_are_handed_on(fake_lmplz, tmp_path):
    arpa = tmp_path / "out.arpa"
    fallen = run_lmplz(fake_lmplz(), iter(SENTENCES), str(arpa), 3, fallback=(0.5, 1.0, 1.5),
                       prune=(0, 1), memory="64M")
    assert fallen == (1,)
    arguments, *text = (tmp_path / "lmplz.log").read_text("utf-8").split("\n")
    assert arguments == ("-o 3 -S 64M --interpolate_unigrams 1 --prune 0 1 "
                         "--discount_fallback 0.5 1.0 1.5")
    assert text == ["a é", "", "a", ""]
    assert read_arpa(arpa).order == 2


def test_options_that_are_off(fake_lmplz, tmp_path):
    run_lmplz(fake_lmplz(), SENTENCES, str(tmp_path / "out.arpa"), 2, interpolate_unigrams=False)
    arguments = (tmp_path / "lmplz.log").read_text("utf-8").split("\n")[0]
    assert arguments == "-o 2 -S 1G --interpolate_unigrams 0"


# Far more than a pipe holds, so that writing meets the closed end.
LONG = [["word"] * 1000] * 1000


@pytest.mark.parametrize("body, message", [
    ("import sys; print('bad\\nluck', file=sys.stderr); sys.exit(3)",
     "lmplz failed with status 3: bad / luck"),
    ("import os; os.abort()", "lmplz was ended by signal 6: it printed no reason"),
    ("pass", "left before the end of the corpus"),
])
def test_failure_of_lmplz(script, tmp_path, body, message):
    with pytest.raises(LanguageModelError, match=message):
        run_lmplz(script("lmplz", body), LONG, str(tmp_path / "out.arpa"), 2)


def test_an_error_in_the_corpus_goes_through_and_ends_lmplz(script, tmp_path):
    def sentences():
        yield ["a"]
        raise LanguageModelError("line 2 is bad")

    mark = tmp_path / "finished"
    program = script("lmplz", f"import sys; sys.stdin.read(); open({str(mark)!r}, 'w')")
    with pytest.raises(LanguageModelError, match="line 2 is bad"):
        run_lmplz(program, sentences(), str(tmp_path / "out.arpa"), 2)
    assert not mark.exists()


def test_infinities_are_written_as_kenlm_reads_them(fake_lmplz, tmp_path):
    arpa = tmp_path / "out.arpa"
    text = ("\\data\\\nngram 1=2\n\n\\1-grams:\n-inf\t-inf\t-inf\n-1\tx\t-inf\n\n\\end\\\n")
    run_lmplz(fake_lmplz(text), SENTENCES, str(arpa), 1)
    assert "-99\t-inf\t-99\n-1\tx\t-99\n" in arpa.read_text("utf-8")


def test_build_binary(script, tmp_path):
    program = script("build_binary", "import sys; kind, arpa, out = sys.argv[1:]\n"
                                     "open(out, 'w').write(kind + open(arpa).read())")
    (tmp_path / "in").write_text("model")
    out = tmp_path / "out"
    run_build_binary(program, "trie", str(tmp_path / "in"), str(out))
    assert out.read_text() == "triemodel"
    program = script("build_binary", "import sys\n"
                                     "open(sys.argv[-1], 'w').write(str(sys.argv[1:-2]))")
    run_build_binary(program, "trie", str(tmp_path / "in"), str(out), quantise=8)
    assert out.read_text() == "['-q', '8', '-b', '8', '-a', '255', 'trie']"
    out.write_text("")
    with pytest.raises(LanguageModelError, match="wrote nothing"):
        run_build_binary(script("build_binary", "pass"), "trie", "in", str(out))
    with pytest.raises(LanguageModelError, match="build_binary failed with status 1: no such"):
        run_build_binary(script("build_binary", "raise SystemExit('no such')"), "trie", "in",
                         str(out))


def test_finding_tools(script, tmp_path, monkeypatch):
    path = script("lmplz", "pass")
    assert find_tool("lmplz", path) == path
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert find_tool("lmplz") is None
    monkeypatch.setenv("PATH", str(tmp_path / "tools"))
    assert find_tool("lmplz") == path
    with pytest.raises(ConfigError, match="no such program"):
        find_tool("lmplz", str(tmp_path / "none"))
    (tmp_path / "plain").write_text("")
    with pytest.raises(ConfigError, match="not executable"):
        find_tool("lmplz", str(tmp_path / "plain"))


def test_a_program_that_cannot_start(tmp_path, script):
    broken = tmp_path / "lmplz"
    broken.write_bytes(b"\x7fnot a program")
    broken.chmod(0o755)
    with pytest.raises(LanguageModelError, match="cannot be started"):
        run_lmplz(str(broken), SENTENCES, str(tmp_path / "out.arpa"), 2)


@pytest.mark.skipif(shutil.which("lmplz") is None, reason="lmplz is not on PATH")
def test_the_real_lmplz_agrees_with_ours(tmp_path):
    sentences = [["a", "b", "c"], ["b", "a"], [], ["é", "a", "b"]]
    fallback = (0.5, 1.0, 1.5)
    theirs, ours = tmp_path / "theirs.arpa", tmp_path / "ours.arpa"
    fallen = run_lmplz("lmplz", sentences, str(theirs), 3, fallback, memory="64M")
    model = estimate(*index_sentences(sentences), 3, fallback)
    write_arpa(ours, model)
    assert fallen == model.fallback_orders
    for mine, printed in zip(read_arpa(ours).ngrams, read_arpa(theirs).ngrams):
        assert mine.keys() == printed.keys()
        np.testing.assert_allclose([mine[key] for key in printed], list(printed.values()),
                                   atol=1e-5)
