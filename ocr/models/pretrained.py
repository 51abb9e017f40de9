"""ImageNet weights for the body: from gluoncv's model zoo, a Gluon file, or torchvision."""

import contextlib
import os
import re
import sys
import warnings

import numpy as np

from lm.base.errors import ModelError

from ..base.backend import gluon, mx
from .zoo import model_zoo

__all__ = ["load_pretrained", "read_parameters"]

#: From our names to torchvision's.
_TORCHVISION = ((r"^stem\.", "conv1."), (r"^stem_norm\.", "bn1."), (r"^body\.", "layer1."),
                (r"\.norm(\d)\.", r".bn\1."), (r"\.project\.", ".downsample."),
                (r"gamma$", "weight"), (r"beta$", "bias"))


def load_pretrained(net: gluon.Block, source: str, required: bool = True) -> bool:
    """Start the body of a `CNNBiLSTM` from weights that were trained on ImageNet.

    The stem's three colour channels are averaged into one.

    Parameters
    ----------
    net : CNNBiLSTM
        Initialised, its body of the zoo's width and at most as many blocks.
    source : str
        "imagenet": the weights that gluoncv's model zoo has for the body, fetched once. Else a
        file: Gluon ``.params`` of that ResNet, or a torchvision state dict (``.pth``/``.pt``;
        needs torch) of one with the same layers.
    required : bool
        Where the zoo cannot be reached, False leaves the network as initialised, with a warning.

    Returns
    -------
    bool
        Whether weights were loaded.

    Raises
    ------
    ModelError
        A network without such a body, weights that cannot be fetched, or a file that is missing
        or another model's.
    """
    names = getattr(net, "zoo_names", None)
    if not names:
        raise ModelError("pretrained weights are for a network whose body is a ResNet of the "
                         "model zoo: original, base, small")
    if source == "imagenet":
        try:
            source = _fetch(net.config.body)
        except ModelError as error:
            if required:
                raise
            warnings.warn(f"{error}; the network starts from random weights", stacklevel=2)
            return False
    if not os.path.isfile(source):
        raise ModelError(f"{source}: no such file of pretrained weights")
    if source.endswith((".pth", ".pt")):
        found = _from_torchvision(source)
        names = {ours: _torchvision_name(ours) for ours in names}
    else:
        found = read_parameters(source)
    parameters = net._collect_params_with_prefix()
    for ours, theirs in names.items():
        if theirs not in found:
            raise ModelError(f"{source}: no parameter {theirs!r}; not a {net.config.body}")
        value, shape = found[theirs], parameters[ours].shape
        if value.ndim == 4 and value.shape[1] == 3 and shape[1] == 1:
            value = value.mean(axis=1, keepdims=True)
        if value.shape != shape:
            raise ModelError(f"{source}: {theirs} has shape {value.shape}, expected {shape} as "
                             f"in {ours}")
        parameters[ours].set_data(value)
    return True


def _fetch(name):
    """Return the path of a ResNet's weights, fetched from the zoo where they are not there."""
    try:
        # gluoncv tells on standard output what it fetches.
        with contextlib.redirect_stdout(sys.stderr):
            return model_zoo().model_store.get_model_file(name)
    except Exception as error:  # noqa: BLE001 - requests', OSError, ValueError by how it fails
        reason = str(error).split("(")[0].strip() or type(error).__name__
        raise ModelError(
            f"the model zoo's weights of {name} cannot be fetched ({reason:.150}); give a file of "
            "them (model.pretrained=FILE.params), or set model.pretrained_required=false to start "
            "from random weights") from None


def read_parameters(path: str) -> dict[str, np.ndarray]:
    """Read a Gluon ``.params`` file as {name: NumPy array}; `ModelError` where it is none."""
    try:
        loaded = mx.nd.load(path)
    except (mx.MXNetError, ValueError) as error:
        raise ModelError(f"{path}: not a Gluon parameter file "
                         f"({str(error).strip().splitlines()[-1]})") from None
    if not isinstance(loaded, dict):
        raise ModelError(f"{path}: its parameters have no names")
    return {k.split(":", 1)[-1]: v.asnumpy() for k, v in loaded.items()}


def _from_torchvision(path):
    try:
        import torch
    except ImportError:
        raise ModelError(f"{path}: reading a torchvision state dict needs torch") from None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - torch raises many kinds
        raise ModelError(f"{path}: not a torch state dict ({type(error).__name__})") from None
    return {name: np.asarray(value) for name, value in state.items()}


def _torchvision_name(name):
    for pattern, replacement in _TORCHVISION:
        name = re.sub(pattern, replacement, name)
    return name
