"""Preprocessing and augmentation of line images (numpy and Pillow only)."""

from .augment import AugmentConfig, augment, sample_generator
from .preprocess import PreprocessConfig, line_to_input, resize_line, standardise

__all__ = ["AugmentConfig", "augment", "sample_generator", "PreprocessConfig", "line_to_input",
           "resize_line", "standardise"]
