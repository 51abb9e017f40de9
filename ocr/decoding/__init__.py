"""Decoders: logits + lengths -> hypotheses."""

from . import beam, greedy  # noqa: F401 - registers the decoders
from .base import (
                   DECODERS,
                   Decoder,
                   DecoderConfig,
                   Hypothesis,
                   Span,
                   build_decoder,
                   list_decoders,
                   log_softmax,
)
from .spans import align
from .storage import load_decoder, save_decoder

__all__ = ["DECODERS", "Decoder", "DecoderConfig", "Hypothesis", "Span", "build_decoder",
           "list_decoders", "log_softmax", "align", "load_decoder", "save_decoder"]
