"""DenseNet without recurrence: a reader of printed lines."""

from dataclasses import dataclass

from lm.base.errors import ConfigError

from ..base.backend import gluon, nn
from .masking import (
    Count,
    LineNetwork,
    NetworkSettings,
    Share,
    Size,
    column_mask,
    columns,
    relu,
)
from .registry import Preset

__all__ = ["DenseNet", "DenseNetConfig"]


@dataclass(frozen=True)
class DenseNetConfig(NetworkSettings):
    """Shape of a `DenseNet`.

    Attributes
    ----------
    height : int
        Input height in pixels, at least 2 to the power of the number of blocks.
    stem_channels : int
        Channels of the first convolution.
    block_layers : tuple of int
        Layers of each dense block; a transition, which halves both sides, stands between two.
    growth : int
        Channels that each layer adds.
    transition_channels : int
    dropout : float
        In the transitions.
    """

    height: Size = 32
    stem_channels: Size = 64
    block_layers: tuple[Count, ...] = (8, 8, 8)
    growth: Size = 8
    transition_channels: Size = 128
    dropout: Share = 0.2

    def __post_init__(self):
        super().__post_init__()
        if self.height < self.stride:
            raise ConfigError(f"model: height {self.height} is less than {self.stride}, what is "
                              f"left of which after {len(self.block_layers)} blocks is nothing")

    @property
    def stride(self):
        """Pixels per frame."""
        return 2 ** len(self.block_layers)


class _Layer(gluon.HybridBlock):
    """Batch norm, ReLU and a 3x3 convolution, whose result joins the input."""

    def __init__(self, in_channels, growth, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.norm = nn.BatchNorm(in_channels=in_channels)
            self.conv = nn.Conv2D(growth, 3, padding=1, in_channels=in_channels)

    def hybrid_forward(self, F, x, frames):
        y = relu(F, self.norm(x))
        y = self.conv(y * column_mask(F, y, frames))
        # A reshaped array is laid out plainly. Left in blocks of 8 channels, the result would
        # send oneDNN's batch norm to its slow reference code: a step took four times as long.
        return F.concat(x, F.reshape(y, shape=(0, 0, 0, 0)), dim=1)


class _Transition(gluon.HybridBlock):
    """Batch norm, ReLU, 1x1 convolution, dropout, average pooling by 2."""

    def __init__(self, in_channels, channels, dropout, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.norm = nn.BatchNorm(in_channels=in_channels)
            self.conv = nn.Conv2D(channels, 1, use_bias=False, in_channels=in_channels)
            self.drop = nn.Dropout(dropout)

    def hybrid_forward(self, F, x, frames):
        x = relu(F, self.norm(x))
        # The product's gradient is laid out plainly. A convolution's is in blocks of 16
        # channels, from which oneDNN cannot cut the 8 of a layer ("sub-memory").
        x = self.drop(self.conv(x * column_mask(F, x, frames)))
        return F.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="avg")


class DenseNet(LineNetwork):
    """Reader of printed lines: dense blocks of convolutions, a dense layer on each column.

    A frame is 8 columns of pixels: a line of 32x280 gives 35.

    Parameters
    ----------
    num_classes : int
        Characters + blank (the last class).
    config : DenseNetConfig

    Notes
    -----
    Called as `LineNetwork` says. With the optimiser "adam" weight decay reaches the stem and
    the transitions alone, as in the original; "adamw" decays all weights.
    """

    def __init__(self, num_classes, config, **kwargs):
        super().__init__(num_classes, config, config.stride, **kwargs)
        with self.name_scope():
            channels = config.stem_channels
            self.stem = nn.Conv2D(channels, 5, strides=2, padding=2, use_bias=False, in_channels=1)
            self.blocks, self.transitions = nn.HybridSequential(), nn.HybridSequential()
            for i, layers in enumerate(config.block_layers):
                if i > 0:
                    self.transitions.add(_Transition(channels, config.transition_channels,
                                                     config.dropout))
                    channels = config.transition_channels
                block = nn.HybridSequential()
                for _ in range(layers):
                    block.add(_Layer(channels, config.growth))
                    channels += config.growth
                self.blocks.add(block)
            self.norm = nn.BatchNorm(in_channels=channels)
            # The stem rounds an odd height up, the transitions round down.
            rows = (config.height + 1) // 2 // 2 ** len(self.transitions)
            self.output = nn.Dense(num_classes, flatten=False, in_units=channels * rows)
        decayed = [self.stem.weight] + [t.conv.weight for t in self.transitions]
        for parameter in self.collect_params().values():
            parameter.wd_mult = float(any(parameter is weight for weight in decayed))

    def hybrid_forward(self, F, x, widths):
        frames = F.ceil(widths / self.stride)
        x = self.stem(x)
        for i, block in enumerate(self.blocks):
            fold = 2 ** (len(self.transitions) - i)
            if i > 0:
                x = self.transitions[i - 1](x, frames * (2 * fold))
            for layer in block:
                x = layer(x, frames * fold)
        return self.output(columns(F, relu(F, self.norm(x)), time_first=False)), frames


#: `DenseNet` as published: height 32, 4,889,254 parameters for 5,990 classes.
build = Preset(DenseNet, DenseNetConfig)
