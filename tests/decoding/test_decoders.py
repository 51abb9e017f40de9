import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm.base.errors import ConfigError, DecodingError, OCRError, UnknownNameError
from ocr.decoding import build_decoder, decoder_stage, list_decoders
from ocr.decoding.beam import BeamConfig
from ocr.text.alphabet import Alphabet
from ocr.text.ctc import align, log_softmax

from .bruteforce import all_paths, best_path_of, label_probabilities

WIDE = {"beam_width": 10_000, "beam_prune_logp": -1e9, "token_min_logp": -1e9, "workers": 1}


def tiny(seed, frames, classes, scale=2.0):
    return np.random.default_rng(seed).normal(0, scale, (frames, classes)).astype(np.float32)


def one_hot(indices, classes, strength=12.0):
    logits = np.zeros((len(indices), classes), np.float32)
    logits[np.arange(len(indices)), indices] = strength
    return logits


def decoder(name, alphabet, **settings_):
    if name != "greedy":
        settings_["workers"] = 1
    return build_decoder(name, alphabet, settings_)


@given(st.integers(0, 2 ** 20), st.integers(1, 5))
def test_greedy_is_the_best_path(seed, frames):
    alphabet = Alphabet("abc")
    logits = tiny(seed, frames, 4)
    [hypothesis] = decoder("greedy", alphabet).decode_line(logits)
    label, score, _ = max(all_paths(log_softmax(logits), 3), key=lambda p: p[1])
    assert hypothesis.text == alphabet.decode(label)
    assert hypothesis.score == pytest.approx(score, abs=1e-4)


@settings(max_examples=25)
@given(st.integers(0, 2 ** 20), st.integers(1, 4))
def test_wide_beam_ranks_by_the_probability_of_all_paths(seed, frames):
    alphabet = Alphabet("ab")
    logits = tiny(seed, frames, 3)
    totals = label_probabilities(log_softmax(logits), 2)
    beam = build_decoder(decoder_stage("beam", **WIDE), alphabet)
    hypotheses = beam.decode_line(logits, n_best=50)
    expected = sorted(totals.values(), reverse=True)
    assert [np.exp(h.score) for h in hypotheses] == pytest.approx(expected, rel=1e-3)
    for h in hypotheses:
        assert np.exp(h.score) == pytest.approx(totals[tuple(alphabet.encode(h.text))], rel=1e-3)


@given(st.integers(0, 2 ** 20), st.integers(1, 5), st.lists(st.integers(0, 1), max_size=3))
def test_alignment_is_the_labels_best_path(seed, frames, label):
    scores = log_softmax(tiny(seed, frames, 3))
    needed = len(label) + sum(a == b for a, b in zip(label, label[1:]))
    if needed > frames:
        with pytest.raises(DecodingError, match=f"needs {needed} frames"):
            align(scores, label, 2)
        return
    spans, score = align(scores, label, 2)
    assert score == pytest.approx(best_path_of(scores, label, 2), abs=1e-4)
    assert len(spans) == len(label)
    ends = [0, *(e for _, e in spans)]
    assert all(last <= s < e <= frames for last, (s, e) in zip(ends, spans))


@given(st.lists(st.tuples(st.integers(0, 2 ** 20), st.integers(0, 9)), min_size=1, max_size=6))
def test_lines_are_aligned_together_as_alone(lines):
    alphabet = Alphabet("ab ")
    logits = [tiny(seed, frames, 4) for seed, frames in lines]
    beam = build_decoder(decoder_stage("beam", workers=1), alphabet)
    together = beam.decode(logits, n_best=3)
    assert together == [beam.decode_line(line, n_best=3) for line in logits]
    for line, hypotheses in zip(logits, together):
        scores = log_softmax(line) if len(line) else line
        for h in hypotheses:
            spans, _ = align(scores, alphabet.encode(h.text), alphabet.blank)
            assert [(s.start, s.end) for s in h.characters] == spans
            for span, index in zip(h.characters, alphabet.encode(h.text)):
                assert span.confidence == pytest.approx(
                    np.exp(scores[span.start:span.end, index].max()))


