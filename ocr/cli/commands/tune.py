"""Choose a decoder's settings, and its correctors', on the validation split.

Tries weights of the language models (0 among them), beam widths and pruning; all stages
are tuned together. What is chosen is never worse on those lines than greedy decoding. The
result is stored beside the checkpoint, with a calibration of the confidences, and read by
evaluate, recognise and denoise-data. The test split cannot be tuned on.
"""

import dataclasses

from ...recognition.tuned import tuned_path
from ..common import add_checkpoint, add_config, checkpoint_config, require_file, say
from ..decoder_options import add_decoder_choice, add_decoder_options, chosen_name, pipeline_config


def add_arguments(parser):
    add_checkpoint(parser)
    add_config(parser)
    add_decoder_choice(parser, "beam-lm")
    parser.add_argument("--metric", default="cer+wer", choices=("cer", "wer", "cer+wer"))
    parser.add_argument("--budget", type=float, default=10.0, metavar="MINUTES")
    parser.add_argument("--output", metavar="FILE",
                        help="where to store the settings; default: beside the checkpoint, as "
                             "decoder-NAME.json")
    parser.add_argument("--max-lines", type=int, metavar="N",
                        help="tune on a random sample of so many lines")
    add_decoder_options(parser)


def run(arguments):
    require_file(arguments.checkpoint)
    name = chosen_name(arguments, arguments.decoder)
    config = pipeline_config(arguments, name)
    from ...correction import save_pipeline
    from ...correction.tuning import tune
    from ...evaluation.run import calibrate
    from ...recognition import open_recogniser
    from ...training.sources import open_split

    recogniser = open_recogniser(arguments.checkpoint, arguments.device)
    settings = checkpoint_config(arguments, recogniser)
    dataset = open_split(settings.data, "validation")
    prepared = recogniser.prepare(dataset, settings.data.cache)
    logits = recogniser.logits(prepared, arguments.batch_size)
    texts = prepared.dataset.texts()
    result = tune(logits, texts, recogniser.alphabet, config, metric=arguments.metric,
                  budget_minutes=arguments.budget, max_lines=arguments.max_lines)
    path = arguments.output or tuned_path(arguments.checkpoint, name)
    info = {"data": prepared.dataset.name, "split": prepared.dataset.split,
            **{f.name: getattr(result, f.name) for f in dataclasses.fields(result)
               if f.name not in ("config", "trials")}}
    chosen = calibrate(result.config, logits, texts, recogniser.alphabet)
    save_pipeline(path, chosen, info)
    say(f"{path} is written")
    decoder = chosen.decoder
    sample = f", {result.lines} of {len(texts)} lines" if result.lines < len(texts) else ""
    lines = f"{prepared.dataset.name} ({prepared.dataset.split}{sample})"
    if chosen.name == "greedy":
        print(f"{name} on {lines}: nothing tried is "
              f"better than greedy: CER {100 * result.cer:.2f}%, WER {100 * result.wer:.2f}%")
        return
    weights = [f"alpha {decoder.alpha}, beta {decoder.beta}, beam width {decoder.beam_width}, "
               f"token_min_logp {decoder.token_min_logp}"]
    if decoder.words:
        weights.append(f"word_alpha {decoder.word_alpha}")
    weights += [f"{s.name} {_changed(s.settings)}" for s in chosen.correctors]
    print(f"{name} on {lines}: {'; '.join(weights)}: "
          f"CER {100 * result.cer:.2f}%, WER {100 * result.wer:.2f}% "
          f"(greedy {100 * result.greedy_cer:.2f}%, {100 * result.greedy_wer:.2f}%)")


def _changed(settings):
    """Return the numbers among a corrector's settings."""
    return " ".join(f"{f.name}={getattr(settings, f.name)}" for f in dataclasses.fields(settings)
                    if isinstance(getattr(settings, f.name), float))
