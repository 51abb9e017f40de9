"""Reading lines without MXNet: NumPy, Pillow and onnxruntime alone."""

from .metadata import read_settings
from .recogniser import OnnxRecogniser, stored_pipeline
from .shipped import default_model, list_shipped, model_path

__all__ = ["OnnxRecogniser", "default_model", "list_shipped", "model_path", "read_settings",
           "stored_pipeline"]
