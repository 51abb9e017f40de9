"""Text as a recogniser has it: alphabet, CTC labels, scores."""

from .alphabet import PRESETS, Alphabet

__all__ = ["PRESETS", "Alphabet"]
