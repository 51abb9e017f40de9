import dataclasses
import json
import math
import shutil

import numpy as np
import pytest

from lm.base.errors import ConfigError, DataError, LanguageModelError, MissingDataError
from lm.base.settings import from_mapping
from lm.corpus import Corpus
from lm.ngram import load_ngram, open_kenlm
from lm.scoring import perplexity
from lm.training import NgramConfig, train_ngram

from .reference import read_arpa

kenlm = pytest.importorskip("kenlm")

TEXT = """the cat sat on the mat
the dog sat on the log
a cat and a dog sat

the cat saw the déjà vu
"""


_MAGIC = b"mmap lm http://kheafield.com/code"


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text(TEXT, "utf-8")
    return str(path)


@pytest.fixture
def train(corpus, tmp_path, no_tools):
    def run(**settings):
        return train_ngram(NgramConfig(**{"corpus": (corpus,), "output": tmp_path / "m" / "model",
                                          **settings}))
    return run


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_files_and_metadata(train, tmp_path):
    model = train(order=3)
    assert names(tmp_path / "m") == ["model.arpa", "model.json", "model.ngram",
                                      "model.unigrams.txt"]
    assert model.path == str(tmp_path / "m" / "model.ngram")
    assert model.arpa == model.kenlm_path == str(tmp_path / "m" / "model.arpa")
    assert (model.order, model.unit) == (3, "word")
    words = sorted(set(TEXT.split()))
    assert sorted(model.unigrams) == words
    lines = (tmp_path / "m" / "model.unigrams.txt").read_text("utf-8").split("\n")
    assert lines == [*model.unigrams, ""]
    metadata = json.loads((tmp_path / "m" / "model.json").read_text("utf-8"))
    assert metadata == model.metadata
    assert metadata["corpus"] == {"files": ["corpus.txt"], "sentences": 5, "tokens": 24,
                                  "types": len(words), "blank_lines": 1, "skipped_tokens": 0}
    assert (metadata["estimator"], metadata["order"], metadata["unit"]) == ("builtin", 3, "word")
    assert metadata["ngrams"] == [len(g) for g in read_arpa(model.arpa).ngrams]
    assert str(tmp_path) not in json.dumps(metadata)


@pytest.mark.parametrize("settings", [
    dict(order=2), dict(order=3, unit="character"), dict(order=1), dict(order=2, prune=(0, 1)),
    dict(unit="wordform"), dict(normalise=("accents", "quotes"))])
def test_load_gives_what_train_gave(train, tmp_path, settings):
    model = train(**settings)
    assert load_ngram(tmp_path / "m" / "model") == model
    assert load_ngram(tmp_path / "m") == model
    assert load_ngram(tmp_path / "m" / "model.json") == model
    of_arpa = load_ngram(str(tmp_path / "m" / "model.arpa"))
    assert of_arpa == dataclasses.replace(model, path=model.arpa)
    assert sorted(of_arpa.unigrams) == sorted(model.unigrams)
    text = "the cat sat, 12 zebras"
    assert perplexity(of_arpa, [text]) == perplexity(model, [text])


def test_a_packed_model_stands_alone(train, tmp_path):
    model = train(unit="character", quantise=8)
    (tmp_path / "alone").mkdir()
    shutil.copy(model.path, tmp_path / "alone" / "letters.ngram")
    alone = load_ngram(tmp_path / "alone")
    assert (alone.unit, alone.order, alone.metadata) == ("character", 3, model.metadata)
    assert alone.metadata["quantised"] == 8 and alone.kenlm_path is None
    assert alone.unigrams == model.unigrams
    shutil.copy(model.path, tmp_path / "elsewhere")
    assert load_ngram(tmp_path / "elsewhere").unit == "character"


def test_without_a_packed_model(train, tmp_path):
    train()
    model = train(packed=False)
    assert names(tmp_path / "m") == ["model.arpa", "model.json", "model.unigrams.txt"]
    assert model.path == model.arpa
    assert perplexity(model, TEXT) == perplexity(train(), TEXT)


