"""Decoders: logits + lengths -> hypotheses."""

from . import beam, fusion, greedy  # noqa: F401 - registers the decoders
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

__all__ = ["DECODERS", "Decoder", "DecoderConfig", "Hypothesis", "Span", "build_decoder",
           "list_decoders", "log_softmax", "align"]
