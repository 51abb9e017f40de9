import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm.arpa import write_arpa
from lm.base.errors import LanguageModelError, MissingDataError
from lm.kneser_ney import estimate, index_sentences
from lm.packed import EOS, Rows, read_packed
from lm.packing import pack_arpa

kenlm = pytest.importorskip("kenlm")

WORDS = st.sampled_from(["a", "b", "é", "dd", "中"])
SENTENCES = st.lists(st.lists(WORDS, max_size=7), min_size=1, max_size=12).filter(
    lambda sentences: any(len(sentence) > 3 for sentence in sentences))


def write(path, sentences, order, prune=()):
    write_arpa(path, estimate(*index_sentences(sentences), order, prune=prune))
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("packed")


@pytest.fixture
def arpa(tmp_path):
    text = ["the cat sat on the mat", "the dog sat on the log", "a cat and a dog sat"]
    return write(tmp_path / "m.arpa", [line.split() for line in text], 3)


def opened(path):
    config = kenlm.Config()
    config.arpa_complain, config.show_progress = kenlm.ARPALoadComplain.NONE, False
    return kenlm.Model(path, config)


@settings(max_examples=60, deadline=None)
@given(SENTENCES, st.integers(2, 5), st.booleans(), st.booleans(), st.booleans(),
       st.lists(st.lists(st.sampled_from(["a", "b", "é", "dd", "中", "never", "<unk>"]),
                         max_size=9), max_size=6))
