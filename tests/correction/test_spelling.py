import dataclasses
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm.base.errors import ConfigError, DataError, DecodingError, MissingDataError, OCRError
from lm.confusions import ConfusionModel
from lm.denoising import DenoisingPair
from lm.training import NgramConfig, train_ngram
from ocr.correction import build_corrector, plain_hypothesis
from ocr.correction.spelling import SpellingConfig, SpellingCorrector
from ocr.decoding.base import Hypothesis
from ocr.text.alphabet import Alphabet

WORDS = ("le\t50\nchat\t9\nchut\t8\nboit\t7\nlait\t6\nensuite\t6\nété\t5\nchaton\t4\nlaid\t3\n"
         "0000\t2\n")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "w.tsv").write_text(WORDS, "utf-8")
    return tmp_path


@pytest.fixture
def build(folder):
    def make(alphabet=None, **settings):
        return build_corrector("spelling", {"lexicon": ["w.tsv"], "max_confidence": 0.5,
                                            **settings}, str(folder), alphabet)
    return make


@pytest.fixture
def no_tools(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


def correct(corrector, text):
    return corrector.correct_texts([text])[0]


@pytest.mark.parametrize("read, written", [
    ("le chaat  boit, le lalt!", "le chat  boit, le lait!"),
    ("l'étté du-chatt", "l'été du-chat"),
    ("Chatt. Chatt ! « Chatt", "Chat. Chat ! « Chat"),
    ("Étté", "Été"), ("le cha -", "le chat -"), ("– Chatt", "– Chat"), ("", ""), ("?!", "?!")])
def test_unknown_words_are_replaced_and_all_else_stays(build, read, written):
    assert correct(build(), read) == written


@pytest.mark.parametrize("text", [
    "le 1974x cha7 19741", "CHATT CHaT cHATT", "le Chatt", "J. Chatt, l'Chatt", "xy le", "lo",
    "le cha-", "chat chut chaton", "un zzzzzz"])
def test_what_is_never_touched(build, text):
    assert correct(build(max_confidence=1.0), text) == text


def test_short_words_follow_the_setting(build):
    assert correct(build(min_length=2, margin=-3.0), "lo") == "le"
    assert correct(build(min_length=5), "chatt chat lait lalt") == "chat chat lait lalt"


def test_two_edits_only_when_asked_and_in_longer_words(build):
    assert correct(build(), "chhatton") == "chhatton"
    assert correct(build(max_edits=2), "chhatton") == "chaton"
    assert correct(build(max_edits=2), "étxy") == "étxy"


def test_confidence_decides_word_by_word(build):
    corrector = build(max_confidence=0.8)
    sure = plain_hypothesis("chatt lalt", 0.9)
    characters = tuple(span._replace(confidence=0.6) if i > 5 else span
                       for i, span in enumerate(sure.characters))
    [[found]] = corrector.correct([[dataclasses.replace(sure, characters=characters)]])
    assert found.text == "chatt lait"
    assert found.characters[:6] == sure.characters[:6]
    assert [word.text for word in found.words] == ["chatt", "lait"]
    assert corrector.correct([[sure]]) == [[sure]]
    # Without characters the line's confidence holds for all.
    assert correct_bare(corrector, 0.9) == "chatt" and correct_bare(corrector, 0.8) == "chat"


def correct_bare(corrector, confidence):
    return corrector.correct_line([Hypothesis("chatt", -1.0, confidence)])[0].text


@settings(max_examples=50, deadline=None)
@given(text=st.text("chat léÉ.Bx1\u0301", max_size=25), confidence=st.floats(0, 1))
def test_laws(tmp_path_factory, text, confidence):
    path = tmp_path_factory.getbasetemp() / "laws.tsv"
    path.write_text(WORDS, "utf-8")
    alphabet = Alphabet("chat léÉ.Bx1\u0301")
    line, nfc = [plain_hypothesis(text, confidence)], unicodedata.normalize("NFC", text)
    corrector = SpellingCorrector(SpellingConfig((str(path),)), alphabet=alphabet)
    assert corrector.correct_line(line) is line
    for change in ({"margin": 100.0}, {"lm_weight": 0.0}):
        corrector.reconfigure(SpellingConfig((str(path),), max_confidence=1.0, **change))
        found = corrector.correct_line([plain_hypothesis(nfc, confidence)])
        assert found[0].text == nfc
    corrector.reconfigure(SpellingConfig((str(path),), max_confidence=1.0, touch_known=True))
    assert set(corrector.correct_line(line)[0].text) <= {*alphabet.characters, *nfc}


def test_text_is_brought_to_nfc(build):
    assert correct(build(), "e\u0301tte\u0301 le") == "été le"


def test_other_hypotheses_follow_without_repetitions(build):
    lines = [plain_hypothesis(text) for text in ("le chatt", "le chat", "le chut", "le chatt")]
    found = build().correct_line(lines)
    assert [h.text for h in found] == ["le chat", "le chut", "le chatt"]
    assert found[1:] == lines[2:] and found[0].score == lines[0].score


def test_context_decides(build, folder, no_tools):
    pytest.importorskip("kenlm")
    (folder / "t.txt").write_text("le chat boit\n" * 5 + "ensuite chut dit le chat\n" * 2,
                                  "utf-8")
    train_ngram(NgramConfig(corpus=(str(folder / "t.txt"),), output=str(folder / "m" / "forms"),
                            unit="wordform", order=2))
    for corrector in (build(lm="m/forms"), build(lexicon=[], lm="m/forms")):
        assert correct(corrector, "Le chot.") == "Le chat."
        assert correct(corrector, "ensuite chot") == "ensuite chut"
        assert correct(corrector, "chot, dit le") == "chut, dit le"
        # A corrected word is context for the next.
        assert correct(corrector, "zzzz chot") == "zzzz chat"
        assert correct(corrector, "ensuitte chot") == "ensuite chut"
    # Of two words that the model does not list the lexicon's frequency decides.
    assert correct(build(lm="m/forms"), "le lai") == "le lait"


def test_learned_confusions_decide(build, folder):
    for became, expected in (("a", "chat"), ("u", "chut")):
        pairs = [DenoisingPair(str(i), f"m{became}t", "mot") for i in range(40)]
        ConfusionModel.learn(pairs).save(str(folder / f"{became}.json"))
        assert correct(build(confusions=f"{became}.json"), "chot") == expected


def test_known_words_are_touched_when_asked(build, folder):
    pairs = [DenoisingPair(str(i), "fat", "fad") for i in range(40)]
    ConfusionModel.learn(pairs).save(str(folder / "c.json"))
    corrector = build(confusions="c.json")
    assert correct(corrector, "laid") == "laid"
    corrector.reconfigure(dataclasses.replace(corrector.config, touch_known=True, margin=-3.0))
    assert correct(corrector, "laid") == "lait"


def test_nothing_outside_the_alphabet_is_written(build):
    assert correct(build(Alphabet("étcha ")), "étté") == "été"
    assert correct(build(Alphabet("etcha ")), "étté") == "étté"
    assert correct(build(Alphabet("étÉ")), "Étté") == "Été"
    assert correct(build(Alphabet("éto")), "Étté") == "Étté"


def test_reconfigure_keeps_what_is_loaded(build, folder):
    corrector = build()
    (folder / "w.tsv").unlink()
    corrector.reconfigure(dataclasses.replace(corrector.config, margin=50.0))
    assert correct(corrector, "chatt") == "chatt"
    corrector.reconfigure(dataclasses.replace(corrector.config, margin=0.0))
    assert correct(corrector, "chatt") == "chat"
    with pytest.raises(ConfigError, match="other files"):
        corrector.reconfigure(dataclasses.replace(corrector.config, confusions="c.json"))


def test_tunable_settings_exist_and_begin_with_none():
    fields = {f.name for f in dataclasses.fields(SpellingConfig)}
    assert set(SpellingCorrector.tunable) <= fields and set(SpellingCorrector.paths) <= fields
    assert SpellingCorrector.tunable["max_confidence"][0][0] == 0.0
    for name, (values, step, low, high) in SpellingCorrector.tunable.items():
        assert step > 0 and all(low <= value <= high for value in values)
        for value in (*values, low, high):
            SpellingConfig(**{name: value})


@pytest.mark.parametrize("setting, message", [
    ({"max_confidence": 1.1}, "max_confidence"), ({"lm_weight": -1}, "lm_weight"),
    ({"margin": float("nan")}, "margin"), ({"max_edits": 3}, "max_edits"),
    ({"min_length": 0}, "min_length"), ({"lexicon": [""]}, "empty path")])
def test_bad_settings(build, setting, message):
    with pytest.raises(ConfigError, match=f"spelling.*{message}"):
        build(**setting)
    assert SpellingConfig(lexicon="w.tsv") == SpellingConfig(lexicon=("w.tsv",))


def test_bad_files(build, folder, no_tools):
    pytest.importorskip("kenlm")
    (folder / "empty.tsv").write_text("")
    (folder / "t.txt").write_text("le chat boit\n" * 5)
    for unit in ("character", "word"):
        train_ngram(NgramConfig(corpus=(str(folder / "t.txt"),), output=str(folder / unit),
                                unit=unit, order=2))
    for setting, kind, message in (
            ({"lexicon": []}, ConfigError, "spelling needs a lexicon"),
            ({"lexicon": ["none.tsv"]}, MissingDataError, "none.tsv: no such"),
            ({"lexicon": ["empty.tsv"]}, DataError, "empty.tsv: holds no words"),
            ({"lexicon": ["character"]}, DataError, "a model of characters; a lexicon takes"),
            ({"lm": "character"}, DecodingError, "a model of characters; the speller takes"),
            ({"lm": "word"}, DecodingError, "a model of words; the speller takes"),
            ({"lm": "none"}, MissingDataError, "no such language model"),
            ({"confusions": "none.json"}, MissingDataError, "no such file of confusions"),
            ({"alphabet": Alphabet("xyz0")}, DecodingError, "none of the lexicon's 10 words can")):
        with pytest.raises(kind, match=message) as caught:
            build(**setting)
        assert isinstance(caught.value, OCRError) and "\n" not in str(caught.value)


def test_parts_are_composed_only_where_the_alphabet_has_the_whole(build):
    parts = plain_hypothesis("mai\u0302son")
    letters = "maisonx\u0302 lecht"
    for characters, text in ((letters, parts.text), (letters + "\u00ee", "ma\u00eeson"),
                             (None, "ma\u00eeson")):
        alphabet = characters and Alphabet(characters)
        assert build(alphabet).correct_line([parts])[0].text == text
