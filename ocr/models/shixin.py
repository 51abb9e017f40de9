"""Three convolutions and two BiGRUs: a reader of short binarised captchas."""

from dataclasses import dataclass

from lm.base.errors import ConfigError

from ..base.backend import gluon, nn
from .masking import LineNetwork, NetworkSettings, Size, column_mask, columns, relu
from .recurrent import BiGRU
from .registry import Preset

__all__ = ["ShiXin", "ShiXinConfig"]

#: Max-pooling (rows, columns) after each convolution.
POOLS = ((2, 2), (2, 2), (2, 1))


@dataclass(frozen=True)
class ShiXinConfig(NetworkSettings):
    """Shape of a `ShiXin`.

    Attributes
    ----------
    height : int
        Input height in pixels, at least 8.
    channels : tuple of int
        Of the three convolutions.
    hidden : tuple of int
        Units of each BiGRU, per direction.
    """

    height: Size = 70
    channels: tuple[Size, ...] = (16, 16, 16)
    hidden: tuple[Size, ...] = (512, 512)

    def __post_init__(self):
        super().__post_init__()
        if len(self.channels) != len(POOLS):
            raise ConfigError(f"model: channels needs {len(POOLS)} values, "
                              f"not {len(self.channels)}")
        if self.height < 8:
            raise ConfigError(f"model: height {self.height} is less than 8")


class _Block(gluon.HybridBlock):
    """Convolution, batch norm, ReLU, max-pooling."""

    def __init__(self, in_channels, channels, pool, **kwargs):
        super().__init__(**kwargs)
        self._pool = pool
        with self.name_scope():
            self.conv = nn.Conv2D(channels, 3, padding=1, in_channels=in_channels)
            self.norm = nn.BatchNorm(in_channels=channels)

    def hybrid_forward(self, F, x):
        return F.Pooling(relu(F, self.norm(self.conv(x))), kernel=self._pool, stride=self._pool,
                         pool_type="max")


class ShiXin(LineNetwork):
    """Captcha reader: three convolutions that pool 8 rows and 4 columns, then BiGRUs.

    An image of 70x160 gives 40 frames of 16 channels x 8 rows.

    Parameters
    ----------
    num_classes : int
        Characters + blank (the last class).
    config : ShiXinConfig

    Notes
    -----
    Called as `LineNetwork` says.
    """

    def __init__(self, num_classes, config, **kwargs):
        super().__init__(num_classes, config, 4, **kwargs)
        with self.name_scope():
            self.blocks, size = nn.HybridSequential(), 1
            for channels, pool in zip(config.channels, POOLS):
                self.blocks.add(_Block(size, channels, pool))
                size = channels
            self.encoder, size = nn.HybridSequential(), size * (config.height // 8)
            for hidden in config.hidden:
                self.encoder.add(BiGRU(hidden, size))
                size = 2 * hidden
            self.output = nn.Dense(num_classes, flatten=False, in_units=size)

    def hybrid_forward(self, F, x, widths):
        frames = F.ceil(widths / self.stride)
        # The image, and the columns that no further convolution reads, need no mask.
        for i, block in enumerate(self.blocks):
            x = block(x * column_mask(F, x, frames * (2 // i)) if i else x)
        x = columns(F, x)
        for layer in self.encoder:
            x = layer(x, frames)
        return F.transpose(self.output(x), axes=(1, 0, 2)), frames


#: `ShiXin` as published: height 70; 6,739,877 values for 37 classes, statistics included.
build = Preset(ShiXin, ShiXinConfig)
