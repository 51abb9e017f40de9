import itertools
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.arpa import write_arpa
from lm.base.errors import ConfigError, DataError, LanguageModelError, MissingDataError
from lm.base.settings import from_mapping
from lm.interpolation import InterpolationConfig, interpolate
from lm.kneser_ney import estimate, index_sentences
from lm.ngram import load_ngram
from lm.scoring import perplexity
from lm.training import NgramConfig, train_ngram

from .reference import read_arpa

kenlm = pytest.importorskip("kenlm")

CATS = ["the cat sat on the mat", "a cat saw the dog", "the dog sat", "a dog saw a cat on a mat"]
SHIPS = ["the ship sailed on the sea", "a ship saw the sea", "the sea saw the cat", "ships sail"]


@pytest.fixture(autouse=True)
def _without_tools(no_tools):
    """No build_binary: the tests look at the ARPA files."""


def train(path, lines, order=3, **settings):
    corpus = path.with_suffix(".txt")
    corpus.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return train_ngram(NgramConfig((str(corpus),), str(path), order=order, **settings))


@pytest.fixture
def cats(tmp_path):
    return train(tmp_path / "cats", CATS)


@pytest.fixture
def ships(tmp_path):
    return train(tmp_path / "ships", SHIPS, order=2)


def mix(tmp_path, *models, **settings):
    paths = [getattr(model, "arpa", model) for model in models]
    return interpolate(InterpolationConfig(paths, str(tmp_path / "mixed"), **settings))


def sums(arpa):
    """The sum over all words after every context that the model lists."""
    words = [word for word in arpa.ngrams[0] if word != "<s>"]
    for context in itertools.chain([""], *arpa.ngrams[:-1]):
        if not context.endswith("</s>"):
            yield context, sum(10 ** arpa.log_prob(context.split(), word) for word in words)


sentences = st.lists(st.lists(st.sampled_from("abcde"), max_size=5), min_size=1, max_size=8).filter(
    any)
components = st.lists(st.tuples(sentences, st.integers(1, 4), st.floats(0.01, 1)), min_size=2,
                      max_size=3)


@given(components)
def test_every_context_sums_to_one(tmp_path, parts):
    paths = []
    for number, (lines, order, _) in enumerate(parts):
        paths.append(str(tmp_path / f"{number}.arpa"))
        order = min(order, 2 + max(map(len, lines)))
        write_arpa(paths[-1], estimate(*index_sentences(lines), order))
    weights = [weight for _, _, weight in parts]
    arpa = read_arpa(mix(tmp_path, *paths, weights=weights).arpa)
    for context, total in sums(arpa):
        assert total == pytest.approx(1, abs=2e-6), context
    # The listed n-grams have the mixture of what the components say.
    models = [read_arpa(path) for path in paths]
    for text in itertools.chain(*arpa.ngrams):
        *context, word = text.split()
        expected = sum(weight * 10 ** model.log_prob(context, word)
                       for weight, model in zip(weights, models)
                       if word in model.ngrams[0]) / sum(weights)
        if word != "<s>":
            found = 10 ** arpa.ngrams[len(context)][text][0]
            assert found == pytest.approx(expected, rel=1e-5, abs=1e-30), text


@pytest.mark.parametrize("unit, order", [("word", 3), ("character", 5), ("wordform", 2)])
def test_a_model_mixed_with_itself_is_itself(tmp_path, unit, order):
    model = train(tmp_path / "m", CATS + SHIPS, order, unit=unit)
    mixed = mix(tmp_path, model, model, weights=(0.3, 0.9))
    assert (mixed.unit, mixed.order, mixed.unigrams) == (unit, order, model.unigrams)
    before, after = read_arpa(model.arpa).ngrams, read_arpa(mixed.arpa).ngrams
    for mine, theirs in zip(before, after):
        assert mine.keys() == theirs.keys()
        for text, figures in mine.items():
            assert theirs[text] == pytest.approx(figures, abs=1e-6), text


def test_a_model_of_weight_zero_is_left_out(tmp_path, cats, ships):
    mixed = mix(tmp_path, cats, ships, weights=(2, 0))
    before, after = read_arpa(cats.arpa), read_arpa(mixed.arpa)
    assert [table.keys() for table in before.ngrams] == [table.keys() for table in after.ngrams]
    for text, (log_prob, _) in itertools.chain(*(table.items() for table in before.ngrams)):
        *context, word = text.split()
        assert after.log_prob(context, word) == pytest.approx(log_prob, abs=1e-6)
    assert [part["name"] for part in mixed.metadata["components"]] == ["cats.arpa"]


