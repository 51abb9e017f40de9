import pytest

from lm.base.errors import ConfigError
from lm.base.settings import apply_overrides, from_mapping, read_yaml, to_mapping
from ocr.checkpoints.settings import ExperimentConfig


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
    ({"output": "x", "epochs": 3}, "unknown setting 'epochs'; known here: output, data"),
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
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml")


@pytest.mark.parametrize("override", ["novalue", "=3", "a.b=3", "c=[1"])
def test_bad_overrides(override):
    with pytest.raises(ConfigError, match="override"):
        apply_overrides({"a": 1}, [override])
