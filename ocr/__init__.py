"""Text-line recognition with MXNet Gluon: data, networks, training, decoding, scoring."""

__version__ = "0.1.0"


def __getattr__(name):
    # Resolved on first use, so that importing the package costs nothing.
    if name == "recognise":
        from .reading import recognise

        return recognise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