def test_figures_by_hand(tmp_path):
    """Two models of order 1 and 2, whose every figure is plain."""
    (tmp_path / "one.arpa").write_text(
        "\\data\\\nngram 1=4\n\n\\1-grams:\n-1\t<unk>\n-99\t<s>\n"
        f"{math.log10(0.4)}\t</s>\n{math.log10(0.5)}\ta\n\n\\end\\\n")
    half = math.log10(0.5)
    (tmp_path / "two.arpa").write_text(
        f"\\data\\\nngram 1=4\nngram 2=1\n\n\\1-grams:\n-99\t<unk>\n0\t<s>\t0\n{half}\t</s>\n"
        f"{half}\tb\t{math.log10(0.2 / 0.5)}\n\n\\2-grams:\n{math.log10(0.8)}\tb b\n\n\\end\\\n")
    mixed = mix(tmp_path, tmp_path / "one.arpa", tmp_path / "two.arpa")
    arpa = read_arpa(mixed.arpa).ngrams
    unigrams = {"<unk>": 0.05, "</s>": 0.45, "a": 0.25, "b": 0.25}
    for word, prob in unigrams.items():
        assert 10 ** arpa[0][word][0] == pytest.approx(prob)
    assert arpa[0]["<s>"] == (0, 0)
    # After b: 0.5 * 0 + 0.5 * 0.8 for b; the rest of 0.6 is shared as the unigrams are.
    assert 10 ** arpa[1]["b b"][0] == pytest.approx(0.4)
    assert 10 ** arpa[0]["b"][1] == pytest.approx(0.6 / 0.75)


def test_kenlm_scores_the_mixture_as_we_do(tmp_path, cats, ships):
    mixed = mix(tmp_path, cats, ships, weights=(0.4, 0.6))
    assert load_ngram(tmp_path / "mixed") == mixed
    scorer, ours = mixed.scorer(), read_arpa(mixed.arpa)
    for text in (*CATS, *SHIPS, "the unicorn saw ships", ""):
        theirs = [(prob, oov) for prob, _, oov in scorer.full_scores(text)]
        mine = [(prob, oov) for prob, _, oov in ours.full_scores(text)]
        assert [oov for _, oov in mine] == [oov for _, oov in theirs]
        assert [p for p, _ in mine] == pytest.approx([p for p, _ in theirs], abs=1e-4)
    assert perplexity(mixed, CATS).oov == perplexity(mixed, SHIPS).oov == 0


def test_files_and_metadata(tmp_path, cats, ships, script):
    mixed = mix(tmp_path, cats, ships, weights=(3, 1), build_binary=script(
        "build_binary", "import sys\nopen(sys.argv[3], 'w').write(sys.argv[1])"))
    assert mixed.path == str(tmp_path / "mixed.ngram")
    assert mixed.kenlm_path == str(tmp_path / "mixed.bin")
    stored = json.loads((tmp_path / "mixed.json").read_text("utf-8"))
    assert stored == mixed.metadata
    assert [(part["name"], part["weight"]) for part in stored["components"]] == [
        ("cats.arpa", 0.75), ("ships.arpa", 0.25)]
    assert stored["components"][0]["ngrams"] == cats.metadata["ngrams"]
    assert stored["ngrams"] == [len(table) for table in read_arpa(mixed.arpa).ngrams]
    assert (stored["unit"], stored["order"], stored["binary"]) == ("word", 3, "trie")
    assert str(tmp_path) not in json.dumps(stored)
    assert (tmp_path / "mixed.unigrams.txt").read_text("utf-8").split() == list(mixed.unigrams)
    assert set(mixed.unigrams) == {*cats.unigrams, *ships.unigrams}


