"""Preprocessing and augmentation of line images (numpy and Pillow only)."""

from .augment import AugmentConfig, augment, augmented_width, sample_generator
from .preprocess import (
    PreprocessConfig,
    image_columns,
    input_width,
    line_to_input,
    resize_line,
    resized_width,
    standardise,
)

__all__ = ["AugmentConfig", "augment", "augmented_width", "sample_generator", "PreprocessConfig",
           "image_columns", "input_width", "line_to_input", "resize_line", "resized_width",
           "standardise"]
