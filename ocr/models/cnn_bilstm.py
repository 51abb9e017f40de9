"""Multi-scale CNN-BiLSTM on a truncated ResNet."""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Optional

from lm.base.errors import ConfigError, ModelError
from lm.base.settings import Range

from ..base.backend import gluon, mx, nn
from .masking import Count, LineNetwork, NetworkSettings, Share, Size, column_mask, relu
from .recurrent import BiLSTM
from .registry import Preset
from .zoo import cut_body

__all__ = ["CNNBiLSTM", "CNNBiLSTMConfig"]

_Few = Annotated[int, Range(0, 200)]
_Pixels = Annotated[int, Range(1, 100_000)]


@dataclass(frozen=True)
class CNNBiLSTMConfig(NetworkSettings):
    """Shape of a `CNNBiLSTM`.

    Attributes
    ----------
    height : int
        Input height in pixels.
    body : str
        ResNet of gluoncv's model zoo whose beginning is the network's: its stem and its first
        residual stage (`ocr.models.zoo.list_bodies`). The bottleneck blocks of ResNet50 and
        deeper make four times the stem's channels.
    body_channels, body_blocks : int or None
        Channels of the stem and blocks of the stage; None for those of the zoo, whose ImageNet
        weights then fit. Only the ResNets v1 come with more channels or blocks, or other ones.
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

    may_be_empty: ClassVar[tuple[str, ...]] = ("scale_channels", "scale_blocks", "frame_pooling")

    height: Size = 64
    body: str = "resnet34_v1"
    body_channels: Optional[Size] = None
    body_blocks: Optional[Count] = None
    num_downsamples: Annotated[int, Range(1, 6)] = 2
    downsampler_convs: _Few = 2
    scale_channels: tuple[Size, ...] = (64,)
    scale_blocks: tuple[_Few, ...] = (0,)
    frame_pooling: tuple[Annotated[int, Range(1, 2)], ...] = ()
    columns: Literal["flatten", "max", "reshape"] = "flatten"
    chunks: _Pixels = 160
    chunk_width: _Pixels = 800
    hidden: tuple[Size, ...] = (256, 256)
    layers: Count = 2
    dropout: Share = 0.5
    shortcut: bool = False
    last_gamma: bool = False

    def __post_init__(self):
        super().__post_init__()
        scales = self.num_downsamples
        for name, wanted in (("scale_channels", scales - 1), ("scale_blocks", scales - 1),
                             ("pooling", scales - 1), ("hidden", scales)):
            if (given := len(getattr(self, name))) != wanted:
                name = {"pooling": "frame_pooling"}.get(name, name)
                raise ConfigError(f"model: {name} needs {wanted} values for num_downsamples="
                                  f"{scales}, not {given}")
        if self.columns == "reshape" and 1 in self.frame_pooling:
            raise ConfigError("model: the columns 'reshape' need frame_pooling 2")
        least = 4 * 2 ** (scales - 1)
        if self.height < least:
            raise ConfigError(f"model: height {self.height} is less than {least}, what is left of "
                              f"which after {scales} scales is nothing")

    @property
    def stride(self) -> int:
        """Pixels per frame of the coarsest scale."""
        return 4 * math.prod(self.pooling)

    @property
    def pooling(self) -> tuple[int, ...]:
        """`frame_pooling` with its default filled in."""
        return self.frame_pooling or (2,) * (self.num_downsamples - 1)

    def fold(self, scale: int) -> int:
        """Columns of a scale that make one frame."""
        return math.prod(self.pooling[scale:])


class _Residual(gluon.HybridBlock):
    """Residual block v1 of stride 1, whose result is masked beyond each line's end.

    Parameters
    ----------
    convs, norms : list of Block
        Its convolutions, each with the batch norm behind it; all but the last are rectified.
    project : Block, optional
        What makes the input's channels those of the result.
    last_gamma : bool
        The last norm's scale starts at 0: the block as an identity.
    """

    def __init__(self, convs, norms, project=None, last_gamma=False, **kwargs):
        super().__init__(**kwargs)
        self._layers = list(zip(convs, norms))
        for number, (conv, norm) in enumerate(self._layers, 1):
            setattr(self, f"conv{number}", conv)
            setattr(self, f"norm{number}", norm)
        self.project = project
        if last_gamma:
            norms[-1].gamma.init = mx.init.Zero()

    def hybrid_forward(self, F, x, frames):
        # One mask for each number of channels: see `column_mask`.
        masks = {}

        def masked(features, channels):
            if channels not in masks:
                masks[channels] = column_mask(F, features, frames)
            return features * masks[channels]

        y, channels = x, None
        for conv, norm in self._layers:
            if channels:
                y = relu(F, y)
                if conv._kwargs["kernel"] != (1, 1):
                    y = masked(y, channels)
            y, channels = norm(conv(y)), conv._channels
        if self.project is not None:
            x = self.project(x)
        return masked(relu(F, x + y), channels)


def _basic_block(in_channels, channels, last_gamma):
    """A block of two convolutions, as in ResNet34, but for a projection without a batch norm."""
    convs, norms = [], []
    for size in (in_channels, channels):
        convs.append(nn.Conv2D(channels, 3, padding=1, use_bias=False, in_channels=size))
        norms.append(nn.BatchNorm(in_channels=channels))
    project = None
    if in_channels != channels:
        project = nn.Conv2D(channels, 1, use_bias=False, in_channels=in_channels)
    return _Residual(convs, norms, project, last_gamma)


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
                self.blocks.add(_basic_block(channels if i else pooled, channels, last_gamma))
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

    The body is the beginning of a ResNet of gluoncv's model zoo (7x7 stride-2 convolution on
    one channel, batch norm, ReLU, max-pool, first residual stage: stride 4). Each further scale
    halves both sides.
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
        with self.name_scope():
            body = cut_body(config.body, config.body_channels, config.body_blocks)
            self.stem, self.stem_norm, channels = body.stem, body.norm, body.channels
            self.body = nn.HybridSequential()
            for convs, norms, project in body.blocks:
                self.body.add(_Residual(convs, norms, project, config.last_gamma))
            #: The model zoo's names of the body's parameters, by our structural ones.
            self.zoo_names = {ours: body.names[parameter.name] for ours, parameter
                              in self._collect_params_with_prefix().items()}
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

    def frame_count(self, width: int) -> int:
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

    def features(self, F, x, columns):
        """Return the body's features of images (N, 1, H, W): (N, C, H / 4, W / 4).

        They are 0 beyond each line's `columns` (N,), which are W / 4 at most.
        """
        deep = isinstance(self.stem, nn.HybridSequential)
        for number, layer in enumerate(self.stem if deep else [self.stem]):
            if number and isinstance(layer, nn.Conv2D):
                x = x * column_mask(F, x, 2 * columns)
            x = layer(x)
        x = relu(F, self.stem_norm(x))
        # No mask is needed before: a line's last pooled column reads nothing beyond its end.
        x = F.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")
        x = x * column_mask(F, x, columns)
        for block in self.body:
            x = block(x, columns)
        return x

    def hybrid_forward(self, F, x, widths):
        config = self.config
        # Columns up to the next multiple of the stride belong to the line: they are paper.
        if config.columns == "reshape":
            frames = F.ceil(widths * (config.chunks / config.chunk_width))
            fine = F.ceil(widths / 4)
        else:
            frames = F.ceil(widths / config.stride)
            fine = frames * (config.stride // 4)
        x = self.features(F, x, fine)
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


#: The published network: 60x800 boxes, 160 frames of 1.25 columns, 512x2 BiLSTMs.
original = Preset(CNNBiLSTM, CNNBiLSTMConfig, height=60, columns="reshape", hidden=(512, 512),
                  layers=2, dropout=0.5)
#: ResNet34's first stage with a deeper coarse scale; for a GPU or a patient CPU.
base = Preset(CNNBiLSTM, CNNBiLSTMConfig, height=64, downsampler_convs=0, scale_channels=(128,),
              scale_blocks=(3,), columns="max", hidden=(128, 256), layers=2, dropout=0.4,
              shortcut=True)
#: Trains on two CPU cores.
small = Preset(CNNBiLSTM, CNNBiLSTMConfig, height=64, body_channels=32, body_blocks=2,
               downsampler_convs=0, scale_channels=(96,), scale_blocks=(3,), columns="max",
               hidden=(64, 192), layers=2, dropout=0.3, shortcut=True)
