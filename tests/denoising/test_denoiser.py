import dataclasses
import json
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from lm.base.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    MissingDataError,
    OCRError,
    TrainingError,
)
from lm.denoising import DenoisingPair, write_pairs
from lm.noise import NoiseModel, tidy
from ocr.base.backend import mx
from ocr.cli.main import main
from ocr.correction.denoiser import Denoiser, DenoiserConfig, build_network, denoiser_alphabet
from ocr.denoising.data import CleanText, Examples
from ocr.denoising.training import DenoiserTrainer, train_denoiser
from ocr.models.denoiser import collate_readings, frame_count
from ocr.recognition.network import Recogniser
from ocr.text.alphabet import Alphabet
from ocr.text.metrics import TextMetric, confusions

LETTERS = "abcdefgh "
SMALL = {"embedding": 12, "hidden": 16, "layers": 1, "dropout": 0.0}


def config_of(**settings):
    return DenoiserConfig(**{"output": "out", "pairs": ("p",), "validation_pairs": ("v",),
                             **SMALL, **settings})


def random_texts(number, seed=0, longest=20, letters=LETTERS):
    rng = np.random.default_rng(seed)
    texts = ("".join(rng.choice(list(letters), rng.integers(4, longest))) for _ in range(number))
    return [text for text in map(tidy, texts) if text]


def misread(text):
    """Every a after a b is read as o."""
    return text.replace("ba", "bo")


def write(path, texts, origin="none"):
    write_pairs(str(path), [DenoisingPair(str(i), t, r) for i, (t, r) in enumerate(texts)],
                {"readings_of_training_lines": origin})
    return str(path)


@pytest.fixture(scope="module")
def untrained():
    mx.random.seed(1)
    alphabet = denoiser_alphabet([LETTERS])
    net = build_network(config_of(layers=2), alphabet)
    net.initialize(mx.init.Xavier())
    net.hybridize()
    return Denoiser.of(net, alphabet)


@pytest.fixture
def files(tmp_path):
    """Settings with 300 pairs to train on, 40 to validate on."""
    pairs = [[(t, misread(t)) for t in random_texts(n, n)] for n in (300, 40)]
    return {"output": str(tmp_path / "out"),
            "pairs": (write(tmp_path / "train.jsonl", pairs[0]),),
            "validation_pairs": (write(tmp_path / "valid.jsonl", pairs[1]),)}


# -- network --------------------------------------------------------------------------------


@settings(max_examples=10)
@given(st.lists(st.text(LETTERS + "éß\ufffd"), max_size=5))
def test_an_untrained_network_copies(untrained, texts):
    # With what it does not know, also side by side.
    assert untrained.correct(texts) == [tidy(text) for text in texts]


def test_a_line_is_read_alone_as_in_a_batch(untrained):
    texts = ["", "ab", "hh é", "a longer line gets padded to".replace("r", "h"), "dad" * 40]
    together = untrained.logits(texts)
    for text, logits in zip(texts, together):
        assert logits.shape == (frame_count(len(text), 2), untrained.alphabet.num_classes)
        np.testing.assert_allclose(untrained.logits([text])[0], logits, atol=1e-4)
    assert all(np.array_equal(a, b) for a, b in zip(together, untrained.logits(texts)))


def test_any_weights_keep_unknown_characters():
    mx.random.seed(2)
    alphabet = denoiser_alphabet([LETTERS])
    net = build_network(config_of(), alphabet)
    net.initialize(mx.init.Normal(2.0))
    texts = ["ab€cd", "€€", "f ŵ€ g"]
    read = Denoiser.of(net, alphabet).correct(texts)
    assert read != texts
    assert ["".join(c for c in text if c in "€ŵ") for text in read] == ["€", "€€", "ŵ€"]


def test_inputs_of_the_network():
    tokens, places, frames = collate_readings([[3, 4], []], 2, 9)
    assert frames.tolist() == [6, 2] and tokens.shape == places.shape == (2, 16)
    assert tokens[0, :7].tolist() == [8, 3, 3, 4, 4, 8, 8]
    assert places[0, :7].tolist() == [2, 0, 1, 0, 1, 2, 2]
    assert set(tokens[1]) == {8} and set(places[1]) == {2}


def test_likelihoods_sum_to_one(untrained):
    # Of two frames: nothing, each character, and each pair of different ones.
    alphabet = untrained.alphabet
    logits = np.random.default_rng(0).normal(0, 2, (2, alphabet.num_classes)).astype(np.float32)
    singles = list(alphabet.characters)
    texts = ["", *singles, *(a + b for a in singles for b in singles if a != b)]
    scores = untrained.log_likelihoods([logits] * len(texts), texts)
    assert np.exp(scores).sum() == pytest.approx(1.0, abs=1e-4)
    assert untrained.log_likelihoods([logits] * 2, ["aa", "abc"]).tolist() == [-np.inf] * 2


