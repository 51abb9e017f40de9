"""Choosing decoders and correctors on the command line: by name, tuned settings, models."""

import dataclasses
import os

from lm.base.errors import ConfigError

from ..recognition.tuned import best_name, pipeline_of, stored_in, tuned_names

__all__ = ["add_decoder_options", "add_decoder_choice", "chosen_name", "pipeline_config",
           "known_pipelines", "default_name"]

#: DecoderConfig field -> option that sets it.
_OPTIONS = {"lm": "lm", "words": "words", "alpha": "alpha", "word_alpha": "word_alpha",
            "beta": "beta", "beam_width": "beam_width", "token_min_logp": "token_min_logp",
            "workers": "decoder_workers", "hotwords": "hotwords"}
_PATHS = ("lm", "words")
#: What each decoder has a use for.
_USED = {"greedy": ("workers",),
         "beam": ("beam_width", "token_min_logp", "workers", "hotwords"),
         "beam-lm": ("lm", "alpha", "beta", "beam_width", "token_min_logp", "workers",
                     "hotwords"),
         "beam-char": tuple(_OPTIONS)}


def add_decoder_options(parser):
    """Add the options that override a decoder's (tuned) settings."""
    group = parser.add_argument_group("decoder settings (before the tuned ones)")
    group.add_argument("--lm", metavar="NAME", help="language model made by lm train: of words "
                       "for beam-lm, of characters for beam-char")
    group.add_argument("--words", metavar="NAME", help="beam-char: model of word forms")
    group.add_argument("--alpha", type=float, help="weight of the language model")
    group.add_argument("--word-alpha", type=float, help="weight of the model of word forms")
    group.add_argument("--beta", type=float, help="bonus per word (beam-lm) or character")
    group.add_argument("--hotwords", nargs="+", metavar="WORD", help="words to be preferred")
    group.add_argument("--beam-width", type=int)
    group.add_argument("--token-min-logp", type=float,
                       help="characters less likely than this are not tried")
    group.add_argument("--decoder-workers", type=int, metavar="N",
                       help="processes that decode; default: one a core")
    group.add_argument("--set", action="append", default=[], metavar="CORRECTOR.KEY=VALUE",
                       help="setting of a corrector, e.g. spelling.lexicon=[words.tsv]")


def add_decoder_choice(parser, default=None):
    """Add ``--decoder NAME`` and ``--correct A,B``."""
    parser.add_argument("--decoder", default=default,
                        help="a name of ocr list, or with correctors: beam-char+spelling"
                        + (f" (default: {default})" if default else ""))
    parser.add_argument("--correct", metavar="A,B",
                        help="correctors behind the decoder, in this order")


def chosen_name(arguments, name):
    """Return the pipeline's name from ``--decoder`` (or `name`) and ``--correct``."""
    return "+".join([name, *arguments.correct.split(",")]) if arguments.correct else name


def known_pipelines(arguments):
    """Return what can be run: the decoders that need no model, and all that was tuned."""
    names = {"greedy", "beam", *tuned_names(arguments.checkpoint)}
    if stored := stored_in(arguments.checkpoint):
        names.add(stored.name)
    if arguments.lm:
        names.add("beam-lm")
    return sorted(names, key=lambda n: (n != "greedy", n != "beam", n.count("+"), n))


def default_name(arguments):
    """Return the pipeline that is taken where none is named."""
    return "beam-lm" if arguments.lm and stored_in(arguments.checkpoint) \
        else best_name(arguments.checkpoint, "beam-lm" if arguments.lm else "greedy")


def pipeline_config(arguments, name):
    """Return the settings of the pipeline `name`: tuned where they are, then the options'."""
    from lm.base.settings import apply_overrides, to_mapping

    from ..correction import Stage, parse_name

    decoder, correctors = parse_name(name)
    config = pipeline_of(arguments.checkpoint, name)
    given = {field: getattr(arguments, option) for field, option in _OPTIONS.items()
             if field in _USED.get(decoder, tuple(_OPTIONS))}
    given = {k: os.path.normpath(v) if k in _PATHS else v for k, v in given.items()
             if v is not None}
    if "hotwords" in given:
        given["hotwords"] = tuple(given["hotwords"])
    config = dataclasses.replace(config, decoder=dataclasses.replace(config.decoder, **given))
    for assignment in arguments.set:
        stage, dot, rest = assignment.partition(".")
        if not dot or stage not in correctors:
            raise ConfigError(f"--set {assignment}: expected CORRECTOR.KEY=VALUE with one of the "
                              f"correctors in use ({', '.join(correctors) or 'none'})")
        config = dataclasses.replace(config, correctors=tuple(
            Stage.of(s.name, apply_overrides(to_mapping(s.settings), [rest]))
            if s.name == stage else s for s in config.correctors))
    return config
