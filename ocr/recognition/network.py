"""Reading with MXNet: a checkpoint's network and all it needs."""

import functools
import threading

from lm.base.errors import CheckpointError, ConfigError
from lm.base.settings import from_mapping

from ..base.backend import devices, mx, nd
from ..checkpoints.checkpoint import load_checkpoint
from ..checkpoints.settings import ExperimentConfig
from ..models import build_network
from ..models.weights import load_weights
from .lines import LineRecogniser, read_batches

__all__ = ["Recogniser", "compute_logits"]


def compute_logits(net, prepared, batch_size=16, context=None, workers=1, progress=False):
    """Run a network over prepared lines.

    Parameters
    ----------
    net : mxnet.gluon.HybridBlock
        As `ocr.models.get_model` builds it, initialised.
    prepared : PreparedLines
    batch_size : int
    context : mxnet.Context, optional
    workers : int
        Threads that prepare batches.
    progress : bool

    Returns
    -------
    list of numpy.ndarray
        For each line, in order, its raw logits: float32, (frames, classes).
    """
    read = functools.partial(_read_by_mxnet, net, context or mx.cpu())
    return read_batches(read, prepared, batch_size, workers, progress)


def _read_by_mxnet(net, context, images, widths):
    net.check_input(images.shape)
    logits, frames = net(nd.array(images, ctx=context), nd.array(widths, ctx=context))[:2]
    return logits.asnumpy(), frames.asnumpy().astype(int)


class Recogniser(LineRecogniser):
    """A trained MXNet network with all it needs to read lines.

    Parameters
    ----------
    checkpoint : str or Checkpoint
        File written by training.
    device : str
        As in `ocr.base.backend.devices`; the first device is used.

    Attributes
    ----------
    alphabet : Alphabet
    config : ExperimentConfig
    net : mxnet.gluon.HybridBlock

    Others as in `LineRecogniser`.
    """

    def __init__(self, checkpoint, device="auto"):
        where = checkpoint if isinstance(checkpoint, str) else "checkpoint"
        if isinstance(checkpoint, str):
            self.path = checkpoint
            checkpoint = load_checkpoint(checkpoint)
        if "denoiser" in checkpoint.config:
            raise CheckpointError(f"{where}: a denoiser's checkpoint, not a recogniser's")
        self.alphabet = checkpoint.alphabet
        self.state = checkpoint.state
        self.config = from_mapping(ExperimentConfig, checkpoint.config)
        self.preprocess = self.config.preprocess
        self.context = devices(device)[0]
        try:
            self.net = build_network(self.config, self.alphabet.num_classes)
        except ConfigError as error:
            raise CheckpointError(f"{where}: {error}") from None
        load_weights(self.net, checkpoint.weights, where, self.context)
        self.net.hybridize(static_alloc=True)
        self.frame_pixels = self.net.stride / self.net.frame_count(self.net.stride)
        self._lock = threading.Lock()

    @property
    def stride(self):
        """The input's width is a multiple of this."""
        return self.net.stride

    def read_arrays(self, images, widths):
        """Run the network on prepared lines; see `LineRecogniser.read_arrays`."""
        # A network's buffers are its own, whichever thread calls it.
        with self._lock:
            return _read_by_mxnet(self.net, self.context, images, widths)
