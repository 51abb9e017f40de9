"""Networks by name."""

from lm.base.plugins import Registry

__all__ = ["MODELS", "get_model", "list_models"]

#: name -> function(num_classes, **overrides) -> network
MODELS = Registry("network", "ocr.networks")


def get_model(name, num_classes, **overrides):
    """Build the network `name`.

    Parameters
    ----------
    name : str
        One of `list_models()`.
    num_classes : int
        Characters + blank.
    **overrides
        Settings of the network that differ from the preset's.

    Returns
    -------
    mxnet.gluon.HybridBlock
        Not initialised. Called with images (N, 1, H, W) and widths (N,) it gives logits
        (N, T, num_classes) and frame counts (N,).

    Raises
    ------
    UnknownNameError
        No such model; the message lists the known ones.
    ConfigError
        An override the network does not have.
    """
    return MODELS.get(name)(num_classes, **overrides)


def list_models():
    """Return the names of the registered networks."""
    return MODELS.names()
