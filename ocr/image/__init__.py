"""Line images: loading, cutting out of pages, preprocessing, distortions (NumPy and Pillow)."""

from .augment import AugmentConfig, augment, augmented_width
from .cutting import crop
from .load import as_grey, load_grey, to_grey
from .preprocess import (
    PreprocessConfig,
    fit_box,
    image_columns,
    input_width,
    line_to_input,
    prepare_line,
    resized_width,
    standardise,
)

__all__ = ["AugmentConfig", "augment", "augmented_width", "PreprocessConfig",
           "as_grey", "crop", "load_grey", "to_grey",
           "fit_box", "image_columns", "input_width", "line_to_input", "prepare_line",
           "resized_width", "standardise"]