# -- noise ----------------------------------------------------------------------------------


def test_noise_has_the_proportions_it_learned():
    rng = np.random.default_rng(3)
    truths, readings = random_texts(1500, 1, 40, string.ascii_lowercase + " "), []
    wrong = {"a": "e", "b": "", "c": "cd", "d": "o", "e": "c", "f": "t", "g": "", "m": "rn"}
    for text in truths:
        rate = rng.choice([0.0, 0.1, 0.6])
        readings.append(tidy("".join(wrong.get(c, c) if rng.random() < rate else c
                                     for c in text)))
    noise = NoiseModel.from_dict(json.loads(json.dumps(
        NoiseModel.learn(zip(truths, readings)).to_dict())))
    noised = [noise.apply(text, rng) for text in truths]
    results = []
    for read in (readings, noised):
        metric = TextMetric()
        metric.update_many(truths, read)
        rows = metric.line_counts()
        spread = np.percentile(rows[:, 0] / rows[:, 1], [25, 50, 75, 90])
        results.append((metric.summary(bootstrap=0).cer, spread,
                        {(c["truth"], c["read"]): c["share"] for c in confusions(truths, read, 8)}))
    (cer, spread, top), (made_cer, made_spread, made_top) = results
    assert made_cer == pytest.approx(cer, rel=0.1)
    assert np.abs(made_spread - spread).max() < 0.04
    assert all(abs(top[key] - made_top.get(key, 0.0)) < 0.02 for key in top)


def test_what_is_inserted_counts_with_a_misread_neighbour():
    counts = NoiseModel.learn([("ame", "arne"), ("ab", "xab"), ("bc", "bcc")]).counts
    assert counts["m"] == {"rn": 1} and counts[""] == {"": 2, "x": 1}
    assert sum(n for c in "bc" for r, n in counts[c].items() if len(r) == 2) == 1


def test_no_errors_and_unknown_characters_are_left_alone():
    noise = NoiseModel.learn([("abc", "abc")])
    assert noise.apply(" a  xyz ", np.random.default_rng(0)) == "a xyz"
    noise = NoiseModel.learn([("aaaa", "bbbb")])
    assert noise.apply("xyz", np.random.default_rng(0)) == "xyz"
    assert noise.apply("a" * 40, np.random.default_rng(0)).count("b") > 30


@given(st.lists(st.tuples(st.text("ab c", min_size=1).filter(str.strip), st.text("ab cd")),
                min_size=1, max_size=6), st.text("abcde "))
def test_noise_of_any_pairs(pairs, text):
    noise = NoiseModel.learn(pairs)
    made = noise.apply(text, np.random.default_rng(0))
    assert made == tidy(made) and set(made) <= set("abcde ")
    # The levels' mean is the error rate of all lines together.
    edits = sum(Levenshtein.distance(tidy(t), tidy(r)) for t, r in pairs)
    assert np.mean(noise.rates) == pytest.approx(edits / sum(len(tidy(t)) for t, _ in pairs),
                                                 abs=1e-6)


def test_bad_noise_models(tmp_path):
    with pytest.raises(DataError, match="at least one line"):
        NoiseModel.learn([("", "a")])
    path = tmp_path / "noise.json"
    NoiseModel.learn([("ab", "ac")]).save(path)
    assert NoiseModel.load(path).counts == {"": {"": 1}, "a": {"a": 1}, "b": {"c": 1}}
    for text, message in (("{", "noise.json: "), ("[]", "expected an object of JSON"),
                          ('{"format": "noise-model-1"}', "not a noise model .'counts'"),
                          (path.read_text().replace('"c": 1', '"c": -1'), "must be positive")):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            NoiseModel.load(path)
    with pytest.raises(DataError, match="none.json: no such file"):
        NoiseModel.load(tmp_path / "none.json")


# -- data -----------------------------------------------------------------------------------


def test_windows_of_clean_text(tmp_path):
    words = [f"é{'ab' * (i % 4)}" for i in range(4000)]
    (tmp_path / "one.txt").write_text(" ".join(words), "utf-8")
    (tmp_path / "two.txt").write_text("cab\nbéa aé x\n\n" * 3, "utf-8")
    clean = CleanText([str(tmp_path / "one.txt"), str(tmp_path / "two.txt")], Alphabet("abcé "),
                      [9, 15])
    windows = [clean.window(np.random.default_rng(i)) for i in range(300)]
    assert windows == [clean.window(np.random.default_rng(i)) for i in range(300)]
    assert max(map(len, windows)) <= 15 and min(map(len, windows)) > 0
    assert set(" ".join(windows).split()) <= {*words, "cab", "béa", "aé"}
    alone = CleanText([str(tmp_path / "two.txt")], Alphabet("abcé "), [3, 6])
    assert {alone.window(np.random.default_rng(i)) for i in range(60)} == {"cab", "béa aé",
                                                                         "béa", "aé"}
    assert alone.passed_over > 0


