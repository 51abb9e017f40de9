"""From a trained model and line images to logits and text."""

import contextlib
import functools
import os
import threading

import numpy as np

from .batching import PreparedLines, evaluation_batches
from .checkpoint import load_checkpoint
from .config import from_mapping
from .exceptions import CheckpointError, DataError
from .transforms import image_columns, resize_line

__all__ = ["LineRecogniser", "Recogniser", "assign", "compute_logits", "load_weights",
           "open_recogniser", "read_batches", "weights_of"]


def assign(parameter, value):
    """Set a parameter to `value` (NDArray or NumPy array) on each of its devices.

    Inference leaves convolution weights in a oneDNN layout, into which MXNet's own
    ``set_data`` sometimes fails to copy ("to.IsDefaultData"); an operator's output is
    laid out anew.
    """
    from .backend import nd

    for target in parameter.list_data():
        source = value.as_in_context(target.context) if hasattr(value, "as_in_context") \
            else nd.array(value, ctx=target.context)
        nd._internal._mul_scalar(source, scalar=1.0, out=target)


def weights_of(net):
    """Return a network's parameters as {structural name: NumPy array} (first device's copy)."""
    # Multiplied by 1: see `assign`.
    return {name: (parameter.data(parameter.list_ctx()[0]) * 1).asnumpy()
            for name, parameter in net._collect_params_with_prefix().items()}


def load_weights(net, weights, where="checkpoint"):
    """Set a network's parameters; `CheckpointError` names what is missing or misshapen."""
    parameters = net._collect_params_with_prefix()
    missing = sorted(parameters.keys() - weights.keys())
    surplus = sorted(weights.keys() - parameters.keys())
    if missing or surplus:
        raise CheckpointError(f"{where}: the weights are another network's; "
                              f"missing {missing[:3]}, surplus {surplus[:3]}")
    for name, parameter in parameters.items():
        if parameter.shape != weights[name].shape:
            raise CheckpointError(f"{where}: {name} has shape {weights[name].shape}, "
                                  f"the network needs {parameter.shape}")
        assign(parameter, weights[name])


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
    from .backend import mx

    read = functools.partial(_read_by_mxnet, net, context or mx.cpu())
    return read_batches(read, prepared, batch_size, workers, progress)


def _read_by_mxnet(net, context, images, widths):
    from .backend import nd

    net.check_input(images.shape)
    logits, frames = net(nd.array(images, ctx=context), nd.array(widths, ctx=context))[:2]
    return logits.asnumpy(), frames.asnumpy().astype(int)


def read_batches(read, prepared, batch_size=16, workers=1, progress=False):
    """Run a function over prepared lines, in batches of similar width.

    Parameters
    ----------
    read : callable
        (images (N, 1, height, W), widths (N,)) -> (logits (N, T, classes), frames (N,)).
    prepared : PreparedLines
    batch_size, workers, progress :
        As for `compute_logits`.

    Returns
    -------
    list of numpy.ndarray
        For each line, in order, its raw logits: float32, (frames, classes).
    """
    results = [None] * len(prepared)
    with _progress_bar(len(prepared), progress) as bar:
        for batch in evaluation_batches(prepared, batch_size, workers):
            logits, frames = read(batch.images, batch.widths)
            for row, index in enumerate(batch.indices):
                results[index] = logits[row, :frames[row]]
            if bar is not None:
                bar.update(len(batch))
    return results


def _progress_bar(total, progress):
    if not progress:
        return contextlib.nullcontext()
    from tqdm import tqdm

    return tqdm(total=total, desc="reading", unit="line", leave=False, disable=None)


class _Scaled:
    """Images in memory, scaled as `PreparedLines` are."""

    def __init__(self, images, preprocess):
        self.preprocess, self._lines = preprocess, []
        for index, image in enumerate(images):
            try:
                self._lines.append(resize_line(image, preprocess))
            except DataError as error:
                raise DataError(f"image {index}: {error}") from None
        self.widths = np.array([line.shape[1] for line in self._lines], np.int64)

    def __len__(self):
        return len(self._lines)

    def __getitem__(self, index):
        return self._lines[index]