def test_character_model(train):
    model = train(unit="character", order=4)
    assert "▁" in model.unigrams and "é" in model.unigrams and " " not in model.unigrams
    assert model.metadata["space_token"] == "▁"
    assert model.tokenise("a é") == ["a", "▁", "é"]
    report = perplexity(model, ["the cat", "zzz"])
    assert (report.sentences, report.tokens, report.oov) == (2, 10, 3)


def test_word_form_model(train, tmp_path):
    path = tmp_path / "forms.txt"
    path.write_text("The Cat, sat! <s>\nthe dog (1974) sat\n")
    (tmp_path / "h").write_text("THE DOG: 2001?")
    model = train(corpus=(str(path),), unit="wordform", order=2, heldout=(str(tmp_path / "h"),))
    assert sorted(model.unigrams) == ["0000", "cat", "dog", "s", "sat", "the"]
    assert model.tokenise("L'Été 12") == ["l", "été", "00"]
    assert (model.metadata["heldout"]["oov"], model.metadata["heldout"]["tokens"]) == (0, 3)
    assert load_ngram(tmp_path / "m").unit == "wordform"
    assert perplexity(model, ["The unicorn; sat"]).oov == 1
    # Without metadata nothing tells it from a model of words, unless it is said.
    foreign = shutil.copy(model.arpa, tmp_path / "foreign.arpa")
    assert load_ngram(foreign, "wordform").unit == "wordform"


def test_normalised_model(train, tmp_path):
    path = tmp_path / "quotes.txt"
    path.write_text("l’été – là\nl'ete - la\n", "utf-8")
    model = train(corpus=(str(path),), order=2, normalise=["dashes", "quotes", "accents"])
    assert model.metadata["normalisation"] == ["NFC", "accents", "quotes", "dashes"]
    assert model.metadata["corpus"]["types"] == 3
    assert model.normalise == ("accents", "quotes", "dashes")
    assert model.tokenise("l’été —") == ["l'ete", "-"]
    # Texts and held-out files go the same way.
    assert perplexity(model, ["l’été – là"]) == perplexity(model, ["l'ete - la"])
    with pytest.raises(LanguageModelError, match="normalised by the rules"):
        perplexity(model, Corpus([path]))
    assert perplexity(model, Corpus([path], normalise=model.normalise)).oov == 0
    assert train(heldout=(str(path),)).metadata["normalisation"] == "NFC"
    assert train(corpus=(str(path),), order=2, normalise=("quotes", "dashes", "accents"),
                 heldout=(str(tmp_path / "corpus.txt"),)).metadata["heldout"]["sentences"] == 5
    metadata = {**model.metadata, "normalisation": ["NFC", "smoothing"]}
    (tmp_path / "m" / "model.json").write_text(json.dumps(metadata))
    with pytest.raises(LanguageModelError, match="model.json: unknown normalisation rule"):
        load_ngram(model.arpa)


def test_perplexity_by_hand(train):
    model = train(order=2)
    arpa = read_arpa(model.arpa)
    scores = [arpa.log_prob(["<s>"], "the"), arpa.log_prob(["the"], "zebra"),
              arpa.log_prob(["zebra"], "sat"), arpa.log_prob(["sat"], "</s>")]
    report = perplexity(model, ["the zebra sat"])
    assert (report.sentences, report.tokens, report.oov) == (1, 3, 1)
    assert report.oov_rate == pytest.approx(1 / 3)
    assert report.log10_prob == pytest.approx(sum(scores), abs=1e-5)
    assert report.perplexity == pytest.approx(10 ** (-sum(scores) / 4), rel=1e-4)
    known = scores[0] + scores[2] + scores[3]
    assert report.perplexity_without_oov == pytest.approx(10 ** (-known / 3), rel=1e-4)
    assert report.bits_per_token == pytest.approx(math.log2(report.perplexity))


def test_perplexity_agrees_with_kenlm(train):
    model = train(order=3)
    text = "the cat sat on a unicorn"
    assert perplexity(model, [text]).perplexity == pytest.approx(
        kenlm.Model(model.kenlm_path).perplexity(text), rel=1e-5)


