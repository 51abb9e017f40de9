import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.base.errors import ConfigError, DataError, MissingDataError
from lm.sampling import LARGEST_SHARE, SamplingConfig, read_frequencies, sample_text, word_counts


@pytest.fixture
def words(tmp_path):
    """3000 words, of which two are as common as articles."""
    path = tmp_path / "words.tsv"
    rows = ["le\t900000", "Été\t500000"] + [f"mot{i}\t{1 + 5000 / (i + 1):.3f}"
                                             for i in range(2998)]
    path.write_text("\n".join(rows) + "\n\n", "utf-8")
    return path


@given(st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=800), st.integers(1, 5000))
def test_counts(frequencies, tokens):
    counts = word_counts(frequencies, tokens)
    assert counts.sum() == tokens
    size = len(frequencies)
    if tokens <= size:
        assert set(counts) <= {0, 1}
        assert min(np.array(frequencies)[counts == 1]) >= max(
            np.array(frequencies)[counts == 0], default=0)
        return
    assert counts.min() >= 1
    assert counts.max() <= max(LARGEST_SHARE * tokens, -(-tokens // size))
    # The more frequent, the more often, but for rounding.
    ordered = counts[np.argsort(frequencies)]
    assert (np.maximum.accumulate(ordered) - ordered).max() <= 1


def test_counts_are_in_proportion_between_the_limits():
    frequencies = np.array([3.0] * 500 + [1.0] * 500 + [1e-9])
    counts = word_counts(frequencies, 100_001)
    assert set(counts[:500]) == {150} and set(counts[500:1000]) == {50} and counts[1000] == 1


def test_text(words, tmp_path):
    config = SamplingConfig(words, tmp_path / "text.txt", tokens=20_000, capitals=0.3,
                            line_words=7)
    told = sample_text(config)
    assert told == {"words": 3000, "used": 3000, "tokens": 20_000, "lines": 2858}
    lines = (tmp_path / "text.txt").read_text("utf-8").split("\n")
    assert lines.pop() == "" and len(lines) == 2858
    assert {len(line.split()) for line in lines[:-1]} == {7}
    tokens = " ".join(lines).split()
    plain = Counter(token.lower() for token in tokens)
    assert plain["le"] == plain["été"] == 40 and len(plain) == 3000
    assert plain["mot100"] > plain["mot500"] > plain["mot2500"] > 0
    share = sum(token[0].isupper() for token in tokens if token not in ("Été", "été")) / 20_000
    assert share == pytest.approx(0.3, abs=0.02)
    # In random order: the common words do not stand together.
    places = [i for i, token in enumerate(tokens) if token.lower() == "le"]
    assert max(places) - min(places) > 10_000


def test_the_seed_decides(words, tmp_path):
    def text(**settings):
        sample_text(SamplingConfig(str(words), str(tmp_path / "t"), tokens=500, **settings))
        return (tmp_path / "t").read_bytes()
    assert text(seed=3) == text(seed=3) != text(seed=4)
    assert text(capitals=0).decode().replace("Été", "été").islower()
    assert all(word[0].isupper() for word in text(capitals=1).decode().split())


def test_fewer_tokens_than_words(words, tmp_path):
    told = sample_text(SamplingConfig(words, tmp_path / "t", tokens=10, capitals=0))
    assert (told["used"], told["tokens"]) == (10, 10)
    assert set((tmp_path / "t").read_text("utf-8").split()) == {
        "le", "Été", *(f"mot{i}" for i in range(8))}


def test_a_word_that_stands_twice_counts_with_both(tmp_path):
    (tmp_path / "w.tsv").write_text("a\t1\nb\t3\na\t2\n")
    assert list(read_frequencies(tmp_path / "w.tsv")) == [("a", 1), ("b", 3), ("a", 2)]
    assert sample_text(SamplingConfig(tmp_path / "w.tsv", tmp_path / "t", tokens=10))["words"] == 2


@pytest.mark.parametrize("row", ["word", "word\t0", "word\tx", "word 3", "\t1", "a\t1\t1"])
def test_malformed_rows(tmp_path, row):
    (tmp_path / "w.tsv").write_text(f"fine\t1\n\n{row}\n")
    with pytest.raises(DataError, match="w.tsv, line 3: .* is not a word, a tab and a positive"):
        sample_text(SamplingConfig(tmp_path / "w.tsv", tmp_path / "t"))
    assert not (tmp_path / "t").exists()


def test_other_files(tmp_path):
    with pytest.raises(MissingDataError, match="none.tsv"):
        sample_text(SamplingConfig(tmp_path / "none.tsv", tmp_path / "t"))
    (tmp_path / "w.tsv").write_bytes(b"caf\xe9\t1\n")
    with pytest.raises(DataError, match="w.tsv, line 1: not UTF-8"):
        sample_text(SamplingConfig(tmp_path / "w.tsv", tmp_path / "t"))


@pytest.mark.parametrize("settings, message", [
    (dict(tokens=0), "tokens must be"), (dict(tokens=1.5), "tokens must be"),
    (dict(seed=-1), "seed must be"), (dict(line_words=0), "line_words must be"),
    (dict(capitals=1.1), "capitals must lie"), (dict(output="w"), "take the place"),
])
def test_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        SamplingConfig(**{"words": "w", "output": "t", **settings})


def test_command(words, tmp_path, environment):
    def run(*arguments):
        return subprocess.run([sys.executable, "-m", "lm", "sample", *arguments], cwd=tmp_path,
                              env=environment, capture_output=True, text=True, timeout=60)
    done = run("words.tsv", "--output", "out/text.txt", "--tokens", "6000", "--line-words", "6")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "out/text.txt: 1,000 lines, 6,000 tokens, 3,000 of 3,000 words\n"
    refused = run("none.tsv", "--output", "t")
    assert refused.returncode == 2 and "none.tsv" in refused.stderr
    assert "0.2%" in run("--help").stdout
