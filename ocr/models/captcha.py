"""Two convolutions and two BiLSTMs: the captcha reader of the Keras examples."""

from dataclasses import dataclass

from lm.base.errors import ConfigError

from ..base.backend import mx, nn
from .masking import LineNetwork, NetworkSettings, Share, Size, column_mask, columns, relu
from .recurrent import BiLSTM
from .registry import Preset

__all__ = ["Captcha", "CaptchaConfig"]


@dataclass(frozen=True)
class CaptchaConfig(NetworkSettings):
    """Shape of a `Captcha`.

    Attributes
    ----------
    height : int
        Input height in pixels, at least 4.
    channels : tuple of int
        Of the two convolutions, each followed by max-pooling by 2.
    dense : int
        Units of the layer that narrows a column.
    dense_dropout : float
        After that layer.
    hidden : tuple of int
        Units of each BiLSTM, per direction.
    dropout : float
        Of the BiLSTMs' inputs.
    """

    height: Size = 50
    channels: tuple[Size, ...] = (32, 64)
    dense: Size = 64
    dense_dropout: Share = 0.2
    hidden: tuple[Size, ...] = (128, 64)
    dropout: Share = 0.25

    def __post_init__(self):
        super().__post_init__()
        if len(self.channels) != 2:
            raise ConfigError(f"model: channels needs 2 values, not {len(self.channels)}")
        if self.height < 4:
            raise ConfigError(f"model: height {self.height} is less than 4")


class Captcha(LineNetwork):
    """Captcha reader: convolutions, a dense layer on each column, BiLSTMs.

    A frame is 4 columns of pixels: a captcha 200 pixels wide gives 50.

    Parameters
    ----------
    num_classes : int
        Characters + blank (the last class).
    config : CaptchaConfig

    Notes
    -----
    Called as `LineNetwork` says.
    """

    def __init__(self, num_classes, config, **kwargs):
        super().__init__(num_classes, config, 4, **kwargs)
        with self.name_scope():
            self.convs, size = nn.HybridSequential(), 1
            for channels in config.channels:
                # Keras' he_normal: with one channel in, Xavier's start is six times smaller.
                self.convs.add(nn.Conv2D(
                    channels, 3, padding=1, in_channels=size,
                    weight_initializer=mx.init.MSRAPrelu(factor_type="in", slope=0.0)))
                size = channels
            self.dense = nn.Dense(config.dense, flatten=False,
                                  in_units=size * (config.height // 4))
            self.drop = nn.Dropout(config.dense_dropout)
            self.encoder, size = nn.HybridSequential(), config.dense
            for hidden in config.hidden:
                self.encoder.add(BiLSTM(hidden, size, config.dropout, forget_bias=1.0))
                size = 2 * hidden
            self.output = nn.Dense(num_classes, flatten=False, in_units=size)

    def hybrid_forward(self, F, x, widths):
        frames = F.ceil(widths / self.stride)
        for i, conv in enumerate(self.convs):
            # The image, and the columns that no further convolution reads, need no mask.
            x = x * column_mask(F, x, frames * 2) if i else x
            x = F.Pooling(relu(F, conv(x)), kernel=(2, 2), stride=(2, 2), pool_type="max")
        x = self.drop(relu(F, self.dense(columns(F, x))))
        for layer in self.encoder:
            x = layer(x, frames)
        return F.transpose(self.output(x), axes=(1, 0, 2)), frames


#: `Captcha` as published: height 50, 434,261 parameters for 21 classes.
build = Preset(Captcha, CaptchaConfig)