def test_em_is_better_than_either_component(tmp_path):
    # One vocabulary, so that neither component is ruled out by a word it does not know.
    letters = np.random.default_rng(1)
    texts = [["".join(letters.choice(list(word), 3, p=shares)) for _ in range(40)]
             for word, shares in (("abc", (0.7, 0.2, 0.1)), ("abc", (0.1, 0.2, 0.7)))]
    one, two = (train(tmp_path / name, lines, 3, unit="character")
                for name, lines in zip(("one", "two"), texts))
    heldout = tmp_path / "held.txt"
    heldout.write_text("\n".join(texts[0][:15] + texts[1][:5]) + "\nz\n")
    mixed = mix(tmp_path, one, two, heldout=heldout)
    first, second = (part["weight"] for part in mixed.metadata["components"])
    assert first + second == pytest.approx(1) and first > second > 0.01
    em = mixed.metadata["em"]
    lines = heldout.read_text().split()
    assert (em["tokens"], em["unknown"]) == (4 * 20 + 1, 1)
    assert em["perplexity"] < min(perplexity(model, lines).perplexity_without_oov
                                  for model in (one, two))
    assert mixed.metadata["heldout"]["perplexity_without_oov"] == pytest.approx(
        em["perplexity"], rel=0.05)
    # No other weights do better.
    for shift in (-0.05, 0.05):
        other = mix(tmp_path, one, two, weights=(first + shift, second - shift))
        assert em["perplexity"] < perplexity(other, lines).perplexity_without_oov * 1.02


def test_weights_of_em_are_those_of_the_mixture(tmp_path):
    """Where the truth is a mixture of 3 to 1, the weights are 0.75 and 0.25."""
    for name, log_probs in (("one", (0.8, 0.1)), ("two", (0.1, 0.8))):
        a, b = map(math.log10, log_probs)
        (tmp_path / f"{name}.arpa").write_text(
            f"\\data\\\nngram 1=5\n\n\\1-grams:\n-99\t<unk>\n-99\t<s>\n-1\t</s>\n{a}\ta\n{b}\tb\n"
            "\n\\end\\\n")
    # p(a) = 0.75 * 0.8 + 0.25 * 0.1 = 0.625, p(b) = 0.275.
    (tmp_path / "held.txt").write_text(" ".join("a" * 625 + "b" * 275) + "\n" * 100)
    mixed = mix(tmp_path, tmp_path / "one.arpa", tmp_path / "two.arpa",
                heldout=(tmp_path / "held.txt",))
    assert [part["weight"] for part in mixed.metadata["components"]] == pytest.approx(
        [0.75, 0.25], abs=1e-3)


def test_list_of_words(tmp_path):
    model = train(tmp_path / "m", CATS, 2, unit="wordform")
    words = tmp_path / "words.tsv"
    words.write_text("Zebra\t6\nzebra\t1\ncat\t3\nl'arbre\t5\n12\t2.5e1\n!\t4\r\n\n", "utf-8")
    mixed = mix(tmp_path, model, words, weights=(0.5, 0.5))
    assert (mixed.unit, mixed.order) == ("wordform", 2)
    assert set(mixed.unigrams) == {*model.unigrams, "zebra", "00"}
    assert mixed.metadata["components"][1] == {
        "name": "words.tsv", "weight": 0.5, "ngrams": [4], "left_out": 2}
    before, after = read_arpa(model.arpa), read_arpa(mixed.arpa)
    end = 10 ** before.ngrams[0]["</s>"][0]
    share = {"zebra": 7 / 35, "cat": 3 / 35, "00": 25 / 35}
    for word, part in share.items():
        known = 10 ** before.log_prob([], word) if word == "cat" else 0
        assert 10 ** after.log_prob([], word) == pytest.approx(
            0.5 * known + 0.5 * (1 - end) * part, rel=1e-5)
    assert 10 ** after.ngrams[0]["</s>"][0] == pytest.approx(end, rel=1e-5)
    assert 10 ** after.ngrams[0]["<unk>"][0] == pytest.approx(
        0.5 * 10 ** before.ngrams[0]["<unk>"][0], rel=1e-5)
    for context, total in sums(after):
        assert total == pytest.approx(1, abs=2e-6), context


@pytest.mark.parametrize("row", ["cat", "cat\t0", "cat\t-1", "cat\tmany", "cat\tnan", "cat\tinf",
                                 "\t3", "cat\t3\t4", "word\tfrequency"])
def test_malformed_list(tmp_path, cats, row):
    (tmp_path / "w.tsv").write_text(f"dog\t2\n{row}\n")
    with pytest.raises(DataError, match="w.tsv, line 2: "):
        mix(tmp_path, cats, tmp_path / "w.tsv")
    assert not (tmp_path / "mixed.arpa").exists()


