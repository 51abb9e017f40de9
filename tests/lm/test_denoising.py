import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.base.errors import DataError
from lm.denoising import (
    DenoisingPair,
    k_fold_indices,
    read_pairs,
    write_corpus,
    write_notebook_pairs,
    write_pairs,
)

HEADER = {"data": "d", "split": "s", "readings_of_training_lines": "none"}


def pairs(*texts):
    return [DenoisingPair(str(i), text, text[::-1]) for i, text in enumerate(texts)]


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=5))
def test_round_trip(tmp_path_factory, texts):
    path = str(tmp_path_factory.mktemp("pairs") / "p.jsonl")
    written = [DenoisingPair(str(i), a, b, 0.5, [(b, -1.5), (a, -2.0)], False, 1, "s")
               for i, (a, b) in enumerate(texts)]
    write_pairs(path, written, HEADER)
    header, read = read_pairs(path)
    assert read == written
    assert header["meaning"].startswith("no line was used") and header["data"] == "d"


def test_header_must_say_where_readings_come_from(tmp_path):
    for origin, meaning in (("held-out (k-fold, k=5)", "trained without it"),
                            ("in-sample", "these very lines")):
        path = str(tmp_path / "p.jsonl")
        write_pairs(path, pairs("ab"), {**HEADER, "readings_of_training_lines": origin})
        assert meaning in read_pairs(path)[0]["meaning"]
    with pytest.raises(DataError, match="known: none, held-out, in-sample"):
        write_pairs(path, [], {"data": "d"})


def test_damaged_files_name_the_line(tmp_path):
    path = tmp_path / "p.jsonl"
    write_pairs(str(path), pairs("ab", "cd"), HEADER)
    rows = path.read_text().splitlines()
    for content, message in (
            (rows[1:], "line 1: not the header"), (rows[:2], "cut short: 1 of 2 pairs"),
            ([*rows[:2], rows[2][:9]], "line 3: not JSON"),
            ([*rows[:2], "[1]"], "line 3: expected an object of JSON"),
            ([*rows[:2], '{"id": "x"}'], "line 3: not a pair"), ([], "line 1"),
            ([*rows[:2], rows[1]], "line 3: the id '0' stands twice")):
        path.write_text("\n".join(content))
        with pytest.raises(DataError, match=message):
            read_pairs(str(path))
    with pytest.raises(DataError, match="no such file"):
        read_pairs(str(tmp_path / "none.jsonl"))


def test_notebook_form_and_corpus(tmp_path):
    write_notebook_pairs(str(tmp_path / "p.json"), pairs("é", "bc"))
    assert json.loads((tmp_path / "p.json").read_text()) == [["é", "é"], ["bc", "cb"]]
    write_corpus(str(tmp_path / "c.txt"), ["one", "two\nlines"])
    assert (tmp_path / "c.txt").read_text() == "one\ntwo lines\n"


@given(st.integers(2, 60), st.integers(2, 6), st.integers(0, 9), st.booleans())
def test_folds_divide_all_and_no_group(n, k, seed, grouped):
    groups = [f"w{i % max(k, n // 3)}" for i in range(n)] if grouped else None
    if k > n or (grouped and len(set(groups)) < k):
        with pytest.raises(DataError):
            k_fold_indices(n, k, groups, seed)
        return
    folds = k_fold_indices(n, k, groups, seed)
    assert len(folds) == k and all(len(f) for f in folds)
    assert sorted(np.concatenate(folds)) == list(range(n))
    if grouped:
        owners = [{groups[i] for i in fold} for fold in folds]
        assert sum(map(len, owners)) == len(set(groups))
    else:
        assert max(map(len, folds)) - min(map(len, folds)) <= 1
    assert all(np.array_equal(a, b) for a, b in zip(folds, k_fold_indices(n, k, groups, seed)))
