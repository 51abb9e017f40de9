"""Gated convolutions and two BiGRUs: the Flor network for handwritten lines."""

from dataclasses import dataclass
from typing import Annotated

from lm.base.errors import ConfigError
from lm.base.settings import Range

from ..base.backend import gluon, mx, nd, nn
from .masking import LineNetwork, NetworkSettings, Share, Size, column_mask, columns
from .recurrent import BiGRU
from .registry import Preset

__all__ = ["Flor", "FlorConfig"]

#: Kernel and stride (rows, columns) of each convolution; 3x3 ones are padded.
CONVS = (((3, 3), (2, 1)), ((3, 3), (1, 1)), ((4, 2), (4, 2)),
         ((3, 3), (1, 1)), ((4, 2), (4, 2)), ((3, 3), (1, 1)))
#: Columns of each convolution's result that make a frame.
FOLDS = (4, 4, 2, 2, 1, 1)
#: The gates from this one on (counted from 0) have dropout and a largest norm.
REGULARISED = 2


@dataclass(frozen=True)
class FlorConfig(NetworkSettings):
    """Shape of a `Flor`.

    Attributes
    ----------
    height : int
        Input height in pixels, a multiple of 32 x `row_pooling`.
    channels : tuple of int
        Of the six convolutions.
    row_pooling : int
        Rows of the last convolution that are max-pooled to one: 2 as in the original, whose
        0.82 million parameters it gives; 1 keeps all rows.
    gate_dropout : float
        After the third, fourth and fifth gate.
    max_norm : float
        Largest norm of a filter of those gates; 0 for none.
    hidden : int
        Units of both BiGRUs, per direction.
    dense : int
        Units of the linear layer between them.
    dropout : float
        Of the BiGRUs' inputs.
    """

    height: Size = 128
    channels: tuple[Size, ...] = (16, 32, 40, 48, 56, 64)
    row_pooling: Size = 2
    gate_dropout: Share = 0.2
    max_norm: Annotated[float, Range(0)] = 4.0
    hidden: Size = 128
    dense: Size = 256
    dropout: Share = 0.5

    def __post_init__(self):
        super().__post_init__()
        if len(self.channels) != len(CONVS):
            raise ConfigError(f"model: channels needs {len(CONVS)} values, "
                              f"not {len(self.channels)}")
        if self.height % (step := 32 * self.row_pooling):
            raise ConfigError(f"model: height {self.height} is no multiple of {step}")


class _Gate(gluon.HybridBlock):
    """Full gated convolution: half of the filters, linear, times the sigmoid of the others."""

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv = nn.Conv2D(2 * channels, 3, padding=1, in_channels=channels)

    def hybrid_forward(self, F, x):
        linear, gate = F.split(self.conv(x), num_outputs=2, axis=1)
        return linear * F.Activation(gate, act_type="sigmoid")


class _PReLU(gluon.HybridBlock):
    """x where it is positive, else alpha x, with an alpha for each channel.

    MXNet's own operator takes most of a training step to sum alpha's gradient; a depthwise
    convolution does it in a third of the time.
    """

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self._channels = channels
        with self.name_scope():
            # Keras' start: a ReLU.
            self.alpha = self.params.get("alpha", shape=(channels,), init=mx.init.Zero())

    def hybrid_forward(self, F, x, alpha):
        positive = F.Activation(x, act_type="relu")
        return positive + F.Convolution(x - positive, F.reshape(alpha, shape=(-1, 1, 1, 1)),
                                        no_bias=True, kernel=(1, 1), num_filter=self._channels,
                                        num_group=self._channels)


class _Block(gluon.HybridBlock):
    """Convolution, PReLU, batch norm and, where gated, a gate with dropout."""

    def __init__(self, in_channels, channels, kernel, strides, gated, dropout, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv = nn.Conv2D(channels, kernel, strides, 1 if kernel == (3, 3) else 0,
                                  in_channels=in_channels)
            self.prelu = _PReLU(channels)
            self.norm = nn.BatchNorm(in_channels=channels)
            self.gate = _Gate(channels) if gated else None
            self.drop = nn.Dropout(dropout)

    def hybrid_forward(self, F, x, frames):
        x = self.norm(self.prelu(self.conv(x)))
        if self.gate is None:
            return x
        mask = column_mask(F, x, frames)
        return self.drop(self.gate(x * mask)) * mask


class Flor(LineNetwork):
    """Line recogniser: six convolutions with five gates, then BiGRU, dense layer, BiGRU.

    A frame is 4 columns of pixels: a line 1024 pixels wide gives 256. At height 128 it has
    64 channels x 4 rows, of which `row_pooling` leaves 2.

    Parameters
    ----------
    num_classes : int
        Characters + blank (the last class).
    config : FlorConfig

    Notes
    -----
    Called as `LineNetwork` says. After a step of training `constrain` is due.
    """

    def __init__(self, num_classes, config, **kwargs):
        super().__init__(num_classes, config, 4, **kwargs)
        with self.name_scope():
            self.blocks, size = nn.HybridSequential(), 1
            for i, (channels, (kernel, strides)) in enumerate(zip(config.channels, CONVS)):
                gated = i < len(CONVS) - 1
                dropout = config.gate_dropout if gated and i >= REGULARISED else 0
                self.blocks.add(_Block(size, channels, kernel, strides, gated, dropout))
                size = channels
            self.encoder1 = BiGRU(config.hidden, size * (config.height // 32 // config.row_pooling),
                                  config.dropout)
            self.dense = nn.Dense(config.dense, flatten=False, in_units=2 * config.hidden)
            self.encoder2 = BiGRU(config.hidden, config.dense, config.dropout)
            self.output = nn.Dense(num_classes, flatten=False, in_units=2 * config.hidden)

    def constrain(self):
        """Shrink the filters of the last three gates to `max_norm`, where they exceed it."""
        limit = self.config.max_norm
        if not limit:
            return
        for block in list(self.blocks)[REGULARISED:-1]:
            for weight in block.gate.conv.weight.list_data():
                norm = nd.sqrt(nd.sum(nd.square(weight), axis=(1, 2, 3), keepdims=True))
                weight *= limit / nd.maximum(norm, limit)

    def hybrid_forward(self, F, x, widths):
        frames = F.ceil(widths / self.stride)
        for block, fold in zip(self.blocks, FOLDS):
            x = block(x, frames * fold)
        rows = (self.config.row_pooling, 1)
        x = columns(F, F.Pooling(x, kernel=rows, stride=rows, pool_type="max"))
        x = self.encoder2(self.dense(self.encoder1(x, frames)), frames)
        return F.transpose(self.output(x), axes=(1, 0, 2)), frames


#: `Flor` as published: height 128, 822,256 parameters for 96 classes.
build = Preset(Flor, FlorConfig)
