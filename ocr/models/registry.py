"""Networks by name."""

from typing import Any

from lm.base.errors import ConfigError
from lm.base.plugins import Registry
from lm.base.settings import from_mapping, to_mapping

from ..base.backend import gluon
from ..checkpoints.settings import ExperimentConfig

__all__ = ["MODELS", "Preset", "build_network", "get_model", "list_models"]

#: name -> function(num_classes, **overrides) -> network
MODELS = Registry("network", "ocr.networks")


class Preset:
    """A network of a class, with settings of its own: what a name of `MODELS` stands for.

    Parameters
    ----------
    network : type
        Called with the number of classes and the settings.
    config_class : type
        Settings dataclass of the network.
    **defaults
        Settings that differ from the dataclass's own.
    """

    def __init__(self, network: type, config_class: type, **defaults: Any):
        self.network, self.config_class = network, config_class
        self.defaults = to_mapping(config_class(**defaults))

    def __call__(self, num_classes: int, **overrides: Any) -> gluon.HybridBlock:
        """Build the network; see `get_model`."""
        return self.network(num_classes, from_mapping(
            self.config_class, {**self.defaults, **overrides}, "model"))


def get_model(name: str, num_classes: int, **overrides: Any) -> gluon.HybridBlock:
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


def build_network(config: ExperimentConfig, num_classes: int) -> gluon.HybridBlock:
    """Build the network that an experiment's settings name, for its lines' height.

    Parameters
    ----------
    config : ExperimentConfig
    num_classes : int

    Raises
    ------
    UnknownNameError, ConfigError
        As `get_model`; or the settings give the network another height than the lines have.
    """
    height = config.preprocess.height
    if (given := config.model.options.get("height", height)) != height:
        raise ConfigError(f"model.options.height is {given} and preprocess.height {height}: a "
                          "network reads lines of its own height; leave the first away")
    return get_model(config.model.name, num_classes, **{**config.model.options, "height": height})


def list_models() -> list[str]:
    """Return the names of the registered networks."""
    return MODELS.names()