def test_bad_corpora(tmp_path):
    with pytest.raises(MissingDataError, match="none.txt: no such text file"):
        CleanText([str(tmp_path / "none.txt")], None, [9])
    path = tmp_path / "c.txt"
    for content, message in ((b"", "c.txt: empty"), (b"\xff a \xff a\n" * 9, "c.txt: not UTF-8"),
                             (b"xyz xyz\n", "c.txt: 1000 windows in a row")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            CleanText([str(path)], Alphabet("ab"), [9]).window(np.random.default_rng(0))


def examples_of(texts, **settings):
    alphabet = denoiser_alphabet([t for pair in texts for t in pair])
    return Examples(texts, alphabet, lambda n: frame_count(n, 2), NoiseModel.learn(texts),
                    lambda rng: texts[0][0], **{"other_share": 0.0, **settings})


def test_infeasible_pairs_are_counted():
    examples = examples_of([("abc", "abc"), ("abcdefg", "ab"), ("aaaaa", "aaa"), ("", "a"),
                            ("ab", "")])
    assert examples.real == [("abc", "abc"), ("ab", "")]
    assert examples.counts == {"pairs: empty truth": 1,
                               "pairs: infeasible for CTC: the reading is too short": 2}
    with pytest.raises(TrainingError, match="no pair can be trained on"):
        examples_of([("abcdefg", "ab")])


def test_pools_hold_every_pair_in_turn_and_the_share_of_noise():
    texts = [(t, misread(t)) for t in random_texts(40)]
    examples = examples_of(texts)
    decode = examples.alphabet.decode

    def made(**changes):
        batches, drawn = examples.batches(**{"seed": 1, "pool": 0, "drawn": 0,
                                             "clean_share": 0.0, "batch_size": 4, "number": 10,
                                             **changes})
        return [[(decode(t), decode(s)) for s, t in batch] for batch in batches], drawn

    batches, drawn = made()
    assert sorted(sum(batches, [])) == sorted(texts) and drawn == len(texts)
    assert (batches, drawn) == made()
    assert sorted(sum(made(pool=1, drawn=drawn)[0], [])) == sorted(texts)
    mixed, drawn = made(clean_share=0.5)
    assert 8 < drawn < 32
    assert sum(t == texts[0][0] for t, _ in sum(mixed, [])) >= 40 - drawn


def test_unknown_characters_stand_at_the_same_place():
    examples = examples_of([("abc", "adc")], other_share=1.0)
    other = len(examples.alphabet) - 1
    for seed in range(9):
        source, target = examples.encode("abc", "adc", np.random.default_rng(seed))
        assert source.count(other) == 1 and source.index(other) == target.index(other) != 1


# -- training -------------------------------------------------------------------------------


def test_learns_a_confusion_and_resumes_to_the_same(files, tmp_path):
    config = DenoiserConfig(**files, **SMALL, real_steps=120, mixed_steps=40, batch_size=16,
                            learning_rate=0.02, warmup_steps=10, validate_every=60, ema=0.9)
    said = []
    history = train_denoiser(config, say=said.append)
    assert [entry["step"] for entry in history] == [0, 60, 120, 160]
    denoiser = Denoiser(str(tmp_path / "out" / "best.ckpt"))
    texts = random_texts(100, 7)
    wrong = [text for text in texts if "ba" in text]
    assert len(wrong) > 5 and denoiser.correct([misread(t) for t in texts]) == texts
    assert min(entry["validation_cer"] for entry in history) < 0.1 * history[0]["validation_cer"]
    assert json.loads((tmp_path / "out" / "history.json").read_text()) == history
    assert NoiseModel.load(tmp_path / "out" / "noise.json").counts["a"]["o"] > 0
    with pytest.raises(TrainingError, match="last.ckpt is there already"):
        train_denoiser(config, say=said.append)

    # Stopped between validations, in the middle of a pool, and resumed.
    again = dataclasses.replace(config, output=str(tmp_path / "again"))
    trainer = DenoiserTrainer(again, say=said.append)
    step = trainer._step

    def interrupted(batch, progress):
        step(batch, progress)
        if trainer.state["step"] == 133:
            trainer.save_last()
            raise KeyboardInterrupt

    trainer._step = interrupted
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    resumed = train_denoiser(again, resume=True, say=said.append)
    assert "resuming after step 133 of 160" in said
    for one, other in zip(history, resumed):
        assert {k: v for k, v in one.items() if "second" not in k} == \
            {k: v for k, v in other.items() if "second" not in k}
    with pytest.raises(CheckpointError, match="settings differ: hidden, seed"):
        train_denoiser(dataclasses.replace(again, seed=2, hidden=8), resume=True)


def test_a_signal_stops_after_saving(files, monkeypatch):
    import signal

    from lm.base.signals import Interrupted

    trainer = DenoiserTrainer(DenoiserConfig(**files, **SMALL, batch_size=4), say=lambda text: None)
    step = trainer._step

    def signalled(batch, progress):
        step(batch, progress)
        if trainer.state["step"] == 3:
            signal.raise_signal(signal.SIGINT)

    trainer._step = signalled
    with pytest.raises(Interrupted, match="SIGINT.*last.ckpt is written"):
        trainer.run()
    resumed = DenoiserTrainer(trainer.config, resume=True, say=lambda text: None)
    assert resumed.state["step"] == 3 and len(resumed.state["history"]) == 1


def test_a_time_budget_shortens_the_schedule(files, monkeypatch):
    from ocr.denoising import training

    clock = iter(np.arange(0, 1e6, 0.7))
    monkeypatch.setattr(training.time, "monotonic", lambda: float(next(clock)))
    config = DenoiserConfig(**files, **SMALL, batch_size=4, real_steps=6000, minutes=3.0,
                            validate_every=10_000, ema=0.0)
    trainer = DenoiserTrainer(config, say=lambda text: None)
    history = trainer.run()
    assert 40 < trainer.state["step"] < 300 and history[-1]["step"] == trainer.state["step"]
    # It came to the second phase all the same.
    assert trainer.state["share"] == config.clean_share


def test_checkpoints_of_other_networks_are_refused(files, tmp_path):
    from ocr.checkpoints.checkpoint import Checkpoint, save_checkpoint

    DenoiserTrainer(DenoiserConfig(**files, **SMALL), say=print).save_last()
    with pytest.raises(OCRError, match="denoiser"):
        Recogniser(str(tmp_path / "out" / "last.ckpt"))
    path = str(tmp_path / "ocr.ckpt")
    save_checkpoint(path, Checkpoint({"output": "x"}, Alphabet("ab"), {}))
    with pytest.raises(CheckpointError, match="a recogniser's checkpoint, not a denoiser's"):
        Denoiser(path)


@pytest.mark.parametrize("name, value", [
    ("pairs", ()), ("output", ""), ("hidden", 0), ("clean_share", 1.5), ("dropout", 1.0),
    ("learning_rate", 0.0), ("minutes", -1.0), ("seed", -1)])
def test_bad_settings(name, value):
    with pytest.raises(ConfigError, match=name):
        config_of(**{name: value})
    with pytest.raises(ConfigError, match="both 0"):
        config_of(real_steps=0, mixed_steps=0)


# -- command line ---------------------------------------------------------------------------


def test_commands(files, tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(
        f"pairs: {files['pairs'][0]}\nmixed_steps: 4\nbatch_size: 4\nembedding: 8\n"
        "hidden: 8\nlayers: 1\nseed: 3\n")
    (tmp_path / "clean.txt").write_text("\n".join(random_texts(50, 9)))
    arguments = ["denoise-train", "--config", str(tmp_path / "c.yaml"), "--real-steps", "3",
                 "--validation", files["validation_pairs"][0], "--output", files["output"],
                 "--corpus", str(tmp_path / "clean.txt")]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "step 7/7" in told and "best.ckpt" in told
    assert main([*arguments, "--resume"]) == 0
    assert main(arguments) == 2
    assert "is there already" in capsys.readouterr().err
    best = f"{files['output']}/best.ckpt"
    assert main(["denoise-evaluate", best, files["validation_pairs"][0], "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    history = json.loads((tmp_path / "out" / "history.json").read_text())
    assert report["before"]["cer"] == history[0]["validation_cer"]
    assert report["after"]["cer"] == min(entry["validation_cer"] for entry in history)
    assert main(["denoise-evaluate", best, files["validation_pairs"][0]]) == 0
    assert "after" in capsys.readouterr().out
    for bad, message in ((["denoise-train", "--output", "x"], "'pairs' is missing"),
                         (["denoise-evaluate", "none.ckpt", files["pairs"][0]], "none.ckpt"),
                         ([*arguments[:-1], "none.txt", "--output", str(tmp_path / "y")],
                          "none.txt: no such")):
        assert main(bad) == 2
        assert message in capsys.readouterr().err
