"""Text-line recognition with MXNet Gluon: data, networks, training, decoding, scoring."""

__version__ = "0.1.0"
