"""Trained networks in other formats: ONNX, MXNet's symbol and parameters."""

from .model import convert, export_onnx, export_symbol

__all__ = ["convert", "export_onnx", "export_symbol"]
