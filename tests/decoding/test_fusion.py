import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lm import NgramConfig, load_ngram, train_ngram
from lm.base.errors import DecodingError, LanguageModelError, MissingDataError
from lm.normalisation import Normaliser
from ocr.decoding import build_decoder, decoder_stage
from ocr.decoding.parallel import merge_blanks
from ocr.text.alphabet import Alphabet
from ocr.text.ctc import log_softmax

from ..lm.reference import read_arpa
from .bruteforce import label_probabilities
from .reference_search import Reference
from .test_decoders import WIDE, one_hot, tiny

NATURAL = np.log(10)
ALPHABET = Alphabet(" ab")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Models of characters and of words over the alphabet " ab", and one of Greek letters."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "text").write_text("ab ab ba\nab b\naab ab\nb ab\n" * 3, "utf-8")
    (folder / "greek").write_text("γάμμα δέλτα έψιλον\nβήτα άλφα\n" * 3, "utf-8")
    paths = {}
    for name, unit, text, order in (("characters", "character", "text", 3),
                                    ("words", "wordform", "text", 2),
                                    ("split", "word", "text", 2),
                                    ("greek", "character", "greek", 2),
                                    ("greekwords", "wordform", "greek", 2)):
        paths[name] = str(folder / name)
        train_ngram(NgramConfig(corpus=str(folder / text), output=paths[name], order=order,
                                unit=unit, estimator="builtin", binary_type="none"))
    return paths


def fusion(models, alphabet=ALPHABET, **options):
    options = {"lm": models["characters"], "workers": 1, **options}
    return build_decoder("beam-char", alphabet, options)


def language_score(text, models, alpha, beta, word_alpha, unknown):
    """alpha * characters + word_alpha * words + beta, by the models' own whole-line scores."""
    total = beta * len(text)
    model = load_ngram(models["characters"])
    scores = read_arpa(model.arpa).full_scores(" ".join(model.tokenise(text)))
    total += alpha * NATURAL * sum(log_prob for log_prob, _, _ in scores)
    model = load_ngram(models["words"])
    scores = list(read_arpa(model.arpa).full_scores(" ".join(model.tokenise(text)), eos=False))
    return total + word_alpha * sum(NATURAL * p + (unknown if oov else 0) for p, _, oov in scores)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2 ** 20), st.integers(1, 4), st.sampled_from([0.0, 0.7]),
       st.sampled_from([-0.5, 1.0]), st.sampled_from([0.0, 0.4]))
def test_wide_beam_is_the_sum_of_its_parts(models, seed, frames, alpha, beta, word_alpha):
    logits = tiny(seed, frames, 4)
    space, blank = 0, 3
    totals = {}
    for label, probability in label_probabilities(log_softmax(logits), blank).items():
        doubled = any(a == b == space for a, b in zip(label, label[1:]))
        if label[:1] != (space,) and not doubled:
            text = ALPHABET.decode(label).rstrip()
            totals[text] = totals.get(text, 0) + probability
    weights = (alpha, beta, word_alpha, -2.0)
    expected = {t: np.log(p) + language_score(t, models, *weights) for t, p in totals.items()}
    decoder = fusion(models, words=models["words"], alpha=alpha, beta=beta,
                     word_alpha=word_alpha, unk_score_offset=-2.0, **{**WIDE, "merge_blanks": 1.0})
    found = {h.text: h for h in decoder.decode_line(logits, n_best=1000)}
    assert found.keys() == expected.keys()
    assert {t: h.score for t, h in found.items()} == pytest.approx(expected, abs=2e-3)
    for text, hypothesis in found.items():
        assert hypothesis.logit_score == pytest.approx(np.log(totals[text]), abs=1e-3)
    best = max(expected.values())
    assert next(iter(found.values())).score == pytest.approx(best, abs=2e-3)


def unsure(models, **options):
    """A line that is "ab" for sure, but for an "a" that is as likely as a "b" at its end."""
    logits = one_hot([1, 2, 3, 0, 3, 1, 3, 2], 4)
    logits[5, 2] = logits[5, 1] + 0.5
    return fusion(models, **options).decode_line(logits)[0].text


def test_characters_decide(models):
    assert unsure(models, alpha=0.0, beta=0.0) == "ab bb"
    assert unsure(models, alpha=1.0, beta=0.0) == "ab ab"


def test_words_decide(models):
    options = {"lm": None, "words": models["words"], "beta": 0.0}
    assert unsure(models, word_alpha=0.0, **options) == "ab bb"
    assert unsure(models, word_alpha=1.0, **options) == "ab ab"


