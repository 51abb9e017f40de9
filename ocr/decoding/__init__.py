"""Decoders: logits + lengths -> hypotheses."""

from .base import (
    DECODERS,
    Decoder,
    Hypothesis,
    Span,
    build_decoder,
    decoder_stage,
    list_decoders,
)
from .parallel import SearchConfig

__all__ = ["DECODERS", "Decoder", "Hypothesis", "SearchConfig", "Span", "build_decoder",
           "decoder_stage", "list_decoders"]
