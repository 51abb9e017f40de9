"""Write a trained network as one ONNX file, for the runtime without MXNet, or as MXNet's symbol.

The ONNX file carries alphabet, preprocessing and decoder settings; ocr recognise and ocr
evaluate take it as --checkpoint.
"""

import os

from lm.base.errors import ConfigError

from ...recognition.tuned import tuned_path
from ..common import positive, require_file, say


def add_arguments(parser):
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="file written by ocr train")
    parser.add_argument("--onnx", metavar="FILE.onnx", help="the ONNX file to write")
    parser.add_argument("--symbol", metavar="PREFIX",
                        help="write PREFIX-symbol.json and PREFIX-0000.params")
    parser.add_argument("--half", action="store_true",
                        help="store weights as float16: half the size")
    parser.add_argument("--int8", action="store_true",
                        help="8-bit weights in LSTMs and dense layers: smaller and faster")
    parser.add_argument("--calibrate", type=positive, metavar="N",
                        help="with --int8: look at N validation lines and compute convolutions "
                             "with 8 bits as well")
    parser.add_argument("--pipeline", metavar="NAME_OR_FILE",
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
    if arguments.pipeline is None:
        return None
    from ...correction import PipelineConfig, load_pipeline, parse_name
    from ...decoding import DecoderConfig

    stored = tuned_path(arguments.checkpoint, arguments.pipeline)
    for path in (arguments.pipeline, stored):
        if os.path.isfile(path):
            return load_pipeline(path)
    # Greedy and beam need no tuning and no model.
    if parse_name(arguments.pipeline) in (("greedy", []), ("beam", [])):
        return PipelineConfig(DecoderConfig(arguments.pipeline))
    raise ConfigError(f"--pipeline {arguments.pipeline}: no such file, and ocr tune has not "
                      f"written {stored}")


def _calibration(recogniser, count):
    if not count:
        return None
    from ...training.sources import open_split

    dataset = open_split(recogniser.config.data, "validation")
    return recogniser.prepare(dataset.spread(count))
