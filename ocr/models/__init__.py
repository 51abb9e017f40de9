"""Networks, by name."""

from . import cnn_bilstm  # noqa: F401 - registers its presets
from .cnn_bilstm import CNNBiLSTM, CNNBiLSTMConfig
from .registry import MODELS, get_model, list_models

__all__ = ["CNNBiLSTM", "CNNBiLSTMConfig", "MODELS", "get_model", "list_models"]