def test_hotwords_decide(models):
    assert unsure(models, alpha=1.0, hotwords=("bb",), hotword_weight=9.0) == "ab bb"


def test_processes_read_alike(models):
    lines = [tiny(seed, 12, 4) for seed in range(12)]
    texts = [[h[0].text for h in fusion(models, workers=n).decode(lines)] for n in (1, 2)]
    assert texts[0] == texts[1] and len(set(texts[0])) > 1


def test_reconfigured_is_as_built_anew(models):
    decoder = fusion(models, alpha=0.0, words=models["words"], word_alpha=0.0)
    config = decoder_stage("beam-char", lm=models["characters"], words=models["words"],
                           alpha=0.9, beta=0.3, word_alpha=0.5, workers=1)
    decoder.reconfigure(config.settings)
    lines = [tiny(seed, 9, 4) for seed in range(6)]
    assert decoder.decode(lines) == build_decoder(config, ALPHABET).decode(lines)


def test_merged_blanks():
    logits = one_hot([3, 3, 3, 1, 3, 3, 2, 3], 4)
    scores = log_softmax(logits)
    kept, dropped = merge_blanks(scores, 3, 0.99)
    assert (kept == scores[[0, 3, 4, 6, 7]]).all()
    assert dropped == pytest.approx(float(scores[[1, 2, 5], 3].sum()))
    kept, dropped = merge_blanks(scores, 3, 1.0)
    assert (kept == scores).all() and dropped == 0


@given(st.integers(0, 2 ** 20))
def test_merging_sure_blanks_keeps_the_reading(seed):
    rng = np.random.default_rng(seed)
    logits = one_hot(rng.choice(3, 14, p=(0.2, 0.2, 0.6)), 3, strength=14.0)
    alphabet = Alphabet("ab")
    texts = {build_decoder(decoder_stage("beam", merge_blanks=m, workers=1),
                           alphabet).decode_line(logits)[0].text for m in (0.99, 1.0)}
    assert len(texts) == 1


@pytest.mark.parametrize("options, error, message", [
    ({"lm": None}, DecodingError, "beam-char needs a language model of characters"),
    ({"lm": "split"}, DecodingError, "a model of words where one of characters is needed"),
    ({"words": "characters"}, DecodingError, "a model of characters where one of wordforms"),
    ({"lm": "greek"}, DecodingError, "of another alphabet: .*such as"),
    ({"words": "greekwords"}, DecodingError, "only 0 of .* words can be written"),
    ({"lm": "none"}, MissingDataError, "no such language model"),
])
def test_wrong_models(models, options, error, message):
    options = {k: v and models.get(v, v) for k, v in options.items()}
    with pytest.raises(error, match=message):
        fusion(models, **options)


def test_model_cut_off(models, tmp_path):
    text = open(models["characters"] + ".arpa", encoding="utf-8").read()
    path = tmp_path / "cut.arpa"
    path.write_text(text[:len(text) // 2], "utf-8")
    with pytest.raises(LanguageModelError, match="truncated"):
        fusion(models, lm=str(path))


@pytest.mark.parametrize("option, unit", [("lm", "character"), ("words", "wordform")])
def test_models_of_order_1(models, tmp_path, option, unit):
    (tmp_path / "text").write_text("ab ba\n")
    path = str(tmp_path / "one")
    train_ngram(NgramConfig(corpus=str(tmp_path / "text"), output=path, order=1, unit=unit,
                            estimator="builtin", binary_type="none"))
    assert unsure(models, **{option: path, "alpha": 0.0, "word_alpha": 0.0,
                               "beta": 0.0}) == "ab bb"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2 ** 20), st.integers(1, 25), st.sampled_from([1, 3, 10]),
       st.sampled_from([-1.0, -4.0, -30.0]), st.sampled_from([-1.5, -4.0, -30.0]),
       st.booleans(), st.booleans(), st.booleans(), st.sampled_from([-0.5, 1.0]))
