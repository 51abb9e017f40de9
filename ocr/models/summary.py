"""A network as a table: layers by their names in checkpoints, shapes, parameters."""

from collections.abc import Iterator

from lm.base.errors import CheckpointError, ConfigError
from lm.base.settings import from_mapping

from ..base.backend import gluon, nd
from ..checkpoints.checkpoint import load_checkpoint
from ..checkpoints.metadata import read_settings
from ..checkpoints.settings import ExperimentConfig
from ..text.alphabet import Alphabet
from .registry import build_network

__all__ = ["layers_of", "summarise", "summarise_model"]


def layers_of(block: gluon.Block, path: str = "") -> Iterator[tuple[str, gluon.Block]]:
    """Yield (name in checkpoints, layer) for the layers with weights inside a block."""
    for name, child in block._children.items():
        if child.collect_params().keys():
            yield f"{path}{name}", child
            yield from layers_of(child, f"{path}{name}.")


def summarise(net: gluon.HybridBlock, width: int = 800) -> str:
    """Return a table of a network's layers.

    Parameters
    ----------
    net : LineNetwork
        Initialised and not yet hybridised.
    width : int
        Of the line in pixels for which shapes are told; rounded up to the network's stride.

    Returns
    -------
    str
        A row for each layer with weights of its own: name, kind, shape of its result for one
        line, parameters (trained, running statistics among them not).
    """
    width = net.stride * -(-width // net.stride)
    shapes, hooks = {}, []

    def keep(name):
        def hook(layer, inputs, output):
            shapes[name] = (output[0] if isinstance(output, (list, tuple)) else output).shape
        return hook

    rows = [("layer", "kind", "shape", "parameters")]
    layers = dict(layers_of(net))
    for name, layer in layers.items():
        hooks.append(layer.register_forward_hook(keep(name)))
    try:
        context = next(iter(net.collect_params().values())).list_ctx()[0]
        outputs = net(nd.zeros((1, 1, net.config.height, width), ctx=context),
                      nd.array([width], ctx=context))
    finally:
        for hook in hooks:
            hook.detach()
    for name, layer in layers.items():
        if layer.params.keys():
            shape = " x ".join(map(str, shapes[name])) if name in shapes else "-"
            rows.append((name, type(layer).__name__, shape, f"{_count(layer.params):,}"))
    every = net.collect_params()
    sizes = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join([row[0].ljust(sizes[0]), row[1].ljust(sizes[1]), row[2].ljust(sizes[2]),
                        row[3].rjust(sizes[3])]) for row in rows]
    trained = sum(_size(p) for p in every.values() if p.grad_req != "null")
    lines.append(f"{_count(every):,} parameters, {trained:,} of them trained; a line of "
                 f"{net.config.height} x {width} pixels gives {outputs[0].shape[1]} frames of "
                 f"{net.num_classes} classes (the last: blank)")
    return "\n".join(lines)


def summarise_model(path: str, width: int = 800) -> str:
    """Return `summarise` of the network of a file.

    Parameters
    ----------
    path : str
        A checkpoint, or an ONNX file written by ``ocr export``: of that, the network it was
        exported from.
    width : int

    Raises
    ------
    CheckpointError
        No such model, one of another kind, or a network that this installation does not have.
    """
    if path.lower().endswith(".onnx"):
        settings = read_settings(path)
        alphabet = Alphabet.from_dict(settings["alphabet"])
        config = {"output": "", "preprocess": settings["preprocess"], "model": settings["model"]}
    else:
        checkpoint = load_checkpoint(path)
        alphabet, config = checkpoint.alphabet, checkpoint.config
    if "denoiser" in config:
        raise CheckpointError(f"{path}: a denoiser's checkpoint, not a recogniser's")
    try:
        net = build_network(from_mapping(ExperimentConfig, config), alphabet.num_classes)
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from None
    net.initialize()
    return summarise(net, width)


def _size(parameter):
    size = 1
    for length in parameter.shape:
        size *= length
    return size


def _count(parameters):
    return sum(map(_size, parameters.values()))
