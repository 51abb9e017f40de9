"""Small networks of every registered kind, with weights and statistics as after training."""

import numpy as np

from lm.base.settings import to_mapping
from ocr.base.backend import mx, nd
from ocr.checkpoints.checkpoint import Checkpoint, save_checkpoint
from ocr.checkpoints.settings import ExperimentConfig, ModelConfig
from ocr.image import PreprocessConfig
from ocr.models import get_model
from ocr.models.weights import weights_of
from ocr.text.alphabet import Alphabet

ALPHABET = Alphabet("abcde ")
TWO_SCALES = {"height": 18, "body_channels": 5, "body_blocks": 1, "scale_channels": [7],
              "scale_blocks": [1], "hidden": [4, 3]}
TINY = {
    "base": TWO_SCALES,
    "small": {**TWO_SCALES, "frame_pooling": [1]},
    "original": {"height": 16, "body_channels": 4, "body_blocks": 1, "scale_channels": [8],
                 "hidden": [4, 5], "chunk_width": 80, "chunks": 16},
    "flor": {"height": 64, "channels": [3, 4, 4, 5, 4, 6], "hidden": 4, "dense": 5},
    "captcha": {"height": 13, "channels": [3, 4], "dense": 6, "hidden": [5, 3]},
    "shixin": {"height": 22, "channels": [3, 4, 3], "hidden": [4, 5]},
    "densenet": {"height": 17, "stem_channels": 5, "block_layers": [2, 1, 2], "growth": 3,
                 "transition_channels": 6}}


def randomise(net):
    """Start a network; statistics and shifts away from their start."""
    mx.random.seed(3)
    net.initialize(mx.init.Xavier())
    for key, parameter in net._collect_params_with_prefix().items():
        if key.endswith(("beta", "bias", "running_mean", "alpha")):
            parameter.set_data(nd.random.normal(0, 0.5, shape=parameter.shape))
        elif key.endswith(("running_var", "gamma")):
            parameter.set_data(nd.random.uniform(0.3, 1, shape=parameter.shape))
    return net


def tiny(name, **overrides):
    return randomise(get_model(name, ALPHABET.num_classes, **{**TINY[name], **overrides}))


def lines(net, widths, seed=0):
    """Random lines of these widths in one batch, padded as the network reads them."""
    rng = np.random.default_rng(seed)
    total = -(-max(widths) // net.stride) * net.stride
    images = np.zeros((len(widths), 1, net.config.height, total), np.float32)
    for image, width in zip(images, widths):
        image[0, :, :width] = rng.uniform(0, 1, (net.config.height, width))
    return images, np.array(widths, np.float32)


def write_checkpoint(path, name, **overrides):
    """Write a checkpoint of `tiny` as training would; returns its path."""
    net = tiny(name, **overrides)
    config = ExperimentConfig(
        "somewhere", model=ModelConfig(name, {**TINY[name], **overrides}),
        preprocess=PreprocessConfig(height=net.config.height, margin=3, width=(
            net.config.chunk_width if name == "original" else None)))
    save_checkpoint(str(path), Checkpoint(to_mapping(config), ALPHABET, weights_of(net),
                                          {"epoch": 4, "cer": 0.25, "history": [{"epoch": 1}]}))
    return str(path)


def grey_images(count, seed=0):
    """Grey images of unequal sizes, dark strokes on white."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        image = np.full((int(rng.integers(15, 50)), int(rng.integers(20, 180))), 250, np.uint8)
        for column in range(4, image.shape[1] - 3, 7):
            image[3:-3, column:column + int(rng.integers(1, 4))] = rng.integers(0, 90)
        images.append(image)
    return images
