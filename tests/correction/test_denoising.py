import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.base.errors import CheckpointError, ConfigError, MissingDataError
from lm.base.settings import to_mapping
from ocr.base.backend import mx
from ocr.checkpoints.checkpoint import Checkpoint, save_checkpoint
from ocr.correction import build_corrector, corrector_stage, plain_hypothesis
from ocr.correction.denoiser import Denoiser, DenoiserConfig, build_network, denoiser_alphabet
from ocr.correction.denoising import _stretches
from ocr.decoding import Hypothesis, Span
from ocr.models.weights import weights_of
from ocr.text.alphabet import Alphabet

LETTERS = "abcdot "
TEXTS = st.text(LETTERS + "é", max_size=12).map(lambda text: " ".join(text.split()))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Denoisers that copy all but a few characters."""
    def make(weak, instead):
        """`instead` is 3 nats better than the `weak` characters where these are read."""
        path = str(tmp_path_factory.mktemp("model") / "best.ckpt")
        config = DenoiserConfig("out", ("p",), ("v",), embedding=4, hidden=4, layers=1)
        alphabet = denoiser_alphabet([LETTERS])
        net = build_network(config, alphabet)
        net.initialize(mx.init.Zero())
        weights = weights_of(net)
        copy, bias = weights["copy_bias"], weights["output.bias"]
        copy[:] = 8.0
        copy[alphabet.encode(weak)] = 0.0
        bias[alphabet.encode(instead)[0] if instead else alphabet.blank] = 3.0
        save_checkpoint(path, Checkpoint({"denoiser": to_mapping(config)}, alphabet, weights))
        return path
    return make


@pytest.fixture(scope="module")
def a_for_o(model):
    return model("o", "a")


def hypothesis(*words):
    """Words with their confidences."""
    text = " ".join(word for word, _ in words)
    confidences = [c for word, c in words for c in [c] * (len(word) + 1)][:-1]
    characters = tuple(Span(t, i, i + 1, c) for i, (t, c) in enumerate(zip(text, confidences)))
    return Hypothesis(text, -1.0, min(c for _, c in words), characters,
                      tuple(Span(word, 0, 1, c) for word, c in words))


def corrected(path, line, alphabet=None, **settings):
    corrector = build_corrector("denoise", {"model": path, **settings}, alphabet=alphabet)
    [result] = corrector.correct([[line]])
    return result[0].text


def test_words_the_recogniser_is_unsure_of(a_for_o):
    line = hypothesis(("bot", 0.9), ("cot", 0.4), ("dot", 0.7))
    assert corrected(a_for_o, line) == "bat cat dat"
    assert corrected(a_for_o, line, max_confidence=0.7) == "bot cat dat"
    assert corrected(a_for_o, line, max_confidence=0.5) == "bot cat dot"
    assert corrected(a_for_o, line, max_confidence=0.3) == line.text


def test_the_gain_must_exceed_the_margin(a_for_o):
    line = hypothesis(("bot", 0.9), ("coot", 0.5), ("dat", 0.1))
    # Each o gains about 3.
    assert corrected(a_for_o, line, margin=2.0) == "bat caat dat"
    assert corrected(a_for_o, line, margin=4.0) == "bot caat dat"
    assert corrected(a_for_o, line, margin=7.0) == line.text
    # The odds of 0.9 are log 9 = 2.2, those of 0.5 are 0.
    assert corrected(a_for_o, line, weight=1.0) == "bat caat dat"
    assert corrected(a_for_o, line, weight=2.0) == "bot caat dat"


def test_no_confidence_means_never(a_for_o):
    lines = [[hypothesis(("bot", 0.0))], []]
    never = build_corrector("denoise", {"model": a_for_o, "max_confidence": 0.0})
    assert never.correct(lines) is lines
    assert never.correct_line(lines[0]) is lines[0]
    never.reconfigure(corrector_stage("denoise", model=a_for_o).settings)
    assert never.correct(lines)[0][0].text == "bat" and never.correct(lines)[1] == []
    with pytest.raises(ConfigError, match="another model"):
        never.reconfigure(corrector_stage("denoise", model="other.ckpt").settings)


def test_nothing_outside_the_alphabet_is_written(a_for_o):
    line = hypothesis(("bot", 0.5), ("cot", 0.5))
    assert corrected(a_for_o, line, Alphabet("bcot ")) == "bot cot"
    assert corrected(a_for_o, line, Alphabet("abcot ")) == "bat cat"


def test_words_that_are_joined(model):
    path = model(" ", "")
    line = hypothesis(("to", 0.9), ("tot", 0.2), ("bob", 0.9))
    assert corrected(path, line) == "tototbob"
    # A stretch is as sure as its least sure word.
    assert corrected(path, line, max_confidence=0.3) == "tototbob"
    assert corrected(path, line, max_confidence=0.1) == line.text


def test_what_follows_and_what_has_no_words(a_for_o):
    best = hypothesis(("bot", 0.5))
    others = [plain_hypothesis("bat"), plain_hypothesis("bob")]
    corrector = build_corrector("denoise", {"model": a_for_o, "max_confidence": 0.6})
    [line] = corrector.correct([[best, *others]])
    assert [h.text for h in line] == ["bat", "bob"]
    assert line[0].score == best.score and [w.confidence for w in line[0].words] == [0.5]
    # Without words, the line's confidence counts.
    lines = [[Hypothesis("bot", 0.0, 0.6)], [Hypothesis("bot", 0.0, 0.7)], [Hypothesis("", 0, 0)]]
    assert [line[0].text for line in corrector.correct(lines)] == ["bat", "bot", ""]
    assert corrector.correct_line(lines[0])[0].text == "bat"


@given(st.lists(TEXTS, max_size=4))
def test_all_stretches_together_are_the_proposal(a_for_o, texts):
    corrector = build_corrector("denoise", {"model": a_for_o, "margin": -1e9})
    expected = [text.replace("o", "a") for text in texts]
    assert corrector.correct_texts(texts) == expected
    assert Denoiser(a_for_o).correct(texts) == expected


@given(TEXTS, TEXTS)
def test_stretches_turn_one_text_into_the_other(old, new):
    made, end = "", 0
    for start, stop, text in _stretches(old, new):
        assert start >= end and old[start:stop] != text
        assert not start or old[start - 1] == " "
        made, end = made + old[end:start] + text, stop
    assert made + old[end:] == new


def test_bad_models(tmp_path, a_for_o):
    with pytest.raises(ConfigError, match="name its checkpoint in the setting model"):
        build_corrector("denoise")
    with pytest.raises(MissingDataError, match="none.ckpt: no such denoiser"):
        build_corrector("denoise", {"model": "none.ckpt"}, base=str(tmp_path))
    path = str(tmp_path / "ocr.ckpt")
    save_checkpoint(path, Checkpoint({"output": "x"}, Alphabet("ab"), {}))
    with pytest.raises(CheckpointError, match="not a denoiser's"):
        build_corrector("denoise", {"model": path}).correct_texts(["a"])
    for name, value in (("max_confidence", 1.5), ("weight", -1.0), ("margin", float("nan"))):
        with pytest.raises(ConfigError, match=name):
            corrector_stage("denoise", {"model": a_for_o, name: value})