@pytest.mark.parametrize("name", ["greedy", "beam"])
def test_spans_and_confidence(name):
    alphabet = Alphabet("ab ")
    logits = one_hot([3, 0, 0, 3, 0, 2, 1, 3], 4)
    [hypothesis] = decoder(name, alphabet).decode_line(logits)
    assert hypothesis.text == "aa b"
    assert [(s.text, s.start, s.end) for s in hypothesis.characters] == [
        ("a", 1, 3), ("a", 4, 5), (" ", 5, 6), ("b", 6, 7)]
    assert [(s.text, s.start, s.end) for s in hypothesis.words] == [("aa", 1, 5), ("b", 6, 7)]
    assert hypothesis.confidence > 0.99
    unsure = decoder(name, alphabet).decode_line(logits / 12)[0]
    assert unsure.confidence < 0.6


@pytest.mark.parametrize("name", ["greedy", "beam"])
def test_empty_blank_and_space_lines(name):
    alphabet = Alphabet("a ")
    search = decoder(name, alphabet)
    assert search.decode_line(np.zeros((0, 3), np.float32))[0].text == ""
    blank = search.decode_line(one_hot([2, 2, 2], 3))[0]
    assert blank.text == "" and blank.words == () and blank.confidence > 0.9
    spaced = search.decode_line(one_hot([1, 0, 1, 2, 1, 0, 1], 3))[0]
    assert spaced.text == "a a" and len(spaced.characters) == 3
    assert search.decode([]) == []


def test_lengths_cut_the_padding():
    alphabet = Alphabet("ab")
    batch = np.stack([one_hot([0, 1, 0, 1], 3), one_hot([1, 1, 1, 1], 3)])
    texts = [h[0].text for h in decoder("greedy", alphabet).decode(batch, lengths=[1, 3])]
    assert texts == ["a", "b"]


@pytest.mark.parametrize("logits, lengths, message", [
    (np.zeros((1, 4, 3)), None, r"line 0: logits of shape \(4, 3\), expected \(frames, 4\)"),
    ([np.zeros((2, 4)), np.full((2, 4), np.nan)], None, "line 1: the logits hold NaN"),
    (np.zeros((2, 4, 4)), [4], "1 lengths for 2 lines"),
    (np.zeros((1, 4, 4)), [5], "line 0: length 5 of 4 frames"),
])
def test_bad_logits_name_the_line(logits, lengths, message):
    with pytest.raises(DecodingError, match=message):
        decoder("greedy", Alphabet("abc")).decode(logits, lengths)


@pytest.mark.parametrize("characters", ["ab_", "ab|", "ab▁", "ab⁇", "ab\u00a0 ", "a\nb ", "#ab[]<>",
                                        "\ue000b▁ "])
def test_any_alphabet_survives_the_beam(characters):
    alphabet = Alphabet(characters)
    label = [i for i, c in enumerate(characters) if c != " "]
    frames = [v for i in label for v in (i, alphabet.blank)]
    logits = one_hot(frames, alphabet.num_classes)
    assert decoder("beam", alphabet).decode_line(logits)[0].text == alphabet.decode(label)


@pytest.mark.parametrize("name", ["greedy", "beam"])
def test_parts_that_compose_to_what_the_alphabet_lacks(name):
    alphabet = Alphabet("ex\u0301 ")
    lines = [one_hot([0, 2, 4, 1], 5), one_hot([1, 4, 1], 5)]
    first, second = [line[0] for line in decoder(name, alphabet).decode(lines)]
    assert first.text == "e\u0301x" and second.text == "xx"
    assert [s.text for s in first.characters] == ["e", "\u0301", "x"]


@given(st.integers(0, 2 ** 20))
def test_n_best_is_ordered_and_distinct(seed):
    alphabet = Alphabet("abc ")
    hypotheses = decoder("beam", alphabet).decode_line(tiny(seed, 9, 5), n_best=6)
    scores = [h.score for h in hypotheses]
    assert scores == sorted(scores, reverse=True) and len(hypotheses) <= 6
    assert len({h.text for h in hypotheses}) == len(hypotheses)
    for h in hypotheses:
        assert 0 <= h.confidence <= 1
        assert "".join(s.text for s in h.characters) == h.text


def test_workers_give_the_same_also_after_mxnet_ran(lm):
    from ocr.base.backend import nd

    nd.ones((4, 4)).sum().wait_to_read()
    alphabet = Alphabet("abcdot ")
    lines = [tiny(i, 5 + i, 8) for i in range(12)]
    results = [build_decoder(decoder_stage("beam-lm", lm=lm, workers=n), alphabet)
               .decode(lines, n_best=3) for n in (1, 3)]
    assert results[0] == results[1]


