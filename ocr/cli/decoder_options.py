"""Choosing decoders on the command line: by name, tuned settings, language model."""

import dataclasses
import os

from ..exceptions import ConfigError
from .common import beside

__all__ = ["add_decoder_options", "tuned_path", "decoder_config", "known_decoders"]


def add_decoder_options(parser):
    """Add the options that override a decoder's (tuned) settings."""
    group = parser.add_argument_group("decoder settings (before the tuned ones)")
    group.add_argument("--lm", metavar="NAME", help="language model made by lm train")
    group.add_argument("--alpha", type=float, help="weight of the language model")
    group.add_argument("--beta", type=float, help="bonus per word")
    group.add_argument("--beam-width", type=int)
    group.add_argument("--token-min-logp", type=float,
                       help="characters less likely than this are not tried")
    group.add_argument("--decoder-workers", type=int, metavar="N",
                       help="processes that decode; default: one a core")


def tuned_path(checkpoint, name):
    """Return where ``ocr tune`` stores the decoder `name`'s settings for a checkpoint."""
    return beside(checkpoint, f"decoder-{name}.json")


def known_decoders(arguments):
    """Return the decoders that can run: all, or those without a language model where none is."""
    from ..decoding import list_decoders

    with_lm = arguments.lm or os.path.exists(tuned_path(arguments.checkpoint, "beam-lm"))
    names = [n for n in list_decoders() if with_lm or n != "beam-lm"]
    return sorted(names, key=lambda n: (n != "greedy", n))


def decoder_config(arguments, name):
    """Return (settings of the decoder `name`, folder its relative paths start from)."""
    from ..decoding import DecoderConfig, list_decoders, load_decoder

    if name not in list_decoders():
        raise ConfigError(f"unknown decoder {name!r}; known: {', '.join(list_decoders())}")
    path = tuned_path(arguments.checkpoint, name)
    config = load_decoder(path) if os.path.exists(path) else DecoderConfig(name=name)
    given = {"lm": os.path.abspath(arguments.lm) if arguments.lm else None,
             "alpha": arguments.alpha, "beta": arguments.beta,
             "beam_width": arguments.beam_width, "token_min_logp": arguments.token_min_logp,
             "workers": arguments.decoder_workers}
    if name != "beam-lm":
        given = {k: v for k, v in given.items() if k not in ("lm", "alpha", "beta")}
    given = {k: v for k, v in given.items() if v is not None}
    return dataclasses.replace(config, **given), os.path.dirname(path)
