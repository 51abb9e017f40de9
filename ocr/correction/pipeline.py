"""A decoder and the correctors behind it, as one thing: settings, storage, use."""

import dataclasses
import os
from dataclasses import dataclass
from typing import Any, Optional, Union

from lm.base.errors import ConfigError, DataError, UnknownNameError
from lm.base.files import read_json, write_json
from lm.base.plugins import Stage
from lm.base.settings import read_yaml, to_mapping

from ..decoding import DECODERS, build_decoder, decoder_stage
from ..decoding.base import resolve
from ..decoding.calibration import Calibrator
from .base import CORRECTORS, build_corrector, corrector_stage

__all__ = ["PipelineConfig", "Pipeline", "build_pipeline", "parse_name", "save_pipeline",
           "load_pipeline"]

#: Settings of the one class that all decoders shared once, as models and files still hold them.
_SHARED = {"beam_width", "beam_prune_logp", "token_min_logp", "merge_blanks", "alpha", "beta",
           "unk_score_offset", "lm_score_boundary", "lm", "words", "word_alpha", "hotwords",
           "hotword_weight", "engine", "n_best", "workers"}


@dataclass(frozen=True)
class PipelineConfig:
    """From logits to text.

    Attributes
    ----------
    decoder : Stage
        As `decoder_stage` makes it; greedy decoding by default.
    correctors : tuple of Stage
        In the order they are applied.
    calibration : dict or None
        What `Calibrator.to_dict` gives; None leaves confidences as the network has them.
    """

    decoder: Stage = dataclasses.field(default_factory=lambda: decoder_stage("greedy"))
    correctors: tuple[Stage, ...] = ()
    calibration: Optional[dict] = None

    @classmethod
    def of(cls, name: Union[str, Stage, "PipelineConfig"], settings: Any = None,
           correctors=()) -> "PipelineConfig":
        """Return the pipeline of a decoder (a name or `Stage`) and correctors (likewise).

        "beam-char+spelling" names a decoder with correctors behind it. A `PipelineConfig` comes
        back as it is.
        """
        if isinstance(name, PipelineConfig):
            return name
        if isinstance(name, str):
            name, found = parse_name(name)
            correctors = (*found, *correctors)
        return cls(decoder_stage(name, settings), tuple(map(corrector_stage, correctors)))

    @property
    def name(self):
        """Decoder and correctors joined by +, e.g. "beam-char+spelling"."""
        return "+".join(stage.name for stage in self.stages)

    def to_dict(self):
        """Return a JSON-ready dict."""
        value = {"decoder": to_mapping(self.decoder), "correctors": to_mapping(self.correctors)}
        if self.calibration:
            value["calibration"] = self.calibration
        return value

    @classmethod
    def from_dict(cls, value):
        """Rebuild from a mapping; `ConfigError` names what is wrong."""
        if not isinstance(value, dict) or not isinstance(value.get("correctors") or [], list):
            raise ConfigError("not the settings of a decoder with correctors")
        unknown = value.keys() - {"decoder", "correctors", "calibration", "tuned"}
        if unknown:
            raise ConfigError(f"unknown setting {min(map(str, unknown))!r}; known here: decoder, "
                              "correctors, calibration")
        decoder = value.get("decoder")
        stages = map(CORRECTORS.from_dict, value.get("correctors") or ())
        calibration = value.get("calibration")
        if calibration:
            Calibrator.from_dict(calibration)
        return cls(DECODERS.from_dict("greedy" if decoder is None else _migrated(decoder)),
                   tuple(stages), calibration or None)

    def changed(self, stage=0, **settings):
        """Return a copy with other settings of one stage: 0 is the decoder, 1 the first corrector.
        """
        if not stage:
            return dataclasses.replace(self, decoder=DECODERS.stage(self.decoder, **settings))
        correctors = list(self.correctors)
        correctors[stage - 1] = CORRECTORS.stage(correctors[stage - 1], **settings)
        return dataclasses.replace(self, correctors=tuple(correctors))

    @property
    def stages(self):
        """The `Stage` of the decoder and of each corrector."""
        return (self.decoder, *self.correctors)

    def needs(self):
        """Return the packages that all stages take besides NumPy; see `Plugin.needs`."""
        registries = (DECODERS, *[CORRECTORS] * len(self.correctors))
        return [package for registry, stage in zip(registries, self.stages)
                for package in registry.get(stage.name).needs(stage.settings)]

    def map_paths(self, change):
        """Return a copy whose language models and other files are `change(path)`."""
        def changed(registry, stage):
            new = {}
            for name in registry.get(stage.name).paths:
                value = getattr(stage.settings, name)
                if isinstance(value, tuple):
                    new[name] = tuple(change(path) for path in value)
                elif value:
                    new[name] = change(value)
            return registry.stage(stage, **new)

        return dataclasses.replace(
            self, decoder=changed(DECODERS, self.decoder),
            correctors=tuple(changed(CORRECTORS, stage) for stage in self.correctors))


def _migrated(decoder):
    """Return a decoder's mapping in today's form: once all shared one class, written flat."""
    if not isinstance(decoder, dict) or not _SHARED - {"engine"} <= decoder.keys():
        return decoder
    settings = {key: value for key, value in decoder.items() if key != "name"}
    known = {f.name for f in dataclasses.fields(DECODERS.get(decoder.get("name")).config_class)}
    return {"name": decoder["name"], "settings": {
        key: value for key, value in settings.items() if key in known or key not in _SHARED}}


def parse_name(name: str) -> tuple[str, list[str]]:
    """Split "beam-char+spelling" into the decoder's name and the correctors' names.

    Raises
    ------
    UnknownNameError
        Listing the known ones.
    """
    decoder, *correctors = name.split("+")
    DECODERS.get(decoder)
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
        self.decoder = build_decoder(config.decoder, alphabet, base=base)
        self.correctors = [build_corrector(stage, base=base, alphabet=alphabet)
                           for stage in config.correctors]
        self._calibrator = config.calibration and Calibrator.from_dict(config.calibration)

    @property
    def n_best(self):
        """Hypotheses a line that the correctors want from the decoder."""
        return max([1, *(corrector.n_best for corrector in self.correctors)])

    def decode(self, logits, lengths=None, n_best=1):
        """Decode a batch of logits and correct the readings; see `Decoder.decode`."""
        lines = self.decoder.decode(logits, lengths, n_best=max(n_best, self.n_best))
        return [line[:n_best] for line in self.correct(lines)]

    def decode_line(self, logits, n_best=1):
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
        self.decoder.reconfigure(config.decoder.settings)
        for corrector, stage in zip(self.correctors, config.correctors):
            corrector.reconfigure(stage.settings)


def build_pipeline(config: Union[str, Stage, PipelineConfig], alphabet,
                   base: Optional[str] = None) -> Pipeline:
    """Build a `Pipeline`; `config` is whatever `PipelineConfig.of` takes."""
    return Pipeline(PipelineConfig.of(config), alphabet, base)


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
        value = read_json(path) if str(path).endswith(".json") else read_yaml(path)
    except DataError as error:
        raise ConfigError(str(error)) from None
    if "decoder" not in value:
        raise ConfigError(f"{path}: not stored decoder settings (no 'decoder')")
    try:
        config = PipelineConfig.from_dict(value)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except UnknownNameError as error:
        raise UnknownNameError(f"{path}: {error}") from None
    folder = os.path.dirname(os.path.abspath(path))
    return config.map_paths(lambda name: os.path.normpath(resolve(name, folder)))
