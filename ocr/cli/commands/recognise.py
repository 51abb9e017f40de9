"""Read images of single text lines; prints file, confidence and text, tab-separated."""

import json

from ...exceptions import DataError
from ..common import add_checkpoint, positive, require_file
from ..decoder_options import (
    add_decoder_choice,
    add_decoder_options,
    chosen_name,
    default_name,
    pipeline_config,
)


def add_arguments(parser):
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    add_checkpoint(parser)
    add_decoder_choice(parser)
    parser.add_argument("--n-best", type=positive, default=1, metavar="N")
    parser.add_argument("--json", action="store_true",
                        help="one JSON object an image, with character and word positions in "
                             "frames and their confidences")
    add_decoder_options(parser)


def run(arguments):
    require_file(arguments.checkpoint)
    # Without a name: what was best when it was tuned, or greedy.
    name = arguments.decoder or default_name(arguments)
    config = pipeline_config(arguments, chosen_name(arguments, name))
    from ...correction import build_pipeline
    from ...data import load_grey
    from ...recognition import Recogniser

    images, problems = [], []
    for path in arguments.images:
        try:
            images.append((path, load_grey(path)))
        except DataError as error:
            problems.append(error)
    if images:
        recogniser = Recogniser(arguments.checkpoint, arguments.device)
        pipeline = build_pipeline(config, recogniser.alphabet)
        logits = recogniser.logits_of_images([image for _, image in images],
                                             arguments.batch_size)
        for (path, _), best in zip(images, pipeline.decode(logits, n_best=arguments.n_best)):
            _show(path, best, arguments)
    if problems:
        # All that could be read was; what could not still makes the command fail.
        raise DataError("; ".join(map(str, problems)))


def _show(path, hypotheses, arguments):
    if arguments.json:
        print(json.dumps({"image": path, "hypotheses": [_plain(h) for h in hypotheses]},
                         ensure_ascii=False))
        return
    for hypothesis in hypotheses:
        print(f"{path}\t{hypothesis.confidence:.3f}\t{hypothesis.text}")


def _plain(hypothesis):
    def spans(items):
        return [{"text": s.text, "start": s.start, "end": s.end,
                 "confidence": round(s.confidence, 4)} for s in items]

    return {"text": hypothesis.text, "confidence": round(hypothesis.confidence, 4),
            "score": hypothesis.score, "characters": spans(hypothesis.characters),
            "words": spans(hypothesis.words)}
