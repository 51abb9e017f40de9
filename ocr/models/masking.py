"""What networks of lines of unequal width share: frames, masks, columns, checks."""

from typing import Annotated, ClassVar

from lm.base.errors import ConfigError, ModelError
from lm.base.settings import Range, Settings

from ..base.backend import gluon

__all__ = ["Count", "LineNetwork", "NetworkSettings", "Share", "Size", "column_mask", "columns",
           "relu"]


#: Types of a network's settings. A checkpoint is refused where it asks for more than any machine
#: has: heights, channels and units; numbers of layers; shares of what is dropped.
Size = Annotated[int, Range(1, 8192)]
Count = Annotated[int, Range(1, 200)]
Share = Annotated[float, Range(0, below=1)]


class NetworkSettings(Settings):
    """Base of networks' settings: lists have 1 to 64 values, those in `may_be_empty` also none."""

    may_be_empty: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self):
        super().__post_init__()
        for name, value in vars(self).items():
            if isinstance(value, tuple) and not (name not in self.may_be_empty) <= len(value) <= 64:
                raise ConfigError(f"model: {name} has {len(value)} values; expected 1 to 64")


def relu(F, x):
    """Rectify x."""
    # The Activation operator has a oneDNN kernel, the relu operator has none.
    return F.Activation(x, act_type="relu")


def column_mask(F, x, frames):
    """Ones for the columns of x (N, C, H, W) before each line's `frames`, else zeros.

    Returned at full size: multiplying by a small mask would make MXNet sum a gradient for it
    in every backward pass, which costs more than the convolution.
    """
    row = F.slice_axis(F.slice_axis(x, axis=1, begin=0, end=1), axis=2, begin=0, end=1)
    ones = F.ones_like(F.reshape(row, shape=(0, -1)))
    ones = F.SequenceMask(ones, frames, use_sequence_length=True, axis=1)
    ones = F.reshape(ones, shape=(0, 1, 1, -1))
    return F.BlockGrad(F.broadcast_like(ones, x))


def columns(F, x, time_first=True):
    """Return the columns of features (N, C, H, W) as vectors (W, N, C * H) or (N, W, C * H)."""
    return F.reshape(F.transpose(x, axes=(3, 0, 1, 2) if time_first else (0, 3, 1, 2)),
                     shape=(0, 0, -1))


class LineNetwork(gluon.HybridBlock):
    """Base of networks with one frame for each `stride` columns of pixels.

    Parameters
    ----------
    num_classes : int
        Characters + blank (the last class).
    config : dataclass
        With a `height` in pixels.
    stride : int
        Padded widths must be multiples of this (pixels).

    Notes
    -----
    Called with images, float32 (N, 1, height, W) with W a multiple of the stride and 0 beyond
    each line's width, and widths, float32 (N,), gives (logits (N, T, num_classes),
    frames (N,)). Columns up to the next multiple of the stride belong to the line; where a
    convolution could look past them the features there are zeroed, so that a line reads the
    same alone and padded in a batch.
    """

    def __init__(self, num_classes, config, stride, **kwargs):
        super().__init__(**kwargs)
        if num_classes < 2:
            raise ModelError("a network needs at least one character and the blank")
        self.config, self.num_classes, self.stride = config, num_classes, stride

    def frame_count(self, width: int) -> int:
        """Return the number of frames of a line `width` pixels wide."""
        return -(-int(width) // self.stride)

    def check_input(self, shape: tuple[int, ...]) -> None:
        """Raise `ModelError` unless images of `shape` (N, 1, H, W) fit."""
        if len(shape) != 4 or shape[1] != 1 or shape[2] != self.config.height:
            raise ModelError(f"expected images (N, 1, {self.config.height}, W), not {shape}")
        self._check_width(shape[3])

    def _check_width(self, width):
        if width % self.stride or not width:
            raise ModelError(f"image widths must be multiples of {self.stride}, not {width}")
