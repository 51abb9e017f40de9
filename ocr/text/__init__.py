"""Text as a recogniser has it: alphabet, CTC labels, scores."""

from .alphabet import PRESETS, Alphabet
from .tidy import tidy

__all__ = ["PRESETS", "Alphabet", "tidy"]
