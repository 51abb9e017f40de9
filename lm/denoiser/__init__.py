"""The denoiser: a small network that turns what was read into what was written."""

import importlib

_PUBLIC = {
    "NoiseModel": "noise", "DenoiserNetwork": "network", "Denoiser": "model",
    "DenoiserConfig": "training", "train_denoiser": "training",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    # Resolved on first use: MXNet takes seconds to import.
    if name in _PUBLIC:
        return getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
