"""Serve models over HTTP: TensorFlow Serving's REST addresses, images, and a page at /.

  ocr serve --model half=runs/half.onnx --model print=models/print

Each setting below is an option too: --max-batch 8 is max_batch=8.

PATH is a file of ocr export or ocr train, or a folder with numbered versions (PATH/1/model.onnx,
PATH/2/model.onnx, ...) that is looked at again and again. docs/serving.md says more.
"""

import argparse
import dataclasses
import os
import typing

from lm.base.command import settings_of
from lm.base.errors import ConfigError

from ...checkpoints import shipped
from ..common import model_file


def add_arguments(parser):
    from ...serving.config import ServingConfig

    parser.add_argument("--model", action="append", type=_model, metavar="NAME=PATH",
                        help="a model to serve, or the name of one that comes with ocr; "
                        "repeatable; those that come with ocr without any")
    parser.add_argument("--new-key", metavar="NAME",
                        help="make an API key of this name, add its hash to the file of --keys, "
                        "print it and end")
    parser.add_argument("--cors", action="append", metavar="ORIGIN",
                        help="an origin whose pages may use the service; repeatable; * for all")
    parser.takes(lambda: ServingConfig)
    # The settings, which the help lists with their meanings, are options too.
    for name, kind in typing.get_type_hints(ServingConfig).items():
        if name not in ("models", "cors"):
            kind = kind if isinstance(kind, type) else typing.get_args(kind)[0]
            parser.add_argument("--" + name.replace("_", "-"), type=kind, help=argparse.SUPPRESS)


def _model(text):
    name, equals, path = text.partition("=")
    if not equals:
        path = model_file(text)
        name = os.path.splitext(os.path.basename(os.path.abspath(path)))[0]
    if not name or not path:
        raise argparse.ArgumentTypeError(f"expected NAME=PATH, not {text!r}")
    return name, path


def run(arguments):
    config = serving_config(arguments)
    if arguments.new_key is not None:
        from ...serving.keys import add_key

        if config.keys is None:
            raise ConfigError("--new-key needs --keys FILE, which its hash is written to")
        print(add_key(config.keys, arguments.new_key))
        return 0
    from ...serving import serve

    return serve(config)


def serving_config(arguments):
    """Return the `ServingConfig` of ``--config`` and the other options."""
    from ...serving.config import ServingConfig

    given = dict(arguments.model or ())
    if len(given) < len(arguments.model or ()):
        raise ConfigError("--model: a name stands twice")
    config = settings_of(arguments, ServingConfig, **({"models": given} if given else {}))
    if config.models:
        return config
    # All that come with ocr, the default one first.
    paths = [shipped.default_model(), *map(shipped.model_path, shipped.list_shipped())]
    return dataclasses.replace(config, models={
        os.path.splitext(os.path.basename(path))[0]: path for path in paths})
