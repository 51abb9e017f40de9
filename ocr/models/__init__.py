"""Networks, by name."""

from .captcha import Captcha, CaptchaConfig
from .cnn_bilstm import CNNBiLSTM, CNNBiLSTMConfig
from .densenet import DenseNet, DenseNetConfig
from .flor import Flor, FlorConfig
from .registry import MODELS, build_network, get_model, list_models
from .shixin import ShiXin, ShiXinConfig

__all__ = ["CNNBiLSTM", "CNNBiLSTMConfig", "Captcha", "CaptchaConfig", "DenseNet",
           "DenseNetConfig", "Flor", "FlorConfig", "MODELS", "ShiXin", "ShiXinConfig",
           "build_network", "get_model", "list_models"]
