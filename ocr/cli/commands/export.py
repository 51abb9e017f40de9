"""Write a trained network as one ONNX file, for the runtime without MXNet, or as MXNet's symbol.

The ONNX file carries alphabet, preprocessing and decoder settings; ocr recognise and ocr
evaluate take it as --checkpoint.
"""

import os

from lm.base.command import output_file
from lm.base.errors import ConfigError

from ...correction import PipelineConfig
from ...decoding import DECODERS
from ...recognition.tuned import pipeline_of, tuned_path
from ..common import positive, require_file, say


def add_arguments(parser):
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="file written by ocr train")
    parser.add_argument("--onnx", metavar="FILE.onnx", type=output_file,
                        help="the ONNX file to write")
    parser.add_argument("--symbol", metavar="PREFIX",
                        help="write PREFIX-symbol.json and PREFIX-0000.params")
    parser.add_argument("--half", action="store_true",
                        help="store weights as float16: half the size")
    parser.add_argument("--int8", action="store_true",
                        help="8-bit weights in LSTMs and dense layers: smaller and faster")
    parser.add_argument("--calibrate", type=positive, metavar="N",
                        help="with --int8: look at N validation lines and compute convolutions "
                             "with 8 bits as well")
    parser.add_argument("--decoder", metavar="NAME_OR_FILE",
                        help="decoder and correctors to read with: a name that ocr tune stored "
                             "beside the checkpoint, or a YAML or JSON file")


def run(arguments):
    require_file(arguments.checkpoint)
    if not arguments.onnx and not arguments.symbol:
        raise ConfigError("nothing to write: give --onnx FILE.onnx or --symbol PREFIX")
    if arguments.onnx and not arguments.onnx.lower().endswith(".onnx"):
        raise ConfigError(f"--onnx {arguments.onnx}: the name must end in .onnx")
    if arguments.calibrate and not arguments.int8:
        raise ConfigError("--calibrate goes with --int8")
    pipeline = _pipeline(arguments)
    from ...export import export_onnx, export_symbol
    from ...recognition.network import Recogniser

    recogniser = Recogniser(arguments.checkpoint, "cpu")
    if arguments.onnx:
        calibration = _calibration(recogniser, arguments.calibrate)
        export_onnx(recogniser, arguments.onnx, arguments.half, arguments.int8, calibration,
                    pipeline)
        say(f"{arguments.onnx}: {os.path.getsize(arguments.onnx) / 1e6:.2f} MB")
    if arguments.symbol:
        say(" and ".join(export_symbol(recogniser, arguments.symbol)) + " are written")


def _pipeline(arguments):
    name = arguments.decoder
    if name is None:
        return None
    config = pipeline_of(arguments.checkpoint, name)
    # Without models of its own it needs no tuning.
    untuned = config == PipelineConfig.of(config.name) and name == config.name
    if untuned and DECODERS.get(config.decoder.name).paths:
        raise ConfigError(f"--decoder {name}: ocr tune has not written "
                          f"{tuned_path(arguments.checkpoint, name)}")
    return config


def _calibration(recogniser, count):
    if not count:
        return None
    from ...training.sources import open_split

    dataset = open_split(recogniser.config.data, "validation")
    return recogniser.prepare(dataset.spread(count))
