"""Choose a decoder's settings, and its correctors', on the validation split.

Tries weights of the language models (0 among them), beam widths and pruning; all stages
are tuned together. The result is stored beside the model, with a calibration of the confidences,
for this model alone, and read by evaluate, recognise, serve and denoise-data. Where it reads those
lines no better than greedy decoding, they go on with that. The test split cannot be tuned on.
"""

import dataclasses

from lm.base.errors import ConfigError
from lm.base.files import check_writable

from ...recognition.tuned import best_name, tuned_path
from ..common import add_checkpoint, add_config, checkpoint_config, positive, require_file, say
from ..decoder_options import add_decoder_choice, add_decoder_options, chosen_name, pipeline_config


def add_arguments(parser):
    add_checkpoint(parser)
    add_config(parser)
    add_decoder_choice(parser, "beam-lm")
    parser.add_argument("--metric", default="cer+wer", choices=("cer", "wer", "cer+wer"))
    parser.add_argument("--budget", type=float, default=10.0, metavar="MINUTES")
    parser.add_argument("--output", metavar="FILE",
                        help="where to store the settings, to be named as --decoder FILE; default: "
                             "beside the model, as MODEL.decoder-NAME.json, where they are found")
    parser.add_argument("--max-lines", type=positive, metavar="N",
                        help="tune on a random sample of so many lines")
    add_decoder_options(parser)


def run(arguments):
    require_file(arguments.checkpoint)
    name = chosen_name(arguments, arguments.decoder)
    config = pipeline_config(arguments, name)
    path = arguments.output or tuned_path(arguments.checkpoint, config.name)
    _check_writable(path)
    if not 0 < arguments.budget < float("inf"):
        raise ConfigError(f"--budget must be a positive number of minutes, not {arguments.budget}")
    from ...evaluation.tuning import tune_model
    from ...recognition import open_recogniser

    recogniser = open_recogniser(arguments.checkpoint, arguments.device)
    data = checkpoint_config(arguments, recogniser).data
    tuned = tune_model(recogniser, arguments.checkpoint, config, data, arguments.metric,
                       arguments.budget, arguments.max_lines, arguments.output,
                       arguments.batch_size)
    say(f"{tuned.path} is written")
    result = tuned.result
    print(f"{config.name} on {tuned.lines}: "
          + "; ".join(f"{stage.name} {_changed(stage.settings)}" for stage in tuned.config.stages)
          + f": CER {100 * result.cer:.2f}%, WER {100 * result.wer:.2f}% "
          f"(greedy {100 * result.greedy_cer:.2f}%, {100 * result.greedy_wer:.2f}%)")
    if result.helps:
        return
    print("nothing tried is better than greedy: what is read with unasked is "
          f"{best_name(arguments.checkpoint)}")


def _check_writable(path):
    try:
        check_writable(path)
    except ConfigError as error:
        raise ConfigError(f"{error}; name another file with --output, and read with it as "
                          "--decoder FILE") from None


def _changed(settings):
    """Return the settings that differ from the defaults, files apart."""
    return " ".join(f"{f.name}={value}" for f in dataclasses.fields(settings)
                    if isinstance(value := getattr(settings, f.name), (int, float))
                    and value != f.default) or "as it comes"
