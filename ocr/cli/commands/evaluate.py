"""Score decoders on a split: corpus-level CER, WER, SER with 95% intervals.

The data are those of the checkpoint's settings; name others as overrides, e.g.
data.test.path=my/test.tsv. Prints a table; --output writes report.json, gallery.html
and gallery.png as well.
"""

import os

from ..common import add_checkpoint, add_config, checkpoint_config, positive, require_file, say
from ..decoder_options import add_decoder_options, decoder_config, known_decoders


def add_arguments(parser):
    add_checkpoint(parser)
    add_config(parser)
    parser.add_argument("--split", default="test", choices=("test", "validation", "train"))
    parser.add_argument("--decoders", metavar="A,B", default="all",
                        help="default: all; beam-lm where a language model is known")
    parser.add_argument("--tokenisation", default="space", help="of the WER (default: space)")
    parser.add_argument("--output", metavar="FOLDER", help="where to write report and gallery")
    parser.add_argument("--gallery-lines", type=positive, default=60, metavar="N")
    add_decoder_options(parser)


def run(arguments):
    require_file(arguments.checkpoint)
    names = (known_decoders(arguments) if arguments.decoders == "all"
             else arguments.decoders.split(","))
    decoders = [decoder_config(arguments, name) for name in names]
    from ...evaluation import save_gallery, save_gallery_png
    from ...evaluation.run import evaluate
    from ...recognition import Recogniser
    from ...training.sources import open_split

    recogniser = Recogniser(arguments.checkpoint, arguments.device)
    config = checkpoint_config(arguments, recogniser)
    dataset = open_split(config.data, arguments.split)
    report, prepared = evaluate(recogniser, dataset, decoders,
                                tokenisation=arguments.tokenisation, cache=config.data.cache,
                                batch_size=arguments.batch_size)
    if len(dataset.report):
        say(str(dataset.report))
    print(report.table())
    if arguments.output:
        os.makedirs(arguments.output, exist_ok=True)
        report.save_json(os.path.join(arguments.output, "report.json"))
        images = [prepared.dataset.image(i) for i in range(len(prepared))]
        save_gallery(os.path.join(arguments.output, "gallery.html"), report, images,
                     max_lines=arguments.gallery_lines)
        save_gallery_png(os.path.join(arguments.output, "gallery.png"), report, images)
        say(f"{arguments.output}: report.json, gallery.html, gallery.png")