def test_lists_that_do_not_fit(tmp_path, cats):
    (tmp_path / "w.tsv").write_text("two words\t2\n")
    with pytest.raises(LanguageModelError, match="none of its rows is one word"):
        mix(tmp_path, cats, tmp_path / "w.tsv")
    (tmp_path / "none.tsv").write_text("\n")
    with pytest.raises(DataError, match="holds no word"):
        mix(tmp_path, cats, tmp_path / "none.tsv")
    letters = train(tmp_path / "letters", CATS, 2, unit="character")
    with pytest.raises(LanguageModelError, match="lm sample"):
        mix(tmp_path, letters, tmp_path / "w.tsv")
    with pytest.raises(ConfigError, match="all n-gram models have the weight 0"):
        mix(tmp_path, cats, tmp_path / "w.tsv", weights=(0, 1))


def test_components_must_fit_together(tmp_path, cats, ships):
    forms = train(tmp_path / "forms", SHIPS, 2, unit="wordform")
    with pytest.raises(LanguageModelError, match=r"differ in unit.*cats.arpa \(word\).*--unit"):
        mix(tmp_path, cats, forms)
    with pytest.raises(LanguageModelError, match="its unit is the word, not the character"):
        mix(tmp_path, cats, ships, unit="character")
    # Without metadata the unit is what the user says.
    for model in (cats, forms):
        os.unlink(model.arpa.replace(".arpa", ".json"))
    assert mix(tmp_path, cats, forms, unit="wordform").unit == "wordform"
    with pytest.raises(ConfigError, match="cats.arpa: the output would take the place"):
        interpolate(InterpolationConfig((cats.arpa, ships.arpa), cats.arpa))


def test_normalisation_is_the_components(tmp_path, cats):
    rules = ("case", "quotes")
    one, two = (train(tmp_path / name, lines, 2, normalise=rules)
                for name, lines in (("one", ["L’été va", "va"]), ("two", ["IL VA", "va"])))
    with pytest.raises(LanguageModelError, match="differ in normalisation"):
        mix(tmp_path, cats, one)
    (tmp_path / "words.tsv").write_text("Aujourd’hui\t3\n", "utf-8")
    (tmp_path / "held.txt").write_text("L’ÉTÉ\nAUJOURD’HUI IL VA\n", "utf-8")
    mixed = mix(tmp_path, one, two, tmp_path / "words.tsv", heldout=(tmp_path / "held.txt",))
    assert mixed.metadata["normalisation"] == ["NFC", *rules] and mixed.normalise == rules
    assert set(mixed.unigrams) == {"l'été", "va", "il", "aujourd'hui"}
    assert (mixed.metadata["em"]["unknown"], mixed.metadata["heldout"]["oov"]) == (0, 0)
    assert perplexity(mixed, ["L’ÉTÉ"]) == perplexity(mixed, ["l'été"])


def test_damaged_components(tmp_path, cats, ships):
    with pytest.raises(MissingDataError, match="none: no such language model"):
        mix(tmp_path, cats, tmp_path / "none")
    (tmp_path / "b.bin").write_bytes(b"mmap lm http://kheafield.com/code format version 5\n\0")
    with pytest.raises(LanguageModelError, match="b.bin: KenLM cannot read it"):
        mix(tmp_path, cats, tmp_path / "b")
    content = open(ships.arpa, encoding="utf-8").read()
    line = next(line for line in content.split("\n") if "\tship sailed" in line)
    for old, new, message in (
            ("\\end\\", "", "ships.arpa: truncated"),
            (line, line.replace("-", "", 1), "'ship sailed' has the figures"),
            (line, line.replace("sailed", ""), "not 2 words where one 2-gram is due"),
            (line, line.replace("sailed", "swam"), "2-gram 'ship swam' is not 2 of its words"),
            (line, line.replace("ship ", "boat "), "n-grams hold 'boat', its unigrams do not")):
        with open(ships.arpa, "w", encoding="utf-8") as out:
            out.write(content.replace(old, new))
        with pytest.raises(LanguageModelError, match=message):
            mix(tmp_path, cats, ships)
    assert not (tmp_path / "mixed.arpa").exists()


