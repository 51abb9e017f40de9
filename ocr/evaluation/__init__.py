"""Scores, reports and galleries."""

from .gallery import save_gallery, save_gallery_png
from .report import EvaluationReport, SystemResult

__all__ = ["save_gallery", "save_gallery_png", "EvaluationReport", "SystemResult"]
