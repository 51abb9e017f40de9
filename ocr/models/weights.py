"""A network's weights as arrays, by structural name."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lm.base.errors import CheckpointError

from ..base.backend import gluon, nd

__all__ = ["assign", "check_weights", "load_weights", "weights_of"]


def assign(parameter, value):
    """Set a parameter to `value` (NDArray or NumPy array) on each of its devices.

    Inference leaves convolution weights in a oneDNN layout, into which MXNet's own
    ``set_data`` sometimes fails to copy ("to.IsDefaultData"); an operator's output is
    laid out anew.
    """
    for target in parameter.list_data():
        source = value.as_in_context(target.context) if hasattr(value, "as_in_context") \
            else nd.array(value, ctx=target.context)
        nd._internal._mul_scalar(source, scalar=1.0, out=target)


def weights_of(net: gluon.Block) -> dict[str, np.ndarray]:
    """Return a network's parameters as {structural name: NumPy array} (first device's copy)."""
    # Multiplied by 1: see `assign`.
    return {name: (parameter.data(parameter.list_ctx()[0]) * 1).asnumpy()
            for name, parameter in net._collect_params_with_prefix().items()}


def check_weights(net: gluon.Block, weights: Mapping[str, np.ndarray], where: str) -> dict:
    """Return a network's parameters by name; `CheckpointError` unless `weights` fit them."""
    parameters = net._collect_params_with_prefix()
    missing = sorted(parameters.keys() - weights.keys())
    surplus = sorted(weights.keys() - parameters.keys())
    if missing or surplus:
        raise CheckpointError(f"{where}: the weights are another network's; "
                              f"missing {missing[:3]}, surplus {surplus[:3]}")
    for name, parameter in parameters.items():
        if parameter.shape != weights[name].shape:
            raise CheckpointError(f"{where}: {name} has shape {weights[name].shape}, "
                                  f"the network needs {parameter.shape}")
    return parameters


def load_weights(net: gluon.Block, weights: Mapping[str, np.ndarray], where: str = "checkpoint",
                 contexts: Any = None) -> None:
    """Set a network's parameters.

    Parameters
    ----------
    net : mxnet.gluon.HybridBlock
    weights : dict of str to numpy.ndarray
    where : str
        What errors begin with.
    contexts : mxnet.Context or list, optional
        Where to initialise a network that is not yet: once it is known that the weights fit, so
        that settings that ask for more memory than there is are refused.

    Raises
    ------
    CheckpointError
        Names what is missing or misshapen.
    """
    parameters = check_weights(net, weights, where)
    if contexts is not None:
        net.initialize(ctx=contexts)
    for name, parameter in parameters.items():
        assign(parameter, weights[name])
