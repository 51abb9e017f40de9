"""From a checkpoint and line images to logits."""


from .batching import PreparedLines, evaluation_batches
from .checkpoint import load_checkpoint
from .config import from_mapping
from .exceptions import CheckpointError

__all__ = ["Recogniser", "assign", "compute_logits", "load_weights", "weights_of"]


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
    from tqdm import tqdm

    from .backend import mx, nd

    context = context or mx.cpu()
    results = [None] * len(prepared)
    with tqdm(total=len(prepared), desc="reading", unit="line", leave=False,
              disable=None if progress else True) as bar:
        for batch in evaluation_batches(prepared, batch_size, workers):
            net.check_input(batch.images.shape)
            logits, frames = net(nd.array(batch.images, ctx=context),
                                 nd.array(batch.widths, ctx=context))[:2]
            logits, frames = logits.asnumpy(), frames.asnumpy().astype(int)
            for row, index in enumerate(batch.indices):
                results[index] = logits[row, :frames[row]]
            bar.update(len(batch))
    return results


class Recogniser:
    """A trained network with all it needs to read lines.

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

    def prepare(self, dataset, cache=None):
        """Return a dataset's lines scaled as this network reads them (`PreparedLines`)."""
        return PreparedLines(dataset, self.config.preprocess, cache)

    def logits(self, prepared, batch_size=16, progress=True):
        """Return raw logits, one (frames, classes) float32 array for each prepared line."""
        return compute_logits(self.net, prepared, batch_size, self.context, progress=progress)

    def logits_of_images(self, images, batch_size=16):
        """Return the logits of grey images (list of uint8 (height, width) arrays)."""
        from .data.base import LineDataset, LineSample

        class InMemory(LineDataset):
            def image(self, index):
                return images[index]

            def image_key(self, index):
                return str(index)

        samples = [LineSample(str(i), "") for i in range(len(images))]
        dataset = InMemory("images", "images", samples)
        dataset.report.on_error = "raise"
        return self.logits(PreparedLines(dataset, self.config.preprocess, progress=False),
                           batch_size, progress=False)


