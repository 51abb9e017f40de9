"""Choose a decoder's settings on the validation split and store them beside the checkpoint.

Tries weights of the language model (0 among them), beam widths and pruning. The result
is read by evaluate, recognise and denoise-data. The test split cannot be tuned on.
"""

import dataclasses

from ..common import add_checkpoint, add_config, checkpoint_config, require_file, say
from ..decoder_options import add_decoder_options, decoder_config, tuned_path


def add_arguments(parser):
    add_checkpoint(parser)
    add_config(parser)
    parser.add_argument("--decoder", default="beam-lm", help="default: beam-lm")
    parser.add_argument("--metric", default="cer+wer", choices=("cer", "wer", "cer+wer"))
    parser.add_argument("--budget", type=float, default=10.0, metavar="MINUTES")
    parser.add_argument("--max-lines", type=int, metavar="N",
                        help="tune on a random sample of so many lines")
    add_decoder_options(parser)


def run(arguments):
    require_file(arguments.checkpoint)
    config, folder = decoder_config(arguments, arguments.decoder)
    from ...decoding import save_decoder
    from ...decoding.tuning import tune
    from ...recognition import Recogniser
    from ...training.sources import open_split

    recogniser = Recogniser(arguments.checkpoint, arguments.device)
    settings = checkpoint_config(arguments, recogniser)
    dataset = open_split(settings.data, "validation")
    prepared = recogniser.prepare(dataset, settings.data.cache)
    logits = recogniser.logits(prepared, arguments.batch_size)
    result = tune(logits, prepared.dataset.texts(), recogniser.alphabet, config,
                  metric=arguments.metric, budget_minutes=arguments.budget,
                  max_lines=arguments.max_lines, base=folder)
    path = tuned_path(arguments.checkpoint, arguments.decoder)
    info = {"data": prepared.dataset.name, "split": prepared.dataset.split,
            **{f.name: getattr(result, f.name) for f in dataclasses.fields(result)
               if f.name not in ("config", "trials")}}
    save_decoder(path, result.config, info)
    say(f"{path} is written")
    chosen = result.config
    print(f"{arguments.decoder} on {prepared.dataset.name} ({prepared.dataset.split}): "
          f"alpha {chosen.alpha}, beta {chosen.beta}, beam width {chosen.beam_width}, "
          f"token_min_logp {chosen.token_min_logp}: CER {100 * result.cer:.2f}%, "
          f"WER {100 * result.wer:.2f}%")
