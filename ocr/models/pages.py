"""The network of the line finder: where on a page lines stand, how high they are, which way up."""

from __future__ import annotations

from mxnet.gluon.model_zoo.vision import BasicBlockV1

from ..base.backend import gluon, nn

__all__ = ["PageNetwork", "STRIDE", "ORIENTATIONS"]

#: Pixels of the page a cell of the maps covers, each way.
STRIDE = 4
#: Quarter turns that the page may have been given.
ORIENTATIONS = 4


class PageNetwork(gluon.HybridBlock):
    """A narrow residual network with a path back up to a quarter of the page's size.

    Parameters
    ----------
    channels : tuple of int
        Of the stages at strides 4, 8, 16 and 32.
    width : int
        Channels of the path back up.

    Notes
    -----
    Called with pages, float32 (N, 1, H, W), H and W multiples of 32, gives maps
    (N, 3, H / 4, W / 4): the logit of a cell to be of a line's core, and the logs of how far the
    line reaches above and below its baseline there, in cells; and turns (N, 4): the logits of
    0, 90, 180 and 270 degrees, anticlockwise, by which the page is to be turned to stand upright.
    """

    def __init__(self, channels=(16, 32, 64, 96), width=32, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.stem = nn.HybridSequential()
            for size, filters, given in ((5, 12, 1), (3, channels[0], 12)):
                self.stem.add(nn.Conv2D(filters, size, 2, size // 2, use_bias=False,
                                        in_channels=given),
                              nn.BatchNorm(in_channels=filters), nn.Activation("relu"))
            self.stages, self.laterals = nn.HybridSequential(), nn.HybridSequential()
            self.smooth = nn.HybridSequential()
            given = channels[0]
            for number, filters in enumerate(channels):
                stage = nn.HybridSequential()
                stage.add(BasicBlockV1(filters, 1 if number == 0 else 2, filters != given, given),
                          BasicBlockV1(filters, 1, False, filters))
                self.stages.add(stage)
                self.laterals.add(nn.Conv2D(width, 1, in_channels=filters))
                given = filters
            for _ in channels[1:]:
                block = nn.HybridSequential()
                block.add(nn.Conv2D(width, 3, 1, 1, use_bias=False, in_channels=width),
                          nn.BatchNorm(in_channels=width), nn.Activation("relu"))
                self.smooth.add(block)
            self.maps = nn.Conv2D(3, 1, in_channels=width)
            self.turns = nn.Dense(ORIENTATIONS, in_units=channels[-1])

    def hybrid_forward(self, F, x):
        x, levels = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        turns = self.turns(F.Pooling(x, kernel=(1, 1), global_pool=True, pool_type="avg"))
        laterals = list(self.laterals)
        up = laterals[-1](levels[-1])
        for lateral, level, smooth in zip(laterals[-2::-1], levels[-2::-1], self.smooth):
            up = smooth(F.UpSampling(up, scale=2, sample_type="nearest") + lateral(level))
        return self.maps(up), turns
