"""Bodies of the line network: the beginning of a ResNet of gluoncv's model zoo."""

import re
import sys
from dataclasses import dataclass
from typing import Optional

from PIL import ImageFile

from lm.base.errors import ConfigError, ModelError

from ..base.backend import nd, nn

__all__ = ["Body", "cut_body", "list_bodies", "model_zoo"]

#: Those that begin with a strided convolution, max-pooling and a residual stage of stride 1.
_KNOWN = re.compile(r"resnet(\d+)_v1([bcdes]?)")


@dataclass(frozen=True)
class Body:
    """What a line network takes over from a ResNet; nothing of it is initialised.

    Attributes
    ----------
    stem : mxnet.gluon.Block
        One 7x7 convolution of stride 2 or, in v1c to v1s, a sequence of three of 3x3.
    norm : mxnet.gluon.nn.BatchNorm
        Behind it.
    blocks : list of (convolutions, batch norms, shortcut)
        The first stage: each block's layers in order; the shortcut is None or a block.
    channels : int
        Of the stage's result.
    names : dict
        The zoo's name of each parameter, by the parameter's own.
    """

    stem: nn.HybridSequential
    norm: nn.BatchNorm
    blocks: list
    channels: int
    names: dict


def model_zoo():
    """Import gluoncv's model zoo.

    Raises
    ------
    ModelError
        gluoncv is not installed.
    """
    if "gluoncv.model_zoo" not in sys.modules:
        # gluoncv refuses to be imported beside PyTorch 2, of which nothing is wanted here.
        torch = sys.modules.get("torch")
        sys.modules["torch"] = None
        # It also has Pillow take images that are cut short, everywhere.
        whole = ImageFile.LOAD_TRUNCATED_IMAGES
        try:
            import gluoncv.model_zoo  # noqa: F401
        except ImportError as error:
            raise ModelError("the line network's body comes from gluoncv, which cannot be "
                             f"imported ({error}); install ocr[cpu] or ocr[cu112]") from None
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = whole
            del sys.modules["torch"]
            if torch is not None:
                sys.modules["torch"] = torch
    return sys.modules["gluoncv.model_zoo"]


def list_bodies() -> list[str]:
    """Return the names of the ResNets that a line network can begin with."""
    found = [match for match in map(_KNOWN.fullmatch, model_zoo().get_model_list()) if match]
    return [match[0] for match in sorted(found, key=lambda match: (int(match[1]), match[0]))]


def cut_body(name: str, channels: Optional[int] = None, blocks: Optional[int] = None) -> Body:
    """Take stem and first residual stage, for grey images, out of a ResNet of the model zoo.

    Parameters
    ----------
    name : str
        One of `list_bodies()`.
    channels : int, optional
        Of the stem, where it is not to be the zoo's; v1 alone comes in other widths.
    blocks : int, optional
        Of the stage; more than the zoo's are for v1 alone.

    Raises
    ------
    ConfigError
        No such ResNet (the known ones are listed), or one that does not come in this shape.
    """
    zoo, match = model_zoo(), _KNOWN.fullmatch(name)
    if not match or name not in zoo.get_model_list():
        raise ConfigError(f"model: unknown body {name!r}; known: {', '.join(list_bodies())}")
    if not match[2]:
        kind, counts, widths = zoo.resnet.resnet_spec[int(match[1])]
        channels = channels or widths[0]
        net = zoo.resnet.ResNetV1(zoo.resnet.resnet_block_versions[0][kind],
                                  [blocks or counts[0]],
                                  [channels, channels * widths[1] // widths[0]])
        stem, norm, relu, pool, stage = net.features[:5]
    else:
        net = zoo.get_model(name)
        stem, norm, relu, pool, stage = net.conv1, net.bn1, net.relu, net.maxpool, net.layer1
    blocks = blocks or len(stage)
    layers = nn.HybridSequential()
    layers.add(stem, norm, relu, pool, *stage[:blocks])
    # The zoo leaves shapes open until a first image comes.
    layers.infer_shape(nd.zeros((1, 1, 32, 32)))
    width = norm.gamma.shape[0]
    if len(stage) < blocks or (channels or width) != width:
        raise ConfigError(f"model: the zoo's {name} has {len(stage)} blocks after a stem of "
                          f"{width} channels, not {blocks} after {channels or width}; v1 comes "
                          "in other shapes")
    parts = [_parts(block) for block in stage[:blocks]]
    names = {p.name: structural for structural, p in net._collect_params_with_prefix().items()}
    return Body(stem, norm, parts, parts[-1][1][-1].gamma.shape[0], names)


def _parts(block):
    layers = getattr(block, "body", None)
    if layers is None:
        layers = [layer for name, layer in block._children.items() if name != "downsample"]
    convs = [layer for layer in layers if isinstance(layer, nn.Conv2D)]
    norms = [layer for layer in layers if isinstance(layer, nn.BatchNorm)]
    shortcut = None
    if block.downsample is not None:
        shortcut = nn.HybridSequential()
        # At stride 1 the average pooling of v1d is over one pixel.
        shortcut.add(*(layer for layer in block.downsample if not isinstance(layer, nn.AvgPool2D)))
    return convs, norms, shortcut
