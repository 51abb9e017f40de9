"""Every settings class of the library: a wrong value is refused by its name, or is taken."""

import dataclasses

import pytest

from lm.base.errors import ConfigError, UnknownNameError
from lm.base.plugins import Registry
from lm.base.settings import from_mapping, setting_names
from lm.interpolation import InterpolationConfig
from lm.sampling import SamplingConfig
from lm.training import NgramConfig
from ocr.checkpoints.settings import ExperimentConfig
from ocr.correction.denoiser import DenoiserConfig
from ocr.layout.base import LayoutConfig
from ocr.serving.config import ServingConfig

#: Class -> what it needs.
NEEDED = {ExperimentConfig: {"output": "out"}, ServingConfig: {}, LayoutConfig: {},
          DenoiserConfig: {"output": "out", "pairs": ["a"], "validation_pairs": ["b"]},
          NgramConfig: {"corpus": ["a"], "output": "out"},
          InterpolationConfig: {"models": ["a", "b"], "output": "out"},
          SamplingConfig: {"words": "a", "output": "out"}}
for group in ("ocr.networks", "ocr.decoders", "ocr.correctors"):
    registry = Registry(group, group)
    NEEDED.update({registry.get(name).config_class: {} for name in registry.names()})
WRONG = (float("nan"), float("inf"), -1, 0, 10 ** 30, 1.5, True, None, "", "x", [], [float("nan")],
         ["x", 5], {}, {"x": 1}, [[]])


@pytest.mark.parametrize("cls", NEEDED, ids=lambda cls: cls.__name__)
def test_wrong_values(cls):
    assert dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen
    refused = 0
    for name in setting_names(cls):
        for value in WRONG:
            mapping = place = {**NEEDED[cls]}
            *groups, last = name.split(".")
            for group in groups:
                place[group] = place = {}
            place[last] = value
            try:
                from_mapping(cls, mapping)
            except (ConfigError, UnknownNameError) as error:
                # One of several is called by what it is one of.
                assert last.rstrip("s") in str(error) or isinstance(error, UnknownNameError), (
                    name, value)
                assert len(str(error)) < 700 and "\n" not in str(error)
                refused += 1
            else:
                assert value == value and value != float("inf"), f"{name} took {value}"
    assert refused or not setting_names(cls)
