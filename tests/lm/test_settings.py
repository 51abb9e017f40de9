import dataclasses
import os
from typing import Annotated, ClassVar, Optional, Union

import pytest

from lm.base.errors import ConfigError, UnknownNameError
from lm.base.settings import (
    Range,
    Settings,
    apply_overrides,
    check_options,
    describe,
    from_mapping,
    listed,
    read_yaml,
    to_mapping,
)
from ocr.checkpoints.settings import ExperimentConfig, TrainingConfig
from ocr.data import open_dataset


def test_round_trip_and_nested_overrides():
    mapping = apply_overrides({"output": "x", "training": {"epochs": 3}},
                              ["training.learning_rate=1e-3", "preprocess.width=800",
                               "augment=null", "data.train.path=a b.tsv"])
    config = from_mapping(ExperimentConfig, mapping)
    assert config.training.epochs == 3 and config.training.learning_rate == 0.001
    assert config.preprocess.width == 800 and config.augment is None
    assert config.data.train == {"path": "a b.tsv"}
    assert from_mapping(ExperimentConfig, to_mapping(config)) == config


@pytest.mark.parametrize("mapping, message", [
    ({}, "'output' is missing"),
    ({"output": "x", "epochs": 3},
     r"'epochs' \(did you mean 'training.epochs'\?\); known here: output, data"),
    ({"output": "x", "training": {"epoch": 3}}, "unknown setting 'training.epoch'"),
    ({"output": "x", "training": {"epochs": "many"}}, "training.epochs: expected int"),
    ({"output": "x", "training": {"epochs": True}}, "training.epochs: expected int"),
    ({"output": "x", "training": {"epochs": 0}}, "epochs must be at least 1"),
    ({"output": "x", "training": {"schedule": "magic"}}, "known: cosine, plateau, constant"),
    ({"output": "x", "training": 3}, "training: expected a mapping"),
    ({"output": 3}, "output: expected str"),
])
def test_bad_settings_are_named(mapping, message):
    with pytest.raises(ConfigError, match=message):
        from_mapping(ExperimentConfig, mapping)


def test_yaml_errors_name_the_file(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("a: [1,\n")
    with pytest.raises(ConfigError, match="c.yaml: not YAML .*line 2"):
        read_yaml(path)
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="expected a mapping"):
        read_yaml(path)
    with pytest.raises(ConfigError, match="no such file"):
        read_yaml(tmp_path / "none.yaml")


@pytest.mark.parametrize("override", ["novalue", "=3", "a.b=3", "c=[1"])
def test_bad_overrides(override):
    with pytest.raises(ConfigError, match="override"):
        apply_overrides({"a": 1}, [override])


@pytest.mark.parametrize("text, message", [
    ("a: 1\nb: 2\na: 3\n", "line 3: the key 'a' stands twice"),
    ("x: {a: 1, a: 2}\n", "line 1: the key 'a' stands twice"),
    ("a: &a [*a]\n", "too deeply"),
    ("a: " + "[" * 5000, "too deeply"),
    ("a: " + "[" * 40 + "]" * 40, "too deeply"),
    ("a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{b}: &{b} [{', '.join(['*' + a] * 10)}]\n" for a, b in zip("abcdefg", "bcdefgh")),
     "too many values"),
    ("a: " + "9" * 6000, "a number of 6000 characters"),
    ("a: !!int foo", "foo"),
    ("a: !!python/object:os.system x", "no type of setting"),
    ("a: !!timestamp 2020-01-01", "no type of setting"),
    ("1: x", "the key '1' is no text"),
    ("? [a]\n: x", "is no text"),
    ("a: {", "not YAML"),
    ("a: \x00", "not YAML"),
    ('a: "x\\0"', "line 1: a NUL character"),
])
def test_yaml_that_is_not_what_it_seems(tmp_path, text, message):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert message in str(caught.value) and "c.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_yaml_as_it_is_meant(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("\ufeffa: 2026-02-30\nb: &b {x: 1e-3}\nc: {<<: *b, y: [1, null]}\n", "utf-8")
    assert read_yaml(path) == {"a": "2026-02-30", "b": {"x": "1e-3"},
                               "c": {"x": "1e-3", "y": [1, None]}}


