"""Multi-scale CNN-BiLSTM on a truncated ResNet."""

import math
from dataclasses import dataclass

from lm.base.errors import ConfigError, ModelError
from lm.base.settings import from_mapping, to_mapping

from ..base.backend import gluon, nn
from .masking import LineNetwork, column_mask, relu
from .recurrent import BiLSTM

__all__ = ["CNNBiLSTM", "CNNBiLSTMConfig"]

COLUMNS = ("flatten", "max", "reshape")


@dataclass(frozen=True)
class CNNBiLSTMConfig:
    """Shape of a `CNNBiLSTM`.

    Attributes
    ----------
    height : int
        Input height in pixels.
    body_channels, body_blocks : int
        Channels of the stem and of the first residual stage, and its number of blocks.
        64 and 3 are those of ResNet34 v1, whose ImageNet weights then fit.
    num_downsamples : int
        Number of scales: stride 4, 8, ...
    downsampler_convs : int
        Convolutions before the max-pooling between scales (the original has 2).
    scale_channels, scale_blocks : tuple of int
        For each further scale: its channels, and residual blocks after the pooling.
    frame_pooling : tuple of int
        For each further scale: columns of the scale before that one of its columns takes
        together: 2 as in the original, also where nothing is given; 1 halves the height alone,
        so that small writing keeps twice the frames, at more cost.
    columns : {"flatten", "max", "reshape"}
        How a column of features becomes a vector: its rows stacked, their maximum, or, as in
        the original, the whole map cut into `chunks` equal pieces ("reshape"; one fixed
        width only).
    chunks : int
        Frames of the "reshape" columns for an input `chunk_width` pixels wide.
    chunk_width : int
    hidden : tuple of int
        Hidden units of each scale's BiLSTM, per direction.
    layers : int
        BiLSTM layers per scale.
    dropout : float
        Between BiLSTM layers and before the output layer.
    shortcut : bool
        A second, convolutional CTC output on the coarsest features, for training alone.
    last_gamma : bool
        Residual blocks start as identities (their last batch norm's scale is 0), so that a
        trained network given more of them (``initial_partial``) begins as it was.
    """

    height: int = 64
    body_channels: int = 64
    body_blocks: int = 3
    num_downsamples: int = 2
    downsampler_convs: int = 2
    scale_channels: tuple[int, ...] = (64,)
    scale_blocks: tuple[int, ...] = (0,)
    frame_pooling: tuple[int, ...] = ()
    columns: str = "flatten"
    chunks: int = 160
    chunk_width: int = 800
    hidden: tuple[int, ...] = (256, 256)
    layers: int = 2
    dropout: float = 0.5
    shortcut: bool = False
    last_gamma: bool = False

    def __post_init__(self):
        scales = self.num_downsamples
        if scales < 1:
            raise ConfigError("model: num_downsamples must be at least 1")
        for name, wanted in (("scale_channels", scales - 1), ("scale_blocks", scales - 1),
                             ("pooling", scales - 1), ("hidden", scales)):
            if (given := len(getattr(self, name))) != wanted:
                name = {"pooling": "frame_pooling"}.get(name, name)
                raise ConfigError(f"model: {name} needs {wanted} values for num_downsamples="
                                  f"{scales}, not {given}")
        if self.columns not in COLUMNS:
            raise ConfigError(f"model: unknown columns {self.columns!r}; "
                              f"known: {', '.join(COLUMNS)}")
        for name in ("body_channels", "body_blocks", "layers", "chunks", "chunk_width"):
            if getattr(self, name) < 1:
                raise ConfigError(f"model: {name} must be at least 1")
        if not {1, 2}.issuperset(self.frame_pooling):
            raise ConfigError("model: frame_pooling must be 1 or 2 for each further scale")
        if self.columns == "reshape" and 1 in self.frame_pooling:
            raise ConfigError("model: the columns 'reshape' need frame_pooling 2")
        if min(self.hidden) < 1 or min(self.scale_channels, default=1) < 1:
            raise ConfigError("model: hidden and scale_channels must be at least 1")
        if not 0 <= self.dropout < 1:
            raise ConfigError("model: dropout must lie in 0..1")
        least = 4 * 2 ** (scales - 1)
        if self.height < least:
            raise ConfigError(f"model: height {self.height} is less than {least}, what is left of "
                              f"which after {scales} scales is nothing")

    @property
    def stride(self):
        """Pixels per frame of the coarsest scale."""
        return 4 * math.prod(self.pooling)

    @property
    def pooling(self):
        """`frame_pooling` with its default filled in."""
        return self.frame_pooling or (2,) * (self.num_downsamples - 1)

    def fold(self, scale):
        """Columns of a scale that make one frame."""
        return math.prod(self.pooling[scale:])


