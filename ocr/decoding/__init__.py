"""Decoders: logits + lengths -> hypotheses."""

from .base import (
    DECODERS,
    Decoder,
    DecoderConfig,
    Hypothesis,
    Span,
    build_decoder,
    list_decoders,
)

__all__ = ["DECODERS", "Decoder", "DecoderConfig", "Hypothesis", "Span", "build_decoder",
           "list_decoders"]
