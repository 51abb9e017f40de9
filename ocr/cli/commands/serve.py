"""Serve models over HTTP: TensorFlow Serving's REST addresses, images, and a page at /.

  ocr serve --model half=runs/half.onnx --model print=models/print

PATH is a file of ocr export or ocr train, or a folder with numbered versions (PATH/1/model.onnx,
PATH/2/model.onnx, ...) that is looked at again and again. docs/serving.md says more.
"""

import argparse
import dataclasses

from lm.base.command import settings_of
from lm.base.errors import ConfigError

from ..common import model_file

#: Setting -> (type, metavar, help). Those of `ServingConfig` that are plain values.
_OPTIONS = {
    "host": (str, "NAME", "address to listen on; 0.0.0.0 for all"),
    "port": (int, "N", "0 takes a free one"),
    "device": (str, "NAME", "auto, cpu, gpu or gpu:N"),
    "decoder": (str, "NAME", "decoder to read with instead of the model's own"),
    "workers": (int, "N", "threads that run one model's network"),
    "threads": (int, "N", "threads of one run of an ONNX network; 0 shares the cores"),
    "readers": (int, "N", "threads that unpack images and decode; 0 for one a core"),
    "max_batch": (int, "N", "most lines of one run of the network"),
    "batch_wait_ms": (float, "MS", "how long a line may wait for others"),
    "queue": (int, "N", "most lines that wait for a network; more are refused with 429"),
    "max_requests": (int, "N", "most requests at once; more are refused with 429"),
    "max_bytes": (int, "N", "largest body of a request"),
    "max_pixels": (int, "N", "largest image"),
    "max_files": (int, "N", "most images of a request"),
    "max_lines": (int, "N", "most lines of a request"),
    "timeout": (float, "S", "seconds a request may take, then 504"),
    "upload_timeout": (float, "S", "seconds a body may take to arrive, then 408"),
    "drain": (float, "S", "seconds that requests in flight are given at the end"),
    "poll": (float, "S", "seconds between two looks for new versions; 0 for none"),
    "state": (str, "FILE", "counts requests in flight, so that the next start can tell what a "
                           "kill cost"),
}


def add_arguments(parser):
    from ...serving.config import ServingConfig

    defaults = {f.name: f.default for f in dataclasses.fields(ServingConfig)}
    parser.add_argument("--model", action="append", type=_model, metavar="NAME=PATH",
                        help="a model to serve, or the name of one that comes with ocr; "
                        "repeatable; the default one without any")
    parser.takes(lambda: ServingConfig)
    for name, (kind, metavar, text) in _OPTIONS.items():
        default = defaults[name]
        parser.add_argument("--" + name.replace("_", "-"), type=kind, metavar=metavar,
                            help=text if default is None else f"{text} (default: {default})")
    parser.add_argument("--cors", action="append", metavar="ORIGIN",
                        help="an origin whose pages may use the service; repeatable; * for all")


def _model(text):
    name, equals, path = text.partition("=")
    if not equals and (path := model_file(text)) != text:
        return text, path
    if not equals or not name or not path:
        raise argparse.ArgumentTypeError(f"expected NAME=PATH, not {text!r}")
    return name, path


def run(arguments):
    from ...serving import serve

    return serve(serving_config(arguments))


def serving_config(arguments):
    """Return the `ServingConfig` of ``--config`` and the other options."""
    from ...serving.config import ServingConfig

    given = dict(arguments.model or ())
    if len(given) < len(arguments.model or ()):
        raise ConfigError("--model: a name stands twice")
    config = settings_of(arguments, ServingConfig, **({"models": given} if given else {}))
    if not config.models:
        from ...checkpoints.shipped import default_model

        config = dataclasses.replace(config, models={"default": default_model()})
    return config