ARPA = """\\data\\
ngram 1=6
ngram 2=4

\\1-grams:
-2.0\t<unk>\t0
0\t<s>\t-0.1
-1.0\t</s>\t0
-1.0\tcat\t-0.1
-1.0\tcot\t-0.1
-1.0\ta\t-0.1

\\2-grams:
-0.1\t<s> a\t0
-0.1\ta cat\t0
-3.0\ta cot\t0
-0.1\tcat </s>\t0

\\end\\
"""


@pytest.fixture
def lm(tmp_path):
    (tmp_path / "words.arpa").write_text(ARPA)
    return str(tmp_path / "words")


def cot_or_cat():
    """Logits of "a c?t" in which o is a little likelier than a."""
    alphabet = Alphabet("acot ")
    logits = one_hot([0, 4, 1, 2, 3], 6)
    logits[3, 0] = logits[3, 2] - 0.5
    return alphabet, logits


def test_the_language_model_decides(lm):
    alphabet, logits = cot_or_cat()
    assert decoder("beam", alphabet).decode_line(logits)[0].text == "a cot"
    [best] = decoder("beam-lm", alphabet, lm=lm, alpha=1.0).decode_line(logits)
    assert best.text == "a cat"
    assert best.score == pytest.approx(best.logit_score + best.lm_score)
    neutral = decoder("beam-lm", alphabet, lm=lm, alpha=0.0, beta=0.0, unk_score_offset=0.0)
    [without] = neutral.decode_line(logits)
    assert without.text == "a cot" and without.lm_score == pytest.approx(0)


def test_unknown_words_pay_their_penalty(lm):
    alphabet = Alphabet("acot ")
    logits = one_hot([0, 4, 1, 2, 2], 6)
    logits[4, 3] = logits[4, 2] - 1.0
    free = decoder("beam-lm", alphabet, lm=lm, alpha=0.0, beta=0.0, unk_score_offset=0.0)
    strict = decoder("beam-lm", alphabet, lm=lm, alpha=0.5, beta=0.0, unk_score_offset=-10.0)
    assert free.decode_line(logits)[0].text == "a co"
    assert strict.decode_line(logits)[0].text in ("a cot", "a cat")


def test_language_model_errors(tmp_path, lm):
    alphabet = Alphabet("acot ")

    def build(**settings_):
        return decoder("beam-lm", alphabet, **settings_)

    with pytest.raises(DecodingError, match="needs a language model"):
        build()
    with pytest.raises(OCRError, match="nowhere"):
        build(lm=str(tmp_path / "nowhere"))
    (tmp_path / "cut.arpa").write_text(ARPA[:len(ARPA) // 2])
    with pytest.raises(OCRError, match="cut.arpa"):
        build(lm=str(tmp_path / "cut.arpa"))
    (tmp_path / "words.json").write_text('{"unit": "character"}')
    with pytest.raises(OCRError, match="character"):
        build(lm=lm)
    (tmp_path / "words.json").unlink()
    with pytest.raises(DecodingError, match="only 0 of its 3 words"):
        build_decoder(decoder_stage("beam-lm", lm=lm), Alphabet("xyz"))


def test_registry_and_settings():
    assert list_decoders() == ["beam", "beam-char", "beam-lm", "greedy"]
    with pytest.raises(UnknownNameError, match="known: beam, beam-char, beam-lm, greedy"):
        decoder("bean", Alphabet("a"))
    assert decoder_stage("beam", beam_width=7).settings == BeamConfig(beam_width=7)
    with pytest.raises(ConfigError, match="unknown setting 'beam.alpha'; known here: beam_width"):
        decoder_stage("beam", alpha=0.5)


@pytest.mark.parametrize("bad", [
    {"beam_width": 0}, {"beam_width": 10 ** 30}, {"token_min_logp": 1.0}, {"alpha": -1.0},
    {"alpha": float("nan")}, {"beta": float("inf")}, {"beam_prune_logp": float("-inf")},
    {"merge_blanks": float("nan")}, {"unk_score_offset": 1}, {"hotword_weight": float("nan")},
    {"workers": -1}, {"workers": 10 ** 9}, {"hotwords": ["two words"]}, {"hotwords": [""]},
    {"lm_score_boundary": 1}])
@pytest.mark.parametrize("name", ["beam-lm", "beam-char"])
def test_numbers_that_make_no_sense(name, bad):
    with pytest.raises(ConfigError) as caught:
        decoder_stage(name, bad)
    assert next(iter(bad)).rstrip("s") in str(caught.value) and "\n" not in str(caught.value)