def test_probabilities_are_kenlms(folder, sentences, order, prune, bos, eos, queries):
    try:
        path = write(folder / "random.arpa", sentences, order, (0, 1) if prune else ())
    except LanguageModelError:  # pruning may leave nothing
        path = write(folder / "random.arpa", sentences, order)
    model, reference = pack_arpa(path), opened(path)
    model.save(folder / "random.ngram")
    assert model.order == reference.order
    for packed in (model, read_packed(folder / "random.ngram")):
        for query in (*queries, *sentences):
            text = " ".join(query)
            found = list(packed.full_scores(text, bos, eos))
            expected = list(reference.full_scores(text, bos, eos))
            assert [f[1:] for f in found] == [e[1:] for e in expected]
            assert [f[0] for f in found] == pytest.approx([e[0] for e in expected],
                                                          abs=1e-6, rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(SENTENCES, st.integers(1, 4), st.sampled_from([0, 8]), st.booleans())
def test_rows_are_the_scores_of_many_states_at_once(folder, sentences, order, bits, boundary):
    model = pack_arpa(write(folder / "rows.arpa", sentences, order), bits)
    words = ["a", "never", "é", "dd", "</s>", "a"]
    rows = Rows(model, words)
    states, met = np.array([rows.start(boundary)]), {rows.start(boundary): model.start(boundary)}
    for _ in range(3):
        found = rows.of(states)
        log_prob, state = (table[found][:, rows.columns] for table in (rows.log_prob, rows.state))
        for row, node in enumerate(states.tolist()):
            for column, word in enumerate(words):
                expected, behind, _ = model.score(met[node], model.index(word))
                assert log_prob[row, column] == pytest.approx(expected, abs=1e-5)
                assert state[row, column] == behind[0]
                met[behind[0]] = behind
        states = np.unique(state)
    assert len(rows) > 1 or order == 1
    before = rows.log_prob[rows.of(states)]
    rows.clear()
    assert len(rows) == 1
    assert (rows.log_prob[rows.of(states)] == before).all()


def test_a_pruned_suffix_and_a_model_without_unknown(tmp_path):
    path = tmp_path / "m.arpa"
    path.write_text("\\data\\\nngram 1=5\nngram 2=4\nngram 3=2\n\n\\1-grams:\n-1\t<s>\t-0.2\n"
                    "-1\t</s>\n-0.6\ta\t-0.1\n-0.7\tb\t-0.4\n-0.8\tc\n\n\\2-grams:\n"
                    "-0.3\t<s> a\t-0.5\n-0.4\ta b\t-0.25\n-0.5\tb a\t-0.125\n-0.2\tc </s>\n\n"
                    "\\3-grams:\n-0.1\ta b c\n-0.15\t<s> a b\n\n\\end\\\n")
    model, reference = pack_arpa(path), opened(str(path))
    for text in ("a b c", "a b a b c c", "zzz a b", "c a", "b c", "a b c a"):
        assert [s[0] for s in model.full_scores(text)] == pytest.approx(
            [s[0] for s in reference.full_scores(text)], abs=1e-6, rel=1e-6)


def test_words(arpa):
    model = pack_arpa(arpa)
    assert model.words == ("a", "and", "cat", "dog", "log", "mat", "on", "sat", "the")
    assert [model.index(word) for word in ("<unk>", "<s>", "</s>", "a", "the", "", "zz", "A")] \
        == [0, 1, 2, 3, 11, 0, 0, 0]
    many = sorted({f"w{n}" for n in range(1000)} | {"é", "\u4e2d", "\U0001f600"},
                  key=lambda word: word.encode())
    write(arpa, [many], 1)
    model = pack_arpa(arpa)
    assert [model.index(word) for word in many] == list(range(3, 1006))
    assert model.index("w1x") == model.index("\ud800") == 0
    assert [model.index(word) for word in model.words] == list(range(3, 1006))


def test_figures_in_few_bits(tmp_path):
    rng = np.random.default_rng(1)
    text = [[f"w{n}" for n in rng.geometric(0.05, 12)] for _ in range(400)]
    path = write(tmp_path / "m.arpa", text, 3)
    whole, small = pack_arpa(path), pack_arpa(path, 8)
    for sentence in text[:20]:
        exact, coded = (np.array([s[0] for s in model.full_scores(" ".join(sentence))])
                        for model in (whole, small))
        assert np.abs(exact - coded).max() < 0.1 and abs((exact - coded).mean()) < 0.01
    sizes = []
    for model in (whole, small):
        model.save(tmp_path / "m.ngram")
        sizes.append((tmp_path / "m.ngram").stat().st_size)
    assert sizes[1] < 0.7 * sizes[0]
    assert read_packed(tmp_path / "m.ngram").metadata == {"quantised": 8}


def test_words_to_keep(arpa):
    whole, part = pack_arpa(arpa), pack_arpa(arpa, keep=["the", "cat", "sat", "horse"])
    assert part.words == ("cat", "sat", "the")
    assert list(part.full_scores("the cat sat")) == list(whole.full_scores("the cat sat"))


def test_damage_is_found(arpa, tmp_path):
    model = pack_arpa(arpa)
    path = tmp_path / "m.ngram"
    model.save(path, {"unit": "word"})
    assert read_packed(path).metadata == {"unit": "word"}
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(content), 60):
        broken = bytearray(content)
        broken[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        with pytest.raises(LanguageModelError, match="m.ngram: (not a packed|damaged)"):
            read_packed(path)
    for size in (0, 1, 20, 30, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(LanguageModelError, match="m.ngram: "):
            read_packed(path)
    with pytest.raises(MissingDataError, match="none"):
        read_packed(tmp_path / "none")
    # A checksum that agrees does not make the rest sensible.
    for wrong in ({"metadata": ["x"]}, {"_vocabulary": b"\xff" + model._vocabulary[1:]},
                  {"_vocabulary": model._vocabulary + b"more\n"},
                  {"arrays": {**model.arrays, "prob": model.arrays["prob"].astype(np.int8)}}):
        odd = pack_arpa(arpa)
        vars(odd).update(wrong)
        odd.save(path)
        with pytest.raises(LanguageModelError, match="m.ngram: not a packed n-gram model"):
            read_packed(path)
    # A checksum that agrees does not make the numbers sensible.
    model.arrays["children"] = model.arrays["children"].copy()
    model.arrays["children"][3] += 1
    model.save(path)
    with pytest.raises(LanguageModelError, match="do not fit together"):
        read_packed(path)


@pytest.mark.parametrize("old, new, message", [
    ("\tthe cat\t", "\tthe cow\t", "2-gram 'the cow' holds 'cow', its unigrams do not"),
    ("\tthe cat\t", "\tthe dog\t", "stands there twice"),
    ("\tcat\t", "\tdog\t", "its word 'dog' stands there twice"),
    ("\t<s>\t", "\tpomp\t", "it has no <s>"),
    ("\ton the\t", "\ton dog\t", "3-gram 'on the .*' has no 2-gram 'on the'"),
])
def test_what_does_not_hang_together(arpa, old, new, message):
    text = open(arpa, encoding="utf-8").read()
    assert old in text
    with open(arpa, "w", encoding="utf-8") as out:
        out.write(text.replace(old, new, 1))
    with pytest.raises(LanguageModelError, match=f"m.arpa: .*{message}"):
        pack_arpa(arpa)


def test_order_1(tmp_path):
    model = pack_arpa(write(tmp_path / "one.arpa", [["a", "b"], ["a"]], 1))
    start = model.start()
    assert start == (0, None)
    a, unknown = model.score(start, model.index("a")), model.score(start, 0)
    assert a[1:] == (start, 1) and 0 > a[0] > unknown[0]
    assert [s[2] for s in model.full_scores("a zz")] == [False, True, False]
    assert model.score(start, EOS)[0] < 0