def test_pruned_and_odd_components(tmp_path, cats):
    """Contexts, suffixes and ends that are not there, <s> in the middle, <UNK> for <unk>."""
    (tmp_path / "odd.arpa").write_text(
        "\\data\\\nngram 1=4\nngram 2=2\nngram 3=2\n\n\\1-grams:\n-0.5\t<UNK>\n-99\t<s>\t-0.1\n"
        "-0.5\tcat\t-0.2\n-0.4\tox\n\n\\2-grams:\n-0.3\t<s> ox\t-0.2\n-0.7\tox <s>\n\n"
        "\\3-grams:\n-0.1\tox ox cat\n-0.2\tox <s> ox\n\n\\end\\\n")
    mixed = mix(tmp_path, cats, tmp_path / "odd.arpa")
    arpa = read_arpa(mixed.arpa)
    assert mixed.metadata["components"][1]["left_out"] == 2
    assert {"ox ox", "ox cat"} <= arpa.ngrams[1].keys() and "ox <s>" not in arpa.ngrams[1]
    assert "<UNK>" not in arpa.ngrams[0] and "ox ox cat" in arpa.ngrams[2]
    for context, total in sums(arpa):
        assert total == pytest.approx(1, abs=2e-6), context
    assert sum(s[0] for s in mixed.scorer().full_scores("ox ox cat")) < 0


def test_heldout_without_a_known_token(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.arpa").write_text(
            "\\data\\\nngram 1=3\n\n\\1-grams:\n-99\t<unk>\n-99\t<s>\n0\ta\n\n\\end\\\n")
    (tmp_path / "held.txt").write_text("zebra\n")
    with pytest.raises(LanguageModelError, match="no token that a component knows"):
        mix(tmp_path, tmp_path / "a.arpa", tmp_path / "b.arpa", heldout=(tmp_path / "held.txt",))


@pytest.mark.parametrize("settings, message", [
    (dict(weights=(1,)), "1 weights for 2 models"), (dict(weights=(1, -1)), "0 or more"),
    (dict(weights=(1, math.nan)), "finite"), (dict(weights=(0, 0)), "all weights are 0"),
    (dict(weights=(1, 1), heldout="h"), "not both"), (dict(models=("a",)), "two models"),
    (dict(models=("a.tsv", "b.tsv")), "at least one n-gram model"),
    (dict(unit="line"), "unit must be one of word"), (dict(output="."), "is a folder"),
    (dict(binary_type="x"), "binary_type"), (dict(quantise=26), "2 to 8 bits, not 26"),
    (dict(reserved="x"), "reserved"),
])
def test_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        from_mapping(InterpolationConfig, {"models": ("a", "b"), "output": "m", **{
            name: [value] if name == "heldout" else value for name, value in settings.items()}})


def test_command(tmp_path, environment, cats, ships):
    (tmp_path / "held.txt").write_text("the ship saw a cat\nthe unicorn sat\n")
    (tmp_path / "words.tsv").write_text("unicorn\t2\nbad row!\t1\n")

    def run(*arguments):
        return subprocess.run([sys.executable, "-m", "lm", "mix", *arguments], cwd=tmp_path,
                              env=environment, capture_output=True, text=True, timeout=60)
    done = run("cats", "ships.arpa", "words.tsv", "--output", "out/mix", "--heldout", "held.txt")
    assert done.returncode == 0 and done.stderr == ""
    assert "out/mix.ngram: order 3, words, 3 components" in done.stdout
    assert "words.tsv, 2 n-grams, 1 rows or n-grams left out" in done.stdout
    assert sorted(os.listdir(tmp_path / "out")) == ["mix.arpa", "mix.json", "mix.ngram",
                                                      "mix.unigrams.txt"]
    metadata = load_ngram(tmp_path / "out" / "mix").metadata
    for part in metadata["components"]:
        assert f"weight {part['weight']:.4f}: {part['name']}" in done.stdout
    assert f"perplexity {metadata['em']['perplexity']:.2f}" in done.stdout
    told = run("cats", "ships", "--weights", "1", "3", "--output", "m", "--json")
    assert [p["weight"] for p in json.loads(told.stdout)["components"]] == [0.25, 0.75]
    for arguments, message in (
            (("cats", "ships", "--output", "m", "--weights", "1"), "1 weights for 2 models"),
            (("cats", "ships"), "'output' is missing"),
            (("cats", "none", "--output", "m"), "none: no such language model"),
            (("cats", "ships", "--output", "m", "--weights", "1", "1", "--heldout", "held.txt"),
             "not allowed with")):
        refused = run(*arguments)
        assert refused.returncode == 2 and refused.stderr.count("\n") == 1
        assert message in refused.stderr
