"""Trained networks in other formats, ONNX, MXNet's symbol and parameters, and back from ONNX."""

from .model import convert, export_onnx, export_symbol
from .restore import restore

__all__ = ["convert", "export_onnx", "export_symbol", "restore"]
