"""From samples to batches: prepared (and cached) lines, bucketing by width, CTC feasibility."""

from .batches import Batch, collate, evaluation_batches, frames_needed, TrainingBatches
from .prepared import PreparedLines

__all__ = ["Batch", "collate", "evaluation_batches", "frames_needed", "TrainingBatches",
           "PreparedLines"]
