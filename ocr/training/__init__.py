"""Training: settings, optimiser, loop, logging."""

from .config import DataConfig, ExperimentConfig, ModelConfig, TrainingConfig

__all__ = ["DataConfig", "ExperimentConfig", "ModelConfig", "TrainingConfig"]
