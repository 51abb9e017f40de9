import pytest

from lm.arpa import check_arpa, read_unigrams, write_arpa
from lm.base.errors import LanguageModelError, MissingDataError
from lm.kneser_ney import estimate, index_sentences

from .reference import read_arpa


@pytest.fixture
def arpa(tmp_path):
    path = tmp_path / "model.arpa"
    write_arpa(path, estimate(*index_sentences([["a", "é", "\\end\\"], ["a", "a"]]), 3))
    return path


def test_counts_and_words(arpa):
    assert check_arpa(arpa) == [6, 6, 5]
    assert read_unigrams(arpa) == ["a", "é", "\\end\\"]


def test_what_is_written_is_read(arpa):
    model = read_arpa(arpa)
    assert model.order == 3
    assert list(map(len, model.ngrams)) == [6, 6, 5]
    assert "a é \\end\\" in model.ngrams[2]
    assert model.ngrams[0]["<s>"][0] == 0
    # Seen; backed off once; unknown.
    assert model.log_prob(["<s>", "a"], "é") == model.ngrams[2]["<s> a é"][0]
    assert model.log_prob(["é", "a"], "a") == pytest.approx(model.ngrams[1]["a a"][0])
    assert model.log_prob(["a"], "zebra") == pytest.approx(
        model.ngrams[0]["a"][1] + model.ngrams[0]["<unk>"][0])
    scores = list(model.full_scores("a zebra"))
    assert [(length, unknown) for _, length, unknown in scores] == [
        (2, False), (1, True), (1, False)]


def test_cut_off_anywhere_is_found(arpa, tmp_path):
    content = arpa.read_bytes()
    cut = tmp_path / "cut.arpa"
    end = content.index(b"\n\\end\\\n") + len(b"\n\\end\\")
    for size in range(end):
        cut.write_bytes(content[:size])
        with pytest.raises(LanguageModelError, match="cut.arpa"):
            check_arpa(cut)
    cut.write_bytes(content[:end])
    assert check_arpa(cut) == [6, 6, 5]


def test_cut_off_says_where(arpa, tmp_path):
    lines = arpa.read_text("utf-8").split("\n")
    start = lines.index("\\2-grams:")
    arpa.write_text("\n".join(lines[:start + 4]), "utf-8")
    with pytest.raises(LanguageModelError, match=r"truncated: .* after 3 2-grams of 6"):
        check_arpa(arpa)


def test_lost_line_and_strange_section(arpa):
    content = arpa.read_text("utf-8")
    lines = content.split("\n")
    del lines[lines.index("\\2-grams:") + 2]
    arpa.write_text("\n".join(lines), "utf-8")
    with pytest.raises(LanguageModelError, match="says it has 6 2-grams but holds 5"):
        check_arpa(arpa)
    arpa.write_text(content.replace("\\3-grams:", "\\4-grams:"), "utf-8")
    with pytest.raises(LanguageModelError, match=r"unexpected line after its 2-grams"):
        check_arpa(arpa)


@pytest.mark.parametrize("content, message", [
    (b"", "empty"), (b"hello\n", "not an ARPA file"), (b"\x1f\x8b\x08", "compressed"),
    (b"\\data\\\nngram 2=1\n", "bad line"), (b"\\data\\\nngram 1=x\n", "bad line"),
    (b"\\data\\\n\n", "names no n-grams"),
])
def test_other_files(tmp_path, content, message):
    path = tmp_path / "x.arpa"
    path.write_bytes(content)
    with pytest.raises(LanguageModelError, match=message):
        check_arpa(path)


def test_bad_figure_is_named(arpa):
    content = arpa.read_text("utf-8")
    line = next(line for line in content.split("\n") if "\t<s> a\t" in line)
    arpa.write_text(content.replace(line, "nought" + line), "utf-8")
    with pytest.raises(LanguageModelError, match="bad 2-gram line 'nought"):
        read_arpa(arpa)


def test_missing(tmp_path):
    with pytest.raises(MissingDataError, match="none.arpa"):
        check_arpa(tmp_path / "none.arpa")
    with pytest.raises(LanguageModelError, match="cannot be read"):
        check_arpa(tmp_path)