def test_perplexity_of_a_uniform_model_is_its_size(train, tmp_path):
    (tmp_path / "abc.txt").write_text("a b c\n")
    model = train(corpus=(str(tmp_path / "abc.txt"),), order=1)
    # a, b, c and </s> come once each; <unk> takes a share of the discounted mass.
    unknown = 0.5 / 5
    report = perplexity(model, "c a b\nb a c")
    assert report.perplexity == pytest.approx(4 / (1 - unknown), rel=1e-5)
    assert perplexity(model, ["d a"]).oov == 1


def test_perplexity_of_a_path_and_of_files(train, corpus):
    model = train()
    lines = perplexity(model, TEXT.splitlines())
    assert perplexity(model.arpa, TEXT) == lines
    assert perplexity(model, Corpus([corpus])) == lines
    with pytest.raises(LanguageModelError, match="read by character"):
        perplexity(model, Corpus([corpus], "character"))
    with pytest.raises(LanguageModelError, match="no text"):
        perplexity(model, [])
    with pytest.raises(LanguageModelError, match="text 2: the word '<unk>'"):
        perplexity(model, ["fine", "not <unk>"])
    assert perplexity(model, ["not <unk>"], reserved="skip").tokens == 1


def test_heldout_report_is_that_of_the_model(train, tmp_path):
    heldout = tmp_path / "held.txt"
    heldout.write_text("the cat sat on the log\na zebra\n")
    model = train(heldout=(str(heldout),))
    stored = dict(model.metadata["heldout"])
    assert stored.pop("files") == ["held.txt"]
    assert stored == dataclasses.asdict(perplexity(model, Corpus([heldout])))
    assert stored["oov"] == 1


def test_heldout_may_not_be_trained_on(train, corpus, fake_lmplz, tmp_path):
    (tmp_path / "link.txt").symlink_to(corpus)
    shutil.copy(corpus, tmp_path / "copy.txt")
    # The same lines otherwise cut into files, and one that is new.
    lines = TEXT.splitlines()
    (tmp_path / "part.txt").write_text("\n".join(["a zebra", *lines[1:3]]), "utf-8")
    for name in ("link.txt", "copy.txt", "part.txt"):
        for tool in (None, fake_lmplz()):
            with pytest.raises(LanguageModelError, match="lines of the held-out text stand in"):
                train(heldout=(str(tmp_path / name),), lmplz=tool, order=2)
    assert not [name for name in names(tmp_path / "m") if not name.startswith(".")]
    (tmp_path / "part.txt").write_text("\n".join(["a zebra", "two zebras", lines[1], ""]))
    assert train(heldout=(str(tmp_path / "part.txt"),)).metadata["heldout"]["sentences"] == 3


@pytest.mark.parametrize("name, output", [("onto.arpa", "onto"), ("onto.ngram", "onto"),
                                          ("onto.json", "onto.bin")])
def test_the_output_may_not_be_the_input(corpus, tmp_path, name, output):
    shutil.copy(corpus, tmp_path / name)
    with pytest.raises(ConfigError, match="would take the place of what it is made of"):
        train_ngram(NgramConfig(str(tmp_path / name), str(tmp_path / output)))
    assert (tmp_path / name).read_text("utf-8") == TEXT


def test_order_that_kenlm_does_not_read(train):
    model = train(order=8, unit="character")
    assert model.order == 8 and perplexity(model, ["the cat"]).perplexity > 1


def test_failures_leave_the_earlier_model_alone(train, tmp_path):
    train(order=2)
    before = {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir()}
    (tmp_path / "bad.txt").write_bytes(b"a b\nc\xff\n")
    with pytest.raises(DataError, match="bad.txt, line 2: not UTF-8"):
        train(corpus=(str(tmp_path / "bad.txt"),))
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(LanguageModelError, match="empty"):
        train(corpus=(str(tmp_path / "empty.txt"),))
    with pytest.raises(LanguageModelError, match="discounts for order 1"):
        train(corpus=(str(tmp_path / "corpus.txt"),), discount_fallback=False, unit="character")
    (tmp_path / "short.txt").write_text("a\nb\n")
    with pytest.raises(LanguageModelError, match="no n-gram of order 4"):
        train(corpus=(str(tmp_path / "short.txt"),), order=5)
    assert {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir()} == before