# No blank is tried in the second frame, so that no prefix stays as it is.
@example(279001, 2, 1, -1.0, -1.5, True, False, True, -0.5)
def test_reads_as_the_plain_search(models, seed, frames, width, prune, least, letters, words,
                                   boundary, beta):
    options = {"beam_width": width, "beam_prune_logp": prune, "token_min_logp": least,
               "merge_blanks": 1.0, "lm_score_boundary": boundary, "beta": beta, "alpha": 0.6,
               "word_alpha": 0.4, "unk_score_offset": -2.0, "hotwords": ("ba",) * words,
               "hotword_weight": 1.5, "lm": models["characters"] if letters or not words else None,
               "words": models["words"] if words else None}
    decoder = fusion(models, **options)
    reference = Reference(
        decoder.config, ALPHABET,
        *(model and read_arpa(model + ".arpa") for model in (options["lm"], options["words"])))
    # Lines of several lengths side by side, each as if it were alone.
    lines = [tiny(seed + n, max(1, frames - 3 * n), 4) for n in range(4)]
    for line, found in zip(lines, decoder.decode(lines, n_best=3)):
        expected = reference.read(log_softmax(line))
        best = sorted((logit + score for logit, score in expected.values()), reverse=True)[:3]
        assert [h.score for h in found] == pytest.approx(best, abs=1e-4)
        for h in found:
            assert (h.logit_score, h.lm_score) == pytest.approx(expected[h.text], abs=1e-4)


def test_a_space_for_sure_at_the_start(models):
    logits = one_hot([0, 1, 2], 4, strength=30.0)
    assert fusion(models).decode_line(logits)[0].text == "ab"


def test_a_line_reads_the_same_again_and_after_much_is_forgotten(models, monkeypatch):
    decoder = fusion(models, words=models["words"])
    lines = [tiny(seed, 15, 4) for seed in range(6)]
    first = decoder.decode(lines)
    assert decoder.decode(lines) == first
    monkeypatch.setattr("ocr.decoding.prefixes.Language.LIMIT", (1, 1))
    assert decoder.decode(lines) == first == [decoder.decode([line])[0] for line in lines]


@pytest.mark.parametrize("hotword, line, text", [
    ("d'or", "d'or", "d'or"), ("d'or", "d'ort", "d'ort"), ("-d'or,", "xd'or", "xd'or"),
    ("a-b", "a-b", "a-b"), ("'!", "or", "or")])
def test_hotwords_with_apostrophes_and_hyphens(tmp_path, hotword, line, text):
    alphabet = Alphabet(" '-abdortx")
    (tmp_path / "t").write_text("d'or a-b xt\n")
    train_ngram(NgramConfig(str(tmp_path / "t"), str(tmp_path / "m"), 2, "character",
                            estimator="builtin", binary_type="none"))
    logits = one_hot(alphabet.encode(line), alphabet.num_classes)
    scores = [build_decoder("beam-char", alphabet, {
        "lm": str(tmp_path / "m"), "workers": 1, "hotwords": words,
        "hotword_weight": 4.0}).decode_line(logits)[0] for words in ((), (hotword,))]
    assert scores[0].text == scores[1].text == text
    matched = text == hotword.strip("-,")
    assert scores[1].score - scores[0].score == pytest.approx(4.0 * matched, abs=1e-6)



@pytest.mark.parametrize("unit, setting", [("character", "lm"), ("wordform", "words")])
def test_readings_are_looked_up_as_the_models_text_was_normalised(tmp_path, unit, setting):
    (tmp_path / "text.txt").write_text("L’ÉTÉ d’ici\nL’ÉTÉ\nd’ici L’ÉTÉ\n" * 3, "utf-8")
    scores = []
    for name, rules in (("as-it-is", ()), ("plain", ("case", "quotes", "accents"))):
        path = str(tmp_path / name)
        train_ngram(NgramConfig(str(tmp_path / "text.txt"), path, order=2, unit=unit,
                                normalise=rules, estimator="builtin", binary_type="none"))
        alphabet = Alphabet("ÉLT’dic ")
        search = build_decoder("beam-char", alphabet, {
            setting: path, "beta": 0.0, "alpha": 0.5, "word_alpha": 0.5, "workers": 1})
        logits = one_hot(alphabet.indices("L’ÉTÉ d’ici"), alphabet.num_classes)
        scores.append(search.decode_line(logits)[0].lm_score)
    # One text, one model, whatever way it was written.
    assert scores[1] == pytest.approx(scores[0], abs=1e-6)


def test_a_normalised_character_stays_one():
    normaliser = Normaliser(("accents", "case", "quotes", "spaces", "punctuation"))
    assert [normaliser.character(c) for c in "É’ \u00a0,\u0301İ"] == [
        "e", "'", " ", " ", ",", "\u0301", "i"]


def test_a_line_that_may_only_begin_with_a_space(models):
    logits = np.full((2, 4), -20.0, np.float32)
    logits[0, 0] = logits[1, 1] = 20.0
    assert fusion(models).decode_line(logits)[0].text == "a"
