"""What networks of lines of unequal width share: frames, masks, columns, checks."""

from ..backend import gluon
from ..exceptions import ConfigError, ModelError
from .cnn_bilstm import _mask as column_mask
from .cnn_bilstm import _relu as relu

__all__ = ["LineNetwork", "check_settings", "column_mask", "columns", "relu"]


def check_settings(settings, positive=(), shares=()):
    """Raise `ConfigError` for settings out of range.

    Parameters
    ----------
    settings : dataclass
    positive : sequence of str
        Names of settings, int or tuple of int, that must be at least 1.
    shares : sequence of str
        Names of settings that must lie in 0..1, 1 excluded.
    """
    for name in positive:
        value = getattr(settings, name)
        if min(value if isinstance(value, tuple) else (value,), default=0) < 1:
            raise ConfigError(f"model: {name} must be at least 1")
    for name in shares:
        if not 0 <= getattr(settings, name) < 1:
            raise ConfigError(f"model: {name} must lie in 0..1")


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

    def frame_count(self, width):
        """Return the number of frames of a line `width` pixels wide."""
        return -(-int(width) // self.stride)

    def check_input(self, shape):
        """Raise `ModelError` unless images of `shape` (N, 1, H, W) fit."""
        if len(shape) != 4 or shape[1] != 1 or shape[2] != self.config.height:
            raise ModelError(f"expected images (N, 1, {self.config.height}, W), not {shape}")
        if shape[3] % self.stride or not shape[3]:
            raise ModelError(f"image widths must be multiples of {self.stride}, not {shape[3]}")
