"""Choosing decoders and correctors on the command line: by name, tuned settings, models.

The options are made of the settings that each registered decoder declares; those of correctors,
and of one decoder among several, are set by ``--set NAME.KEY=VALUE``.
"""

import argparse
import os
import typing

from lm.base.errors import ConfigError
from lm.base.plugins import missing_packages
from lm.base.settings import apply_overrides, describe, to_mapping

from ..correction import PipelineConfig
from ..decoding import DECODERS, list_decoders
from ..recognition.tuned import best_name, pipeline_of, stored_in, tuned_names

__all__ = ["add_decoder_options", "add_decoder_choice", "chosen_name", "named_stage",
           "pipeline_config", "pipeline_configs", "known_pipelines", "default_name"]


def _decoder_settings():
    """Return {setting: {decoder: `Setting`}} of all decoders that can be loaded."""
    found = {}
    for name in list_decoders():
        try:
            cls = DECODERS.get(name)
        except ConfigError:
            continue  # ocr list tells why
        for setting in describe(cls.config_class):
            found.setdefault(setting.name, {})[name] = setting
    return found


def add_decoder_options(parser):
    """Add an option for each setting of a decoder, and ``--set`` for those of correctors."""
    group = parser.add_argument_group(
        "decoder settings", "Before the tuned ones; in brackets the decoders that have them.")
    added = []
    for name, owners in _decoder_settings().items():
        first, *others = owners.values()
        told = first.meaning if all(s.meaning == first.meaning for s in others) else "; ".join(
            f"{owner}: {setting.meaning}" for owner, setting in owners.items())
        several = isinstance(first.default, tuple)
        try:
            group.add_argument("--" + name.replace("_", "-"), nargs="+" if several else None,
                               metavar=name.upper(),
                               help=f"{told} ({', '.join(owners)})".replace("%", "%%"))
        except argparse.ArgumentError:
            continue  # the command has an option of this name; --set is left
        added.append(name)
    parser.set_defaults(decoder_settings=added)
    group.add_argument("--set", action="append", default=[], metavar="NAME.KEY=VALUE",
                       help="setting of one decoder, corrector, line finder or format, e.g. "
                            "spelling.lexicon=[words.tsv]; ocr settings NAME tells them")


def add_decoder_choice(parser, default=None):
    """Add ``--decoder NAME`` and ``--correct A,B``."""
    parser.add_argument("--decoder", default=default,
                        help="a name of ocr list, with correctors: beam-char+spelling; or a YAML "
                             "or JSON file of both" + (f" (default: {default})" if default else ""))
    parser.add_argument("--correct", metavar="A,B",
                        help="correctors behind the decoder, in this order")


def chosen_name(arguments, name):
    """Return the pipeline's name from ``--decoder`` (or `name`) and ``--correct``."""
    return "+".join([name, *arguments.correct.split(",")]) if arguments.correct else name


def _given(arguments):
    """Return {setting: text, or list of texts} of the options that stand on the command line."""
    return {name: value for name in arguments.decoder_settings
            if (value := getattr(arguments, name)) is not None}


def known_pipelines(arguments):
    """Return what can be run here: decoders that need no model, what was tuned, what is stored."""
    model = arguments.checkpoint
    names = {"greedy", "beam", *tuned_names(model)}
    if stored := stored_in(model):
        names.add(stored.name)
    # A decoder with models of its own takes part where they were named.
    if "lm" in _given(arguments):
        names.add("beam-lm")
    names = [name for name in names if not missing_packages(pipeline_of(model, name).needs())]
    return sorted(names, key=lambda n: (n != "greedy", n != "beam", n.count("+"), n))


def default_name(arguments):
    """Return the pipeline that is taken where none is named."""
    otherwise = "beam-lm" if "lm" in _given(arguments) else "greedy"
    if otherwise == "beam-lm" and stored_in(arguments.checkpoint):
        return otherwise
    return best_name(arguments.checkpoint, otherwise)


def named_stage(arguments, registry, name):
    """Return the `Stage` of a name of any registry, with what ``--set`` says about it."""
    pairs = [assignment.partition(".") for assignment in arguments.set]
    return registry.stage(name, **apply_overrides({}, [rest for one, _, rest in pairs
                                                       if one == name]))


def pipeline_config(arguments, name, others=()):
    """Return the settings of the pipeline `name`: tuned where they are, then the options'.

    `others` are names that ``--set`` may speak of besides.
    """
    [config] = pipeline_configs(arguments, [name], others).values()
    return config


def pipeline_configs(arguments, names, others=()):
    """Return {name: settings} of pipelines; of a file the name is its own, without the ending.

    Raises
    ------
    ConfigError
        A setting on the command line that none of them has, or a wrong value.
    """
    configs = {}
    for name in names:
        config = pipeline_of(arguments.checkpoint, name)
        configs[name if name == config.name
                else os.path.splitext(os.path.basename(name))[0]] = config
    assignments = [one for one in arguments.set if one.partition(".")[0] not in others]
    unused = {*_given(arguments), *assignments}
    for name, config in configs.items():
        configs[name] = _with_assignments(
            _with_options(config, _given(arguments), unused), assignments, unused)
    if unused:
        known = sorted({f"{stage}.{key}" for config in configs.values()
                        for stage, settings in _settings_of(config) for key in settings})
        option = min(unused)
        shown = f"--set {option}" if option in arguments.set else \
            f"--{option.replace('_', '-')}"
        raise ConfigError(f"{shown}: no decoder or corrector in use has this setting; "
                          f"they have: {', '.join(known) or 'none'}")
    return configs


def _settings_of(config):
    return [(stage.name, to_mapping(stage.settings)) for stage in config.stages]


def _with_options(config: PipelineConfig, given, unused):
    cls = DECODERS.get(config.decoder.name)
    hints = typing.get_type_hints(cls.config_class)
    changes = {}
    for key, value in given.items():
        if key not in hints:
            continue
        unused.discard(key)
        if key in cls.paths:
            value = _normal(value)
        elif str not in (hints[key], *typing.get_args(hints[key])):
            value = apply_overrides({}, [f"{key}={value}"])[key]
        changes[key] = value
    return config.changed(**changes)


def _normal(value):
    """Return a path, or a list of paths, in normal form; what is neither as it is."""
    if isinstance(value, list):
        return [_normal(one) for one in value]
    return os.path.normpath(value) if isinstance(value, str) else value


def _with_assignments(config, assignments, unused):
    for assignment in assignments:
        name, dot, rest = assignment.partition(".")
        if not dot or "=" not in rest:
            raise ConfigError(f"--set {assignment}: expected NAME.KEY=VALUE")
        for number, stage in enumerate(config.stages):
            if stage.name == name:
                config = config.changed(number, **apply_overrides({}, [rest]))
                unused.discard(assignment)
    return config
