import gzip
import math
import pathlib
import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lm.arpa import write_arpa
from lm.base.errors import ConfigError, LanguageModelError
from lm.corpus import Corpus
from lm.kneser_ney import FALLBACK_DISCOUNTS, check_settings, estimate, index_sentences

from .reference import ArpaModel, read_arpa

DATA = pathlib.Path(__file__).parent / "data"
FIGURES = sorted(path.name.removesuffix(".arpa.gz") for path in DATA.glob("*.arpa.gz"))

OPTIONS = {"plain_unigrams": {"interpolate_unigrams": False}, "pruned": {"prune": (0, 0, 1, 2)}}


def train(sentences, order, **options):
    words, tokens = index_sentences(sentences)
    return estimate(words, tokens, order, **options)


def as_dictionaries(model):
    """The model in another form, through none of the ARPA code."""
    return ArpaModel([
        dict(zip(texts, zip(table.log_prob.tolist(), table.backoff.tolist())))
        for texts, table in zip(model.texts(), model.tables)])


def contexts(model):
    """Every n-gram that something may follow, and the empty one."""
    yield ()
    for ngrams in model.ngrams[:-1]:
        for text in ngrams:
            if not text.endswith("</s>") and text != "<unk>":
                yield tuple(text.split())


def total(model, context):
    """Sum of the probabilities of all that may follow a context."""
    return sum(10 ** model.log_prob(context, word) for word in model.ngrams[0] if word != "<s>")