def test_a_pipe_is_no_file_of_settings(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ConfigError, match="pipe.yaml: is a pipe or a device"):
        read_yaml(tmp_path / "pipe.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path)


@pytest.mark.parametrize("mapping, message", [
    ({"learning_rate": float("nan")}, "training.learning_rate must be finite, not nan"),
    ({"clip": "inf"}, "training.clip must be finite"),
    ({"clip": -1}, "training.clip must be at least 0, not -1"),
    ({"ema": 1}, "training.ema must be at least 0 and below 1"),
    ({"learning_rate": 0}, "training.learning_rate must be above 0"),
    ({"seed": -1}, "training.seed must be at least 0"),
    ({"seed": 10 ** 30}, "training.seed: 10*0 is too large"),
    ({"batch_size": 0}, "training.batch_size must be at least 1"),
    ({"workers": 1.5}, "training.workers: expected int, at least 0, not 1.5|expected int"),
    ({"schedule": "cosin"}, r"unknown training.schedule 'cosin'.* \(did you mean 'cosine'\?\)"),
    ({"freeze": 5}, "training.freeze: expected a list"),
    ({"bach_size": 3}, r"'training.bach_size' \(did you mean 'batch_size'\?\)"),
    ({"device": "x" * 5000, "x": 1}, "unknown setting 'training.x'"),
])
def test_numbers_and_names_out_of_range(mapping, message):
    with pytest.raises(ConfigError, match=message):
        from_mapping(ExperimentConfig, {"output": "x", "training": mapping})


@pytest.mark.parametrize("mapping, message", [
    ({"preprocess": {"width": 0}}, "preprocess.width must be at least 1"),
    ({"data": {"options": 5}}, "data.options: expected a mapping"),
    ({"alphabet": ["a"]}, "alphabet: expected str"), ({"output": None}, "output: expected str"),
    ({"augment": {"shear": "x"}}, "augment.shear: expected float")])
def test_values_of_a_wrong_kind(mapping, message):
    with pytest.raises(ConfigError, match=message):
        from_mapping(ExperimentConfig, {"output": "x", **mapping})


@pytest.mark.parametrize("source, options, message", [
    ("iam", {"root": 5}, "iam.root: expected str, not 5"),
    ("iam", {"root": "x", "split": None}, "split: expected str, not None"),
    ("table", {"path": "x", "images": 5}, "images: expected str, not 5"),
    ("table", {"path": 5}, "path: expected str or list of str, not 5"),
    ("captcha", {"lines": 0}, "lines"), ("folder", {"path": "x", "nested": 1}, "nested: expected"),
    ("tabel", {}, "unknown data source 'tabel'.*known: "),
    ("table", {"path": "x", "image": "y"}, "did you mean 'images'")])
def test_options_of_sources_of_a_wrong_kind(source, options, message):
    with pytest.raises((ConfigError, UnknownNameError), match=message):
        open_dataset(source, **options)


def test_settings_given_in_python_are_checked_too():
    with pytest.raises(ConfigError, match="TrainingConfig.epochs must be at least 1, not 0"):
        TrainingConfig(epochs=0)
    with pytest.raises(ConfigError, match="TrainingConfig.ema must be finite"):
        TrainingConfig(ema=float("nan"))
    assert TrainingConfig(learning_rate=1, freeze=["stem"]).freeze == ("stem",)
    assert TrainingConfig(freeze="stem").freeze == ("stem",)

    @dataclasses.dataclass(frozen=True)
    class Box(Settings):
        sides: ClassVar[tuple[str, ...]] = ("width",)
        width: int = 3

    assert (Box(5).width, Box.sides) == (5, ("width",))


def test_options_of_functions():
    def source(path: Union[str, list[str]], images: Optional[str] = None,
               lines: Annotated[int, Range(1)] = 3, anything=None):
        return path

    assert check_options(source, {"path": ["a"], "anything": 5}, "table") == {
        "path": ["a"], "anything": 5}
    for options, message in (({"path": 5}, "table.path: expected str or list of str, not 5"),
                             ({"path": "a", "images": 5}, "images: expected str, not 5"),
                             ({"path": "a", "lines": 0}, "lines must be at least 1, not 0"),
                             ({"path": "a", "image": "x"}, "did you mean 'images'"),
                             ({}, "needs the option\\(s\\) path")):
        with pytest.raises(ConfigError, match=message):
            check_options(source, options, "table")


def test_every_setting_of_an_experiment_is_described():
    described = {setting.name: setting for setting in describe(ExperimentConfig)}
    assert described["output"].default is dataclasses.MISSING
    epochs = described["training.epochs"]
    assert (epochs.type, epochs.default) == ("int, at least 1", 30)
    assert described["training.schedule"].type == "one of cosine, plateau, constant"
    assert described["data.normalise"].default == ()
    assert described["preprocess.width"].default is None
    without = [name for name, setting in described.items() if not setting.meaning]
    assert without == []
    assert "training.epochs = 30    int, at least 1\n    Times that" in listed(described.values())
