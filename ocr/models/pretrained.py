"""ImageNet weights for the ResNet34 body: from the model zoo, a file, or torchvision's."""

import os
import warnings

import numpy as np

from lm.base.errors import ModelError

from ..base.backend import mx

__all__ = ["load_pretrained"]


def load_pretrained(net, source):
    """Start a `CNNBiLSTM`'s stem and first stage from ResNet34 weights.

    The stem's three colour channels are averaged into one.

    Parameters
    ----------
    net : CNNBiLSTM
        Initialised, with 64 body channels and at most 3 body blocks.
    source : str
        "imagenet": the Gluon model zoo's ResNet34 v1; when it cannot be reached the network
        stays as initialised and a warning says so. Else a file: Gluon ``.params`` of
        ResNet34 v1, or a torchvision ``resnet34`` state dict (``.pth``/``.pt``; needs torch).

    Returns
    -------
    bool
        Whether weights were loaded.

    Raises
    ------
    ModelError
        The network's body is no ResNet34 beginning, or the file is missing or another model's.
    """
    config = getattr(net, "config", None)
    if config is None or getattr(config, "body_channels", 0) != 64 or config.body_blocks > 3:
        raise ModelError("pretrained weights fit a CNN-BiLSTM with body_channels 64 and at most "
                         "3 body_blocks alone")
    if source == "imagenet":
        weights = _from_zoo()
        if weights is None:
            return False
    elif not os.path.isfile(source):
        raise ModelError(f"{source}: no such file of pretrained weights")
    elif source.endswith((".pth", ".pt")):
        weights = _from_torchvision(source, config.body_blocks)
    else:
        weights = _from_gluon(source, config.body_blocks)
    parameters = net._collect_params_with_prefix()
    for name, value in weights.items():
        if name not in parameters:
            continue
        if parameters[name].shape != value.shape:
            raise ModelError(f"{source}: {name} has shape {value.shape}, "
                             f"expected {parameters[name].shape}")
        parameters[name].set_data(value)
    return True


def _from_zoo():
    from ..base.backend import gluon

    try:
        zoo = gluon.model_zoo.vision.resnet34_v1(pretrained=True, ctx=mx.cpu())
    except Exception as error:  # noqa: BLE001 - urllib3, OSError, ValueError by how it fails
        warnings.warn("the model zoo's ResNet34 weights cannot be fetched "
                      f"({type(error).__name__}); the network starts from random weights",
                      stacklevel=3)
        return None
    named = {k: v.data().asnumpy() for k, v in zoo._collect_params_with_prefix().items()}
    return _rename_gluon(named, 3)


def _from_gluon(path, blocks):
    try:
        loaded = mx.nd.load(path)
    except mx.MXNetError as error:
        raise ModelError(f"{path}: not a Gluon parameter file "
                         f"({str(error).strip().splitlines()[-1]})") from None
    if not isinstance(loaded, dict):
        raise ModelError(f"{path}: its parameters have no names")
    named = {k.split(":", 1)[-1]: v.asnumpy() for k, v in loaded.items()}
    if not any(k.startswith("features.") for k in named):
        raise ModelError(f"{path}: not the parameters of a Gluon ResNet34 v1 "
                         "(no name begins with 'features.')")
    return _rename_gluon(named, blocks, path)


def _norm(prefix, named, target):
    return {f"{target}.{kind}": named[f"{prefix}.{kind}"]
            for kind in ("gamma", "beta", "running_mean", "running_var")}


def _rename_gluon(named, blocks, path="model zoo"):
    try:
        weights = {"stem.weight": _grey(named["features.0.weight"]),
                   **_norm("features.1", named, "stem_norm")}
        for block in range(blocks):
            # A BasicBlockV1's body: conv, norm, relu, conv, norm.
            for ours, conv, norm in ((1, 0, 1), (2, 3, 4)):
                source = f"features.4.{block}.body"
                weights[f"body.{block}.conv{ours}.weight"] = named[f"{source}.{conv}.weight"]
                weights.update(_norm(f"{source}.{norm}", named, f"body.{block}.norm{ours}"))
    except KeyError as error:
        raise ModelError(f"{path}: no parameter {error}; not a ResNet34 v1") from None
    return weights


def _from_torchvision(path, blocks):
    try:
        import torch
    except ImportError:
        raise ModelError(f"{path}: reading a torchvision state dict needs torch") from None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - torch raises many kinds
        raise ModelError(f"{path}: not a torch state dict ({type(error).__name__})") from None
    kinds = {"gamma": "weight", "beta": "bias", "running_mean": "running_mean",
             "running_var": "running_var"}

    def norm(prefix, target):
        return {f"{target}.{ours}": np.asarray(state[f"{prefix}.{theirs}"])
                for ours, theirs in kinds.items()}

    try:
        weights = {"stem.weight": _grey(np.asarray(state["conv1.weight"])),
                   **norm("bn1", "stem_norm")}
        for block in range(blocks):
            for ours in (1, 2):
                weights[f"body.{block}.conv{ours}.weight"] = \
                    np.asarray(state[f"layer1.{block}.conv{ours}.weight"])
                weights.update(norm(f"layer1.{block}.bn{ours}", f"body.{block}.norm{ours}"))
    except KeyError as error:
        raise ModelError(f"{path}: no parameter {error}; not a torchvision ResNet34") from None
    return weights


def _grey(weight):
    """Average the input channels of a first convolution: (64, 3, 7, 7) -> (64, 1, 7, 7)."""
    return weight.mean(axis=1, keepdims=True)
