"""Text-line recognition with MXNet Gluon: data, networks, training, decoding, scoring."""

from lm.base.version import __version__

__all__ = ["__version__", "recognise"]


def __getattr__(name):
    # Resolved on first use, so that importing the package costs nothing.
    if name == "recognise":
        from .recognition import recognise

        return recognise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