class _Residual(gluon.HybridBlock):
    """ResNet v1 basic block, stride 1, whose result is masked beyond each line's end."""

    def __init__(self, in_channels, channels, last_gamma=False, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv1 = nn.Conv2D(channels, 3, padding=1, use_bias=False, in_channels=in_channels)
            self.norm1 = nn.BatchNorm(in_channels=channels)
            self.conv2 = nn.Conv2D(channels, 3, padding=1, use_bias=False, in_channels=channels)
            self.norm2 = nn.BatchNorm(in_channels=channels,
                                      gamma_initializer="zeros" if last_gamma else "ones")
            self.project = None
            if in_channels != channels:
                self.project = nn.Conv2D(channels, 1, use_bias=False, in_channels=in_channels)

    def hybrid_forward(self, F, x, frames):
        y = relu(F, self.norm1(self.conv1(x)))
        mask = column_mask(F, y, frames)
        y = y * mask
        y = self.norm2(self.conv2(y))
        if self.project is not None:
            x = self.project(x)
        return relu(F, x + y) * mask


class _Downsampler(gluon.HybridBlock):
    """Convolutions at the finer scale, max-pooling by 2, residual blocks at the coarser one."""

    def __init__(self, in_channels, channels, convs, blocks, columns=2, last_gamma=False,
                 **kwargs):
        super().__init__(**kwargs)
        self._pool = (2, columns)
        with self.name_scope():
            self.convs = nn.HybridSequential()
            self.norms = nn.HybridSequential()
            self.blocks = nn.HybridSequential()
            for i in range(convs):
                self.convs.add(nn.Conv2D(channels, 3, padding=1,
                                         in_channels=in_channels if i == 0 else channels))
                self.norms.add(nn.BatchNorm(in_channels=channels))
            pooled = channels if convs else in_channels
            for i in range(blocks):
                self.blocks.add(_Residual(pooled if i == 0 else channels, channels, last_gamma))
            self.out_channels = channels if convs or blocks else in_channels

    def hybrid_forward(self, F, x, frames, coarse_frames):
        for conv, norm in zip(self.convs, self.norms):
            x = relu(F, norm(conv(x)))
            x = x * column_mask(F, x, frames)
        x = F.Pooling(x, kernel=self._pool, stride=self._pool, pool_type="max")
        for block in self.blocks:
            x = block(x, coarse_frames)
        return x


class CNNBiLSTM(LineNetwork):
    """Line recogniser: truncated ResNet, features at several scales, a BiLSTM on each.

    The body is ResNet34's beginning (7x7 stride-2 convolution on one channel, batch norm,
    ReLU, max-pool, first residual stage: stride 4). Each further scale halves both sides.
    Every scale's columns run through their own stack of BiLSTMs; the hidden states are
    concatenated and a dense layer gives the logits. One frame is one column of the coarsest
    scale; finer columns are taken two (four, ...) a frame.

    Features beyond a line's own width are zeroed after every layer and the backward LSTMs
    start at its own last frame, so a line reads the same alone and padded in a batch.

    Parameters
    ----------
    num_classes : int
        Characters + blank (the last class).
    config : CNNBiLSTMConfig

    Notes
    -----
    Called with images, float32 (N, 1, height, W) with W a multiple of the stride and 0 beyond
    each line's width, and widths, float32 (N,), gives (logits (N, T, num_classes),
    frames (N,)) and, in training with a shortcut, its logits as a third value.
    """

    def __init__(self, num_classes, config, **kwargs):
        stride = config.chunk_width if config.columns == "reshape" else config.stride
        super().__init__(num_classes, config, stride, **kwargs)
        channels = config.body_channels
        with self.name_scope():
            self.stem = nn.Conv2D(channels, 7, strides=2, padding=3, use_bias=False, in_channels=1)
            self.stem_norm = nn.BatchNorm(in_channels=channels)
            self.body = nn.HybridSequential()
            for _ in range(config.body_blocks):
                self.body.add(_Residual(channels, channels, config.last_gamma))
            self.downsamplers = nn.HybridSequential()
            self.encoders = nn.HybridSequential()
            # Heights as the layers make them: ceil for stem and max-pool, floor between scales.
            height = math.ceil(math.ceil(config.height / 2) / 2)
            self._heights = []
            for scale in range(config.num_downsamples):
                if scale > 0:
                    down = _Downsampler(channels, config.scale_channels[scale - 1],
                                        config.downsampler_convs, config.scale_blocks[scale - 1],
                                        config.pooling[scale - 1], config.last_gamma)
                    self.downsamplers.add(down)
                    channels = down.out_channels
                    height //= 2
                self._heights.append(height)
                encoder = nn.HybridSequential()
                size = self._vector_size(scale, channels, height)
                for layer in range(config.layers):
                    hidden = config.hidden[scale]
                    encoder.add(BiLSTM(hidden, size if layer == 0 else 2 * hidden))
                self.encoders.add(encoder)
            self.drop = nn.Dropout(config.dropout)
            self.output = nn.Dense(num_classes, flatten=False, in_units=2 * sum(config.hidden))
            self.short = None
            if config.shortcut:
                self.short = nn.Conv1D(num_classes, 3, padding=1, in_channels=channels)

    def _vector_size(self, scale, channels, height):
        config = self.config
        if config.columns == "reshape":
            total = channels * height * (config.chunk_width // (4 * 2 ** scale))
            if total % config.chunks:
                raise ConfigError(f"model: {total} features of scale {scale} cannot be cut into "
                                  f"{config.chunks} chunks")
            return total // config.chunks
        return channels * config.fold(scale) * (height if config.columns == "flatten" else 1)

    def frame_count(self, width):
        """Return the number of frames of a line `width` pixels wide."""
        if self.config.columns == "reshape":
            return int(width) * self.config.chunks // self.config.chunk_width
        return super().frame_count(width)

    def _check_width(self, width):
        if self.config.columns != "reshape":
            super()._check_width(width)
        elif width != self.config.chunk_width:
            raise ModelError(f"this network reads images {self.config.chunk_width} pixels "
                             f"wide, not {width}")

    def _column_max(self, F, x, scale):
        # Max-pooling over the whole height is several times as fast as the max operator.
        height = self._heights[scale]
        return F.Pooling(x, kernel=(height, 1), stride=(height, 1), pool_type="max")

    def _vectors(self, F, x, scale):
        """Columns of x (N, C, H, W) as a sequence (T, N, vector)."""
        if self.config.columns == "max":
            x = self._column_max(F, x, scale)
        # (N, W, C, H)
        x = F.transpose(x, axes=(0, 3, 1, 2))
        if self.config.columns == "reshape":
            x = F.reshape(F.reshape(x, shape=(0, -1)), shape=(0, self.config.chunks, -1))
        else:
            fold = self.config.fold(scale)
            x = F.reshape(x, shape=(0, 0, -1))
            if fold > 1:
                x = F.reshape(x, shape=(0, -4, -1, fold, 0))
                x = F.reshape(x, shape=(0, 0, -3))
        return F.transpose(x, axes=(1, 0, 2))

    def hybrid_forward(self, F, x, widths):
        config = self.config
        # Columns up to the next multiple of the stride belong to the line: they are paper.
        if config.columns == "reshape":
            frames = F.ceil(widths * (config.chunks / config.chunk_width))
            fine = F.ceil(widths / 4)
        else:
            frames = F.ceil(widths / config.stride)
            fine = frames * (config.stride // 4)
        x = relu(F, self.stem_norm(self.stem(x)))
        # No mask is needed before: a line's last pooled column reads nothing beyond its end.
        x = F.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")
        x = x * column_mask(F, x, fine)
        for block in self.body:
            x = block(x, fine)
        states = []
        for scale, encoder in enumerate(self.encoders):
            if scale > 0:
                coarse = F.floor(fine / config.pooling[scale - 1])
                x = self.downsamplers[scale - 1](x, fine, coarse)
                fine = coarse
            sequence = self._vectors(F, x, scale)
            for layer, bilstm in enumerate(encoder):
                if layer > 0:
                    sequence = self.drop(sequence)
                sequence = bilstm(sequence, frames)
            states.append(sequence)
        states = F.concat(*states, dim=2) if len(states) > 1 else states[0]
        logits = F.transpose(self.output(self.drop(states)), axes=(1, 0, 2))
        if self.short is None:
            return logits, frames
        last = self._column_max(F, x, config.num_downsamples - 1)
        short = self.short(self.drop(F.reshape(last, shape=(0, 0, -1))))
        return logits, frames, F.transpose(short, axes=(0, 2, 1))


def _preset(**defaults):
    def build(num_classes, **overrides):
        config = from_mapping(CNNBiLSTMConfig, {**to_mapping(CNNBiLSTMConfig(**defaults)),
                                                **overrides}, "model")
        return CNNBiLSTM(num_classes, config)

    build.__doc__ = f"`CNNBiLSTM` with {defaults}."
    return build


#: The published network: 60x800 boxes, 160 frames of 1.25 columns, 512x2 BiLSTMs.
original = _preset(height=60, columns="reshape", hidden=(512, 512), layers=2, dropout=0.5)
#: ResNet34's first stage with a deeper coarse scale; for a GPU or a patient CPU.
base = _preset(height=64, body_channels=64, body_blocks=3, downsampler_convs=0,
        scale_channels=(128,), scale_blocks=(3,), columns="max", hidden=(128, 256), layers=2,
        dropout=0.4, shortcut=True)
#: Trains on two CPU cores.
small = _preset(height=64, body_channels=32, body_blocks=2, downsampler_convs=0,
        scale_channels=(96,), scale_blocks=(3,), columns="max", hidden=(64, 192), layers=2,
        dropout=0.3, shortcut=True)
