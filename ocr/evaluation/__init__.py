"""Scores, reports and galleries."""

from .gallery import save_gallery, save_gallery_png
from .metrics import Summary, TextMetric, confusions, paired_bootstrap
from .report import EvaluationReport, SystemResult

__all__ = ["save_gallery", "save_gallery_png", "Summary", "TextMetric", "confusions",
           "paired_bootstrap", "EvaluationReport", "SystemResult"]
