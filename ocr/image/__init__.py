"""Line images: loading, preprocessing, cleaning, augmentation (NumPy and Pillow only)."""

from .augment import AugmentConfig, augment, augmented_width
from .load import load_grey, to_grey
from .preprocess import (
    PreprocessConfig,
    image_columns,
    input_width,
    line_to_input,
    resize_line,
    resized_width,
    standardise,
)

__all__ = ["AugmentConfig", "augment", "augmented_width", "PreprocessConfig",
           "load_grey", "to_grey",
           "image_columns", "input_width", "line_to_input", "resize_line", "resized_width",
           "standardise"]
