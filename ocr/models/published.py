"""The published MXNet recogniser's own weights, as a checkpoint of the network ``original``."""

import os
import re

from lm.base.errors import ModelError
from lm.base.settings import from_mapping, to_mapping

from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.settings import ExperimentConfig
from ..text.alphabet import PRESETS, Alphabet
from .pretrained import read_parameters
from .registry import build_network
from .weights import check_weights

__all__ = ["published_checkpoint"]

#: Its alphabet was a raw string, in which the backslash before the quotation mark is a character.
_CHARACTERS = PRESETS["iam"].replace("'", "\\'")
#: The body was a list of layers cut out of the model zoo's, its first replaced.
_BODY = re.compile(r"body\.(\d+)\.(?:(\d+)\.body\.(\d+)\.)?(\w+)$")
#: Gluon has written the weights of a bidirectional LSTM in both ways.
_LSTM = re.compile(r"encoders\.(\d+)\.0\.lstm\.(?:(?P<side>[lr])(?P<layer>\d+)_|"
                   r"_unfused\.(?P<layer2>\d+)\.(?P<side2>[lr])_cell\.)(\w+)$")
_FIRST = "encoders.0.0.ahead._unfused.0."
_DOWNSAMPLER = {"0": "convs.0", "1": "norms.0", "3": "convs.1", "4": "norms.1"}


def published_checkpoint(path: str) -> Checkpoint:
    """Turn the parameters of the published recogniser (``handwriting_line8.params``) into ours.

    Parameters
    ----------
    path : str
        A Gluon ``.params`` file of that system's line recogniser, of any number of scales, LSTM
        layers and units, for boxes of 60 x 800 pixels.

    Returns
    -------
    Checkpoint
        Of ``original``, with its preprocessing, and the alphabet of 80 characters (a stray
        backslash among them) or, for 80 outputs, of IAM's 79.

    Raises
    ------
    ModelError
        Not such a file; the message names what is missing or surplus.
    """
    if not os.path.isfile(path):
        raise ModelError(f"{path}: no such file")
    found = read_parameters(path)
    weights, shared = {}, {}
    for name, value in found.items():
        if name.startswith("downsampler."):
            number, kind = name.split(".")[1:]
            shared[f"{_DOWNSAMPLER.get(number, number)}.{kind}"] = value
        elif ours := _our_name(name):
            weights[ours] = value
    if not {"output.weight", _FIRST + "i2h_weight", _FIRST + "h2h_weight"} <= weights.keys():
        raise ModelError(f"{path}: not the published line recogniser's parameters: no decoder, or "
                         f"no LSTM among {', '.join(sorted(found)[:3])}, ...")
    scales = 1 + max(int(n.split(".")[1]) for n in weights if n.startswith("encoders."))
    layers = 1 + max(int(n.split(".")[2]) for n in weights if n.startswith("encoders."))
    # It has one downsampler, used between all scales.
    for scale in range(scales - 1):
        weights.update({f"downsamplers.{scale}.{kind}": value for kind, value in shared.items()})
    classes = len(weights["output.weight"])
    characters = {len(text) + 1: text for text in (_CHARACTERS, PRESETS["iam"])}.get(classes)
    if characters is None:
        raise ModelError(f"{path}: {classes} outputs; the alphabet of such a network is not known")
    config = from_mapping(ExperimentConfig, {
        "output": "",
        "preprocess": {"height": 60, "width": 800, "scaling": "original", "polarity": "dark",
                       "cleaning": "none",
                       "margin": 0},
        "model": {"name": "original", "options": {
            "num_downsamples": scales, "layers": layers,
            "scale_channels": [64] * (scales - 1), "scale_blocks": [0] * (scales - 1),
            "hidden": [weights[f"encoders.{i}.0.ahead._unfused.0.h2h_weight"].shape[1]
                       for i in range(scales)],
            # 15 rows and 200 columns of 64 channels, cut into so many pieces.
            "chunks": 64 * 15 * 200 // weights[_FIRST + "i2h_weight"].shape[1]}}})
    alphabet = Alphabet(characters)
    check_weights(build_network(config, alphabet.num_classes), weights, path)
    return Checkpoint(to_mapping(config), alphabet, weights,
                      {"published": os.path.basename(path)})


def _our_name(name):
    if match := _BODY.match(name):
        layer, block, part, kind = match.groups()
        if block is None:
            return {"0": f"stem.{kind}", "1": f"stem_norm.{kind}"}.get(layer)
        number = 1 + int(part) // 3
        return f"body.{block}.{'norm' if int(part) % 3 else 'conv'}{number}.{kind}"
    if match := _LSTM.match(name):
        side = "ahead" if (match["side"] or match["side2"]) == "l" else "back"
        layer = match["layer"] or match["layer2"]
        return f"encoders.{match[1]}.{layer}.{side}._unfused.0.{match[6]}"
    if name in ("decoder.weight", "decoder.bias"):
        return name.replace("decoder", "output")
    # Kept, so that it is told as surplus.
    return name