class LineRecogniser:
    """What reads lines, whatever runs the network: a subclass has `read_arrays` and the attributes.

    Attributes
    ----------
    alphabet : Alphabet
    preprocess : PreprocessConfig
    config : ExperimentConfig
    state : dict
        How far it was trained.
    frame_pixels : float
        Columns of the network's input that a frame stands for.
    pipeline : PipelineConfig or None
        Decoder and correctors that the model brings along.
    """

    pipeline = None
    #: The decoder last used, by its settings.
    _decoder = (None, None)

    def prepare(self, dataset, cache=None):
        """Return a dataset's lines scaled as this network reads them (`PreparedLines`)."""
        return PreparedLines(dataset, self.preprocess, cache)

    def logits(self, prepared, batch_size=16, progress=True):
        """Return raw logits, one (frames, classes) float32 array for each prepared line."""
        return read_batches(self.read_arrays, prepared, batch_size, progress=progress)

    def logits_of_images(self, images, batch_size=16):
        """Return the logits of grey images (list of uint8 (height, width) arrays).

        Raises
        ------
        DataError
            An image is not grey, not uint8 or empty; the message names its position.
        """
        return self.logits(_Scaled(images, self.preprocess), batch_size, progress=False)

    def recognise(self, images, decoder=None, batch_size=16):
        """Read line images.

        Parameters
        ----------
        images : sequence of numpy.ndarray
            Grey, uint8, (height, width), one line each.
        decoder : str, DecoderConfig or PipelineConfig, optional
            "greedy", another decoder's name, or settings; what the model brings along by
            default, else greedy.
        batch_size : int

        Returns
        -------
        list of Hypothesis
            The best reading of each line; positions are frames (see `columns_of`).

        Raises
        ------
        DataError
            As for `logits_of_images`.
        """
        from .decoding import DecoderConfig, build_decoder

        decoder = decoder or self.pipeline or "greedy"
        if isinstance(decoder, str):
            decoder = DecoderConfig(decoder)
        # One look: another thread may ask for another decoder.
        known, built = self._decoder
        if known != decoder:
            if isinstance(decoder, DecoderConfig):
                built = build_decoder(decoder, self.alphabet)
            else:
                from .correction import build_pipeline

                built = build_pipeline(decoder, self.alphabet)
            self._decoder = (decoder, built)
        logits = self.logits_of_images(images, batch_size)
        return [hypotheses[0] for hypotheses in built.decode(logits)]

    def columns_of(self, span, shape):
        """Return where a character or word stands in its image.

        Parameters
        ----------
        span : Span
            Its frames.
        shape : tuple of int
            (height, width) of the image that was read.

        Returns
        -------
        tuple of float
            Left and right edge in pixels of the image, inside 0..width.
        """
        ends = (span.start * self.frame_pixels, span.end * self.frame_pixels)
        return image_columns(ends, shape[0], shape[1], self.preprocess)

    def read_arrays(self, images, widths):
        """Run the network on prepared lines.

        Parameters
        ----------
        images : numpy.ndarray
            float32, (N, 1, height, W), as `ocr.transforms.line_to_input` makes them, 0 beyond
            each line's width; W is a multiple of the stride.
        widths : numpy.ndarray
            float32, (N,), in pixels.

        Returns
        -------
        logits : numpy.ndarray
            float32, (N, T, classes).
        frames : numpy.ndarray
            Integers, (N,): how many of the T belong to each line.

        Raises
        ------
        ModelError
            A shape that does not fit.
        """
        raise NotImplementedError


class Recogniser(LineRecogniser):
    """A trained MXNet network with all it needs to read lines.

    Parameters
    ----------
    checkpoint : str or Checkpoint
        File written by training.
    device : str
        As in `ocr.backend.devices`; the first device is used.

    Attributes
    ----------
    alphabet : Alphabet
    config : ExperimentConfig
    net : mxnet.gluon.HybridBlock

    Others as in `LineRecogniser`.
    """

    def __init__(self, checkpoint, device="auto"):
        from .backend import devices
        from .models import get_model
        from .training.config import ExperimentConfig

        where = checkpoint if isinstance(checkpoint, str) else "checkpoint"
        if isinstance(checkpoint, str):
            checkpoint = load_checkpoint(checkpoint)
        if "denoiser" in checkpoint.config:
            raise CheckpointError(f"{where}: a denoiser's checkpoint, not a recogniser's")
        self.alphabet = checkpoint.alphabet
        self.state = checkpoint.state
        self.config = from_mapping(ExperimentConfig, checkpoint.config)
        self.context = devices(device)[0]
        model = self.config.model
        self.net = get_model(model.name, self.alphabet.num_classes,
                             **{"height": self.config.preprocess.height, **model.options})
        self.net.initialize(ctx=self.context)
        load_weights(self.net, checkpoint.weights, where)
        self.net.hybridize(static_alloc=True)
        self.frame_pixels = self.net.stride / self.net.frame_count(self.net.stride)
        self._lock = threading.Lock()

    @property
    def preprocess(self):
        """Settings of the preprocessing."""
        return self.config.preprocess

    @property
    def stride(self):
        """The input's width is a multiple of this."""
        return self.net.stride

    def read_arrays(self, images, widths):
        """Run the network on prepared lines; see `LineRecogniser.read_arrays`."""
        # A network's buffers are its own, whichever thread calls it.
        with self._lock:
            return _read_by_mxnet(self.net, self.context, images, widths)


def open_recogniser(path, device="auto", threads=0):
    """Open a trained model: an ONNX file by the light runtime, a checkpoint by MXNet.

    Parameters
    ----------
    path : str
        File written by ``ocr export`` (``.onnx``) or by ``ocr train``.
    device : str
        As in `ocr.backend.devices`; ONNX files run on the CPU with "auto".
    threads : int
        Of one run of an ONNX network; 0 for one a core.

    Returns
    -------
    OnnxRecogniser or Recogniser

    Raises
    ------
    CheckpointError
        Missing, cut short, or another kind of file.
    DeviceError
        No such device here.
    """
    path = os.fspath(path)
    if path.lower().endswith(".onnx"):
        from .runtime import OnnxRecogniser

        return OnnxRecogniser(path, threads, device)
    return Recogniser(path, device)