def test_lmplz_route(train, fake_lmplz, tmp_path):
    model = train(order=2, lmplz=fake_lmplz(), reserved="skip", blank_lines="skip")
    assert model.metadata["estimator"] == "lmplz"
    assert model.metadata["fallback_orders"] == [1]
    assert model.unigrams == ("a",)
    sent = (tmp_path / "lmplz.log").read_text("utf-8").split("\n", 1)[1]
    assert sent == TEXT.replace("\n\n", "\n")
    assert load_ngram(tmp_path / "m") == model


def test_lmplz_route_in_characters(train, fake_lmplz, tmp_path):
    train(order=2, lmplz=fake_lmplz(), unit="character")
    assert (tmp_path / "lmplz.log").read_text("utf-8").split("\n")[1].startswith("t h e ▁ c a t ▁")


def test_which_estimator(train, fake_lmplz, monkeypatch, tmp_path):
    with pytest.raises(LanguageModelError, match="lmplz is not on PATH"):
        train(estimator="lmplz")
    with pytest.raises(ConfigError, match="no such program"):
        train(lmplz=str(tmp_path / "none"))
    fake_lmplz()
    monkeypatch.setenv("PATH", str(tmp_path / "tools"))
    assert train(order=2).metadata["estimator"] == "lmplz"
    assert train(order=2, estimator="builtin").metadata["estimator"] == "builtin"


def test_a_large_corpus_wants_lmplz(train, fake_lmplz, monkeypatch, tmp_path):
    monkeypatch.setattr("lm.training.BUILTIN_LIMIT", 2 * len(TEXT.encode()))
    train(order=2)
    (tmp_path / "more.txt").write_text(2 * TEXT, "utf-8")
    corpus = (str(tmp_path / "corpus.txt"), str(tmp_path / "more.txt"))
    with pytest.raises(LanguageModelError, match="in memory: .*boost.*make lmplz build_binary"):
        train(order=2, corpus=corpus)
    assert train(order=2, corpus=corpus, estimator="builtin").metadata["estimator"] == "builtin"
    assert train(order=2, corpus=corpus, lmplz=fake_lmplz()).metadata["estimator"] == "lmplz"


@pytest.mark.parametrize("settings, message", [
    (dict(order=3), "model of order 2, not 3"),
    (dict(order=5, corpus="one"), "no n-gram of order 5.*at most 3"),
    (dict(corpus="none"), "the corpus is empty"),
])
def test_lmplz_route_checks_as_the_builtin_does(train, fake_lmplz, tmp_path, settings, message):
    (tmp_path / "one").write_text("a\n")
    (tmp_path / "none").write_text("\n")
    if "corpus" in settings:
        settings = {**settings, "corpus": (str(tmp_path / settings["corpus"]),)}
    with pytest.raises(LanguageModelError, match=message):
        train(lmplz=fake_lmplz(), **settings)
    assert names(tmp_path / "m") == []


def test_lmplz_output_cut_off(train, fake_lmplz):
    with pytest.raises(LanguageModelError, match="truncated"):
        train(order=2, lmplz=fake_lmplz("\\data\\\nngram 1=4\n\n\\1-grams:\n-1\t<unk>\t0\n"))


def test_binary_is_made_and_a_stale_one_is_removed(train, script, tmp_path):
    program = script("build_binary", "import sys\nopen(sys.argv[3], 'w').write(sys.argv[1])")
    model = train(build_binary=program, binary_type="probing")
    assert model.kenlm_path == str(tmp_path / "m" / "model.bin")
    assert model.metadata["binary"] == "probing"
    assert (tmp_path / "m" / "model.bin").read_text() == "probing"
    model = train(build_binary=program, binary_type="none")
    assert model.kenlm_path == model.arpa
    assert "model.bin" not in names(tmp_path / "m")
    program = script("build_binary", "import sys\nopen(sys.argv[-1], 'w').write(sys.argv[2])")
    model = train(build_binary=program, quantise=8)
    assert (tmp_path / "m" / "model.bin").read_text() == "8" == str(model.metadata["quantised"])
    # KenLM has no unigram models.
    assert train(build_binary=program, order=1).kenlm_path.endswith(".arpa")


