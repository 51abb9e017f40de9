"""From samples to batches: prepared (and cached) lines, bucketing by width, CTC feasibility."""

from .batches import Batch, TrainingBatches, collate, evaluation_batches
from .prepared import PreparedLines

__all__ = ["Batch", "collate", "evaluation_batches", "TrainingBatches",
           "PreparedLines"]