def test_the_stored_figures_are_there():
    assert len(FIGURES) == 21
    for text, unit in (("letters", "word"), ("notes", "character"), ("generated", "word")):
        assert {f"{text}-{unit}-{order}" for order in range(1, 6)} <= set(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_gives_what_lmplz_printed(name, tmp_path):
    text, unit, order, *extra = name.split("-")
    figures = tmp_path / "lmplz.arpa"
    figures.write_bytes(gzip.decompress((DATA / f"{name}.arpa.gz").read_bytes()))
    expected = read_arpa(figures)
    options = OPTIONS[extra[0]] if extra else {}
    # Texts whose figures were made without the fallback must not need it here.
    fallback = None if text == "generated" else FALLBACK_DISCOUNTS
    words, tokens = index_sentences(Corpus([DATA / f"{text}.txt"], unit))
    model = estimate(words, tokens, int(order), fallback, **options)
    write_arpa(tmp_path / "ours.arpa", model)
    ours = read_arpa(tmp_path / "ours.arpa")
    assert ours.order == expected.order == int(order)
    for mine, theirs in zip(ours.ngrams, expected.ngrams):
        assert mine.keys() == theirs.keys()
        keys = list(theirs)
        # lmplz prints -inf where we write -99, since KenLM does not read the former.
        printed = np.maximum([theirs[key] for key in keys], -99)
        np.testing.assert_allclose([mine[key] for key in keys], printed, rtol=0, atol=2e-6)


def test_conventions_of_the_special_words():
    model = as_dictionaries(train([["a", "b"], ["a"]], 2))
    assert model.ngrams[0]["<s>"][0] == 0
    assert model.ngrams[0]["</s>"][1] == model.ngrams[0]["<unk>"][1] == 0
    assert not any(text.endswith("<s>") or "<unk>" in text for text in model.ngrams[1])
    assert set(model.ngrams[1]) == {"<s> a", "a b", "a </s>", "b </s>"}


def test_by_hand():
    # Bigrams: <s> a (2), a b, a </s>, b </s>. Left neighbours: a 1, b 1, </s> 2; fallback.
    model = as_dictionaries(train([["a", "b"], ["a"]], 2))
    uniform = 1 / 4  # a, b, </s>, <unk>
    spare = (0.5 + 0.5 + 1.0) / 4
    assert 10 ** model.ngrams[0]["<unk>"][0] == pytest.approx(spare * uniform)
    p_a = 0.5 / 4 + spare * uniform
    p_end = (2 - 1) / 4 + spare * uniform
    assert 10 ** model.ngrams[0]["a"][0] == pytest.approx(p_a)
    assert 10 ** model.ngrams[0]["</s>"][0] == pytest.approx(p_end)
    # After a: b and </s>, once each.
    assert 10 ** model.ngrams[0]["a"][1] == pytest.approx((0.5 + 0.5) / 2)
    assert 10 ** model.ngrams[1]["a </s>"][0] == pytest.approx(0.5 / 2 + 0.5 * p_end)
    # After <s>: a, twice.
    assert 10 ** model.ngrams[1]["<s> a"][0] == pytest.approx((2 - 1) / 2 + 0.5 * p_a)


sentences_of = st.lists(
    st.lists(st.sampled_from("abcde"), max_size=6), min_size=1, max_size=12)
thresholds = st.sampled_from([(), (0, 1), (0, 0, 1), (0, 1, 2)])


@settings(max_examples=60, deadline=None)
@given(sentences_of, st.integers(1, 4), st.booleans(), thresholds)
def test_every_context_sums_to_one(sentences, order, interpolate, prune):
    prune = prune[:order] if order > 1 else ()
    assume(max(map(len, sentences)) + 2 >= order and any(sentences))
    try:
        model = train(sentences, order, interpolate_unigrams=interpolate, prune=prune)
    except LanguageModelError as error:
        assert prune and "pruning leaves no" in str(error)
        return
    model = as_dictionaries(model)
    for context in contexts(model):
        assert total(model, context) == pytest.approx(1, abs=2e-5), context


@settings(max_examples=40, deadline=None)
@given(sentences_of, st.integers(2, 4), thresholds)
def test_backoff_is_the_mass_left_over_the_mass_not_seen(sentences, order, prune):
    assume(max(map(len, sentences)) + 2 >= order and any(sentences))
    try:
        model = as_dictionaries(train(sentences, order, prune=prune[:order]))
    except LanguageModelError:
        assume(False)
    for context in contexts(model):
        if not context:
            continue
        seen = [text.split()[-1] for text in model.ngrams[len(context)]
                if text.split()[:-1] == list(context)]
        left = 1 - sum(10 ** model.log_prob(context, word) for word in seen)
        unseen = 1 - sum(10 ** model.log_prob(context[1:], word) for word in seen)
        backoff = 10 ** model.ngrams[len(context) - 1][" ".join(context)][1]
        assert backoff * unseen == pytest.approx(left, abs=2e-5)


@settings(max_examples=40, deadline=None)
@given(sentences_of, st.integers(1, 4))
def test_tables_hang_together(sentences, order):
    assume(max(map(len, sentences)) + 2 >= order and any(sentences))
    model = train(sentences, order)
    texts = list(model.texts())
    lines = [" ".join(["<s>", *sentence, "</s>"]).split() for sentence in sentences]
    for length, (table, found) in enumerate(zip(model.tables, texts), 1):
        assert len(set(found)) == len(found) == len(table)
        if length == 1:
            continue
        # Exactly the n-grams of the text, each hung on its context and its suffix.
        assert set(found) == {" ".join(line[i:i + length]) for line in lines
                              for i in range(len(line) - length + 1)}
        below = texts[length - 2]
        for text, context, suffix in zip(found, table.context, table.suffix):
            words = text.split()
            assert below[context] == " ".join(words[:-1])
            assert below[suffix] == " ".join(words[1:])


@settings(max_examples=25, deadline=None)
@given(sentences=sentences_of, order=st.integers(2, 4),
       probe=st.lists(st.sampled_from("abcdez"), max_size=8))
def test_kenlm_reads_our_files_and_gives_our_scores(tmp_path_factory, sentences, order, probe):
    kenlm = pytest.importorskip("kenlm")
    assume(max(map(len, sentences)) + 2 >= order and any(sentences))
    model = train(sentences, order)
    path = tmp_path_factory.mktemp("kenlm") / "model.arpa"
    write_arpa(path, model)
    quiet = kenlm.Config()
    quiet.show_progress = False
    quiet.arpa_complain = kenlm.ARPALoadComplain.NONE
    theirs = kenlm.Model(str(path), quiet)
    assert theirs.order == order
    ours = as_dictionaries(model)
    text = " ".join(probe)
    for bos in (True, False):
        expected = list(theirs.full_scores(text, bos=bos))
        got = list(ours.full_scores(text, bos=bos))
        np.testing.assert_allclose([g[0] for g in got], [e[0] for e in expected], atol=1e-5)
        assert [g[1:] for g in got] == [e[1:] for e in expected]


@pytest.mark.parametrize("name, unit, order, fallen", [
    ("letters", "word", 3, (2, 3)), ("letters", "word", 1, ()), ("notes", "character", 1, (1,)),
    ("generated", "word", 5, ())])
def test_fallback_is_taken_order_by_order(name, unit, order, fallen):
    # The orders for which lmplz says "Substituting fallback discounts".
    words, tokens = index_sentences(Corpus([DATA / f"{name}.txt"], unit))
    assert estimate(words, tokens, order).fallback_orders == fallen


def test_fallback_orders_and_its_refusal():
    sentences = [["a", "b", "c"], ["a", "b"]]
    model = train(sentences, 2, fallback=(0.25, 0.5, 0.75))
    assert model.fallback_orders == (1, 2)
    assert model.discounts == ((0.25, 0.5, 0.75),) * 2
    with pytest.raises(LanguageModelError, match="discounts for order 1: no 1-gram has the adju"):
        train(sentences, 2, fallback=None)


def test_discounts_of_no_mass_still_give_a_file_that_kenlm_reads(tmp_path):
    kenlm = pytest.importorskip("kenlm")
    model = train([["a", "b", "c"], ["a", "b"]], 2, fallback=(0.0, 0.0, 0.0))
    write_arpa(tmp_path / "model.arpa", model)
    read = kenlm.Model(str(tmp_path / "model.arpa"))
    assert list(read.full_scores("a"))[0][0] == pytest.approx(0, abs=1e-6)
    assert list(read.full_scores("c"))[0][0] < -90


@pytest.mark.parametrize("order", [4, 6])
def test_order_larger_than_the_text(order):
    with pytest.raises(LanguageModelError, match="no n-gram of order 4.*at most 3"):
        train([["a"], ["b"], []], order)


def test_order_may_reach_the_longest_sentence_with_its_boundaries():
    assert len(train([["a"], ["b"]], 3).tables[2]) == 2


@pytest.mark.parametrize("sentences", [[], [[]], [[], []]])
def test_empty_corpus(sentences):
    with pytest.raises(LanguageModelError, match="empty"):
        train(sentences, 2)


def test_pruning_everything_is_an_error():
    with pytest.raises(LanguageModelError, match="no n-gram of order 2"):
        train([["a", "b"], ["c", "d"]], 2, prune=(0, 5))


@pytest.mark.parametrize("settings, message", [
    (dict(order=0), "order"), (dict(order=2.5), "order"), (dict(order=True), "order"),
    (dict(order=2, fallback=(0.5, 1)), "three numbers"),
    (dict(order=2, fallback=(1.5, 1, 1)), re.escape("[0, 1]")),
    (dict(order=2, fallback=(0.5, 1, math.nan)), "three numbers"),
    (dict(order=2, prune=(1, 1)), "begin with 0"),
    (dict(order=3, prune=(0, 2, 1)), "never fall"),
    (dict(order=2, prune=(0, 0, 0)), "no more than"),
])
def test_settings_out_of_range(settings, message):
    with pytest.raises(ConfigError, match=message):
        check_settings(**settings)


def test_words_are_numbered_by_first_appearance():
    words, tokens = index_sentences([["b", "a"], [], ["a", "c"]])
    assert words == ("<unk>", "<s>", "</s>", "b", "a", "c")
    assert tokens.tolist() == [1, 3, 4, 2, 1, 2, 1, 4, 5, 2]