def test_failing_build_binary_leaves_nothing(train, script, tmp_path):
    with pytest.raises(LanguageModelError, match="build_binary failed with status 1: full"):
        train(build_binary=script("build_binary", "raise SystemExit('full')"))
    assert names(tmp_path / "m") == []


@pytest.mark.skipif(shutil.which("build_binary") is None, reason="build_binary is not on PATH")
@pytest.mark.parametrize("kind", ["trie", "probing"])
def test_the_real_binary_scores_as_the_arpa(corpus, tmp_path, kind):
    model = train_ngram(NgramConfig((corpus,), str(tmp_path / "model"), binary_type=kind))
    of_binary = load_ngram(model.kenlm_path)
    assert of_binary == dataclasses.replace(model, path=str(tmp_path / "model.bin"))
    assert of_binary.unigrams == model.unigrams
    assert list(of_binary.unigram_probs()) == [
        (word, pytest.approx(log_prob)) for word, log_prob in model.unigram_probs()]
    with pytest.raises(LanguageModelError, match="only KenLM reads; pack its ARPA file"):
        of_binary.packed  # noqa: B018
    text = ["the cat sat on a unicorn"]
    if kind == "trie":
        train_ngram(NgramConfig((corpus,), str(tmp_path / "small"), quantise=8))
        for ending in (".bin", ".ngram"):
            small = load_ngram(str(tmp_path / "small") + ending)
            assert perplexity(small, text).perplexity == pytest.approx(
                perplexity(model, text).perplexity, rel=0.02)
    assert perplexity(of_binary, text).perplexity == pytest.approx(
        perplexity(model, text).perplexity, rel=1e-4)
    content = (tmp_path / "model.bin").read_bytes()
    (tmp_path / "model.bin").write_bytes(content[:len(content) // 2])
    with pytest.raises(LanguageModelError, match="model.bin: KenLM cannot read it: Binary file"):
        load_ngram(tmp_path / "model.bin")


@pytest.mark.parametrize("content", [b"", b"hello", b"mmap lm http://kheafield.com/code",
                                     b"mmap lm http://kheafield.com/code format version 5\n\0zz"])
def test_unreadable_binary(tmp_path, content):
    (tmp_path / "x.bin").write_bytes(content)
    with pytest.raises(LanguageModelError, match="x.bin: (not a KenLM binary|KenLM cannot read)"):
        load_ngram(tmp_path / "x")


def test_truncated_arpa(train):
    model = train()
    with open(model.arpa, "rb+") as file:
        file.truncate(300)
    with pytest.raises(LanguageModelError, match="model.arpa: truncated"):
        load_ngram(model.arpa)


def test_damaged_bytes_end_in_one_line(train, tmp_path):
    arpa = tmp_path / "x.arpa"
    content = open(train(order=2).arpa, "rb").read()
    random = np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(content)
        for place in random.integers(0, len(content), 2):
            broken[place] ^= 1 << int(random.integers(8))
        arpa.write_bytes(broken)
        try:
            load_ngram(arpa).scorer()
        except LanguageModelError as error:
            assert "x.arpa: " in str(error)
    # KenLM's own words about such a file may be no text.
    with pytest.raises(LanguageModelError, match="x.arpa: KenLM cannot read it"):
        arpa.write_bytes(content.replace(b"\tthe\t", b"\t\xff\xfe\tx\t"))
        open_kenlm(str(arpa))


@pytest.mark.parametrize("change, reason", [
    (lambda words: words[:-1], "not those that"), (lambda words: words + words[:1], "words twice"),
    (lambda words: [*words[:-1], "other"], "not those that"),
    (lambda words: words[::-1], "not those that")])
def test_the_words_beside_a_model_are_its_own(train, monkeypatch, tmp_path, script, change, reason):
    # KenLM's binary tells no words: the list beside it does.
    program = script("build_binary", f"import sys\nopen(sys.argv[3], 'wb').write({_MAGIC!r})")
    model = train(order=2, build_binary=program)
    monkeypatch.setattr("lm.ngram.open_kenlm", lambda path: kenlm.Model(model.arpa))
    binary = tmp_path / "m" / "model.bin"
    assert load_ngram(binary).unigrams == model.unigrams
    beside = tmp_path / "m" / "model.unigrams.txt"
    words = beside.read_text("utf-8").split("\n")[:-1]
    beside.write_text("\n".join(change(words)) + "\n", "utf-8")
    with pytest.raises(LanguageModelError, match=f"model.unigrams.txt: not the words .*{reason}"):
        load_ngram(binary)
    # Models of before have their counts alone, those from elsewhere nothing.
    metadata = json.loads((tmp_path / "m" / "model.json").read_text("utf-8"))
    del metadata["words"]
    (tmp_path / "m" / "model.json").write_text(json.dumps(metadata))
    beside.write_text("\n".join(words[1:]) + "\n", "utf-8")
    with pytest.raises(LanguageModelError, match="it has 11 words, the model 12"):
        load_ngram(binary)
    (tmp_path / "m" / "model.json").unlink()
    beside.write_text("\n".join([*words, "zebra"]) + "\n", "utf-8")
    with pytest.raises(LanguageModelError, match="the model does not know 'zebra'"):
        load_ngram(binary)


def test_models_from_elsewhere(train, tmp_path):
    for unit in ("word", "character"):
        model = train(unit=unit)
        foreign = tmp_path / f"{unit}.lm"
        shutil.copy(model.arpa, foreign)
        found = load_ngram(foreign)
        assert (found.path, found.unit, found.order) == (str(foreign), unit, 3)
        assert sorted(found.unigrams) == sorted(model.unigrams) and found.metadata == {}
    assert load_ngram(foreign, unit="word").unit == "word"


def test_load_errors(train, tmp_path):
    with pytest.raises(MissingDataError, match="none: no such language model"):
        load_ngram(tmp_path / "none")
    model = train(order=2)
    with pytest.raises(LanguageModelError, match="its unit is the word"):
        load_ngram(model.arpa, unit="character")
    with pytest.raises(ConfigError, match="unit must be"):
        load_ngram(model.arpa, unit="line")
    folder = tmp_path / "m"
    (folder / "model.json").write_text(json.dumps({**model.metadata, "order": 4}))
    with pytest.raises(LanguageModelError, match="describes a model of order 4, but .* order 2"):
        load_ngram(model.arpa)
    for content in ("{", "[]", '{"unit": 3}'):
        (folder / "model.json").write_text(content)
        with pytest.raises(LanguageModelError, match="model.json"):
            load_ngram(model.arpa)
    (folder / "other.arpa").write_text("")
    with pytest.raises(MissingDataError, match="several language models"):
        load_ngram(folder)
    with pytest.raises(MissingDataError, match="no language model in this folder"):
        load_ngram(tmp_path / "m" / "..")


def test_a_model_may_have_the_name_of_its_corpus(train, tmp_path):
    (tmp_path / "same").write_text(TEXT, "utf-8")
    model = train(corpus=(str(tmp_path / "same"),), output=str(tmp_path / "same"))
    assert load_ngram(tmp_path / "same") == model


@pytest.mark.parametrize("settings, message", [
    (dict(order=0), "order"), (dict(unit="x"), "unit must be one of"),
    (dict(estimator="srilm"), "estimator must be one of"), (dict(corpus=()), "no corpus"),
    (dict(binary_type="x"), "binary_type"), (dict(quantise=1), "2 to 8 bits, not 1"),
    (dict(quantise=8, binary_type="probing"), "trie or none, not 'probing'"),
    (dict(prune=(1,)), "begin with 0"),
    (dict(fallback_discounts=(2, 2, 2)), "fallback discounts"), (dict(output="."), "is a folder"),
    (dict(output="x/"), "is a folder"),
])
def test_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        NgramConfig(**{"corpus": "a.txt", "output": "m", **settings})


def test_settings_from_mappings():
    config = from_mapping(NgramConfig, {"corpus": ["a"], "output": "m.arpa", "prune": [0, 1]})
    assert (config.corpus, config.output, config.prune) == (("a",), "m", (0, 1))
    assert NgramConfig("a.txt", "m").corpus == ("a.txt",)


def test_names_of_the_package_are_what_they_say():
    import lm

    load_ngram, train_ngram  # noqa: B018 - their modules are imported
    assert not [name for name in lm.__all__ if isinstance(getattr(lm, name), type(lm))]
