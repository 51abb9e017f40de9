"""A decoder and the correctors behind it, as one thing: settings, storage, use."""

import dataclasses
import json
import os
from dataclasses import dataclass, field
from typing import Optional

from lm.base.errors import ConfigError, UnknownNameError
from lm.base.files import write_json
from lm.base.settings import from_mapping, to_mapping

from ..decoding import DecoderConfig, build_decoder, list_decoders
from ..decoding.base import resolve
from ..decoding.calibration import Calibrator
from .base import CORRECTORS, build_corrector, corrector_config

__all__ = ["Stage", "PipelineConfig", "Pipeline", "build_pipeline", "parse_name",
           "save_pipeline", "load_pipeline"]


@dataclass(frozen=True)
class Stage:
    """A corrector by name, and its settings (an instance of its config class)."""

    name: str
    settings: object

    @classmethod
    def of(cls, name, settings=None):
        """Build from a mapping of settings; errors list the known names and settings."""
        return cls(name, corrector_config(name, settings))


@dataclass(frozen=True)
class PipelineConfig:
    """From logits to text.

    Attributes
    ----------
    decoder : DecoderConfig
    correctors : tuple of Stage
        In the order they are applied.
    calibration : dict or None
        What `Calibrator.to_dict` gives; None leaves confidences as the network has them.
    """

    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    correctors: tuple = ()
    calibration: Optional[dict] = None

    @property
    def name(self):
        """Decoder and correctors joined by +, e.g. "beam-char+spelling"."""
        return "+".join([self.decoder.name, *(stage.name for stage in self.correctors)])

    def to_dict(self):
        """Return a JSON-ready dict."""
        value = {"decoder": to_mapping(self.decoder), "correctors": [
            {"name": s.name, "settings": to_mapping(s.settings)} for s in self.correctors]}
        if self.calibration:
            value["calibration"] = self.calibration
        return value

    @classmethod
    def from_dict(cls, value):
        """Rebuild from a mapping; `ConfigError` names what is wrong."""
        if not isinstance(value, dict) or not isinstance(value.get("correctors", []), list):
            raise ConfigError("not the settings of a decoder with correctors")
        unknown = value.keys() - {"decoder", "correctors", "calibration", "tuned"}
        if unknown:
            raise ConfigError(f"unknown setting {min(unknown)!r}; known here: decoder, correctors, "
                              "calibration")
        stages = []
        for entry in value.get("correctors") or ():
            if isinstance(entry, str):
                entry = {"name": entry}
            if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                raise ConfigError(f"a corrector needs a name: {entry!r}")
            stages.append(Stage.of(entry["name"], entry.get("settings")))
        calibration = value.get("calibration")
        if calibration:
            Calibrator.from_dict(calibration)
        return cls(from_mapping(DecoderConfig, value.get("decoder"), "decoder"), tuple(stages),
                   calibration or None)

    def map_paths(self, change):
        """Return a copy whose language models and other files are `change(path)`."""
        def changed(settings, names):
            new = {}
            for name in names:
                value = getattr(settings, name)
                if isinstance(value, tuple):
                    new[name] = tuple(change(path) for path in value)
                elif value:
                    new[name] = change(value)
            return dataclasses.replace(settings, **new)

        return dataclasses.replace(
            self, decoder=changed(self.decoder, ("lm", "words")),
            correctors=tuple(Stage(s.name, changed(s.settings, CORRECTORS.get(s.name).paths))
                             for s in self.correctors))


def parse_name(name):
    """Split "beam-char+spelling" into the decoder's name and the correctors' names.

    Raises
    ------
    UnknownNameError
        Listing the known ones.
    """
    decoder, *correctors = name.split("+")
    if decoder not in list_decoders():
        raise UnknownNameError(f"unknown decoder {decoder!r}; known: {', '.join(list_decoders())}")
    for corrector in correctors:
        CORRECTORS.get(corrector)
    return decoder, correctors


class Pipeline:
    """A decoder with correctors behind it; decodes as a `Decoder` does.

    Parameters
    ----------
    config : PipelineConfig
    alphabet : Alphabet
    base : str, optional
        Folder that relative paths start from.
    """

    def __init__(self, config, alphabet, base=None):
        self.config, self.alphabet = config, alphabet
        self.decoder = build_decoder(config.decoder, alphabet, base)
        self.correctors = [build_corrector(s.name, s.settings, base, alphabet)
                           for s in config.correctors]
        self._calibrator = config.calibration and Calibrator.from_dict(config.calibration)

    @property
    def n_best(self):
        """Hypotheses a line that the correctors want from the decoder."""
        return max([self.config.decoder.n_best, *(c.n_best for c in self.correctors)])

    def decode(self, logits, lengths=None, n_best=None):
        """Decode a batch of logits and correct the readings; see `Decoder.decode`."""
        wanted = n_best or self.config.decoder.n_best
        lines = self.decoder.decode(logits, lengths, n_best=max(wanted, self.n_best))
        return [line[:wanted] for line in self.correct(lines)]

    def decode_line(self, logits, n_best=None):
        """Decode one line's (T, C) logits into a list of hypotheses."""
        return self.decode([logits], n_best=n_best)[0]

    def correct(self, lines):
        """Run the correctors, and the calibration, over decoded lines."""
        for corrector in self.correctors:
            lines = corrector.correct(lines)
        if self._calibrator:
            lines = [[self._calibrator.apply(h) for h in line] for line in lines]
        return lines

    def reconfigure(self, config):
        """Take other weights without loading anything anew; the stages stay the same."""
        if config.name != self.config.name:
            raise ConfigError(f"a pipeline {self.config.name} cannot become {config.name}")
        self.config = config
        self.decoder.reconfigure(config.decoder)
        for corrector, stage in zip(self.correctors, config.correctors):
            corrector.reconfigure(stage.settings)


def build_pipeline(config, alphabet, base=None):
    """Build a `Pipeline` from a `PipelineConfig`, or from a `DecoderConfig` alone."""
    if isinstance(config, DecoderConfig):
        config = PipelineConfig(config)
    return Pipeline(config, alphabet, base)


def save_pipeline(path, config, tuned=None):
    """Write settings to `path` (JSON, atomically).

    Parameters
    ----------
    path : str
    config : PipelineConfig
        Its paths are stored relative to the file's folder.
    tuned : dict, optional
        How they were chosen: data, split, scores.
    """
    folder = os.path.dirname(os.path.abspath(path))
    relative = config.map_paths(lambda name: os.path.relpath(os.path.abspath(name), folder))
    write_json(path, {**relative.to_dict(), "tuned": tuned or {}})


def load_pipeline(path):
    """Read what `save_pipeline` wrote, or the same as YAML.

    Returns
    -------
    PipelineConfig
        Its paths are relative to the current folder.

    Raises
    ------
    ConfigError
        Missing, malformed, or naming an unknown stage; the message names the file.
    """
    try:
        with open(path, encoding="utf-8") as source:
            text = source.read()
        if str(path).endswith(".json"):
            value = json.loads(text)
        else:
            import yaml

            value = yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except Exception as error:  # yaml's errors share no base with json's
        raise ConfigError(f"{path}: not stored decoder settings "
                          f"({' '.join(str(error).split())})") from None
    if not isinstance(value, dict) or "decoder" not in value:
        raise ConfigError(f"{path}: not stored decoder settings (no 'decoder')")
    try:
        config = PipelineConfig.from_dict(value)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except UnknownNameError as error:
        raise UnknownNameError(f"{path}: {error}") from None
    folder = os.path.dirname(os.path.abspath(path))
    return config.map_paths(lambda name: os.path.normpath(resolve(name, folder)))
