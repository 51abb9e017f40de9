"""Serving models over HTTP: ``ocr serve``; see docs/serving.md."""

from .config import ServingConfig
from .server import serve

__all__ = ["ServingConfig", "serve"]
