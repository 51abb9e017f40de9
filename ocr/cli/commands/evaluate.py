"""Score decoders on a split: corpus-level CER, WER, SER with 95% intervals.

The data are those of the checkpoint's settings; name others as overrides, e.g.
data.test.path=my/test.tsv. Prints a table; --output writes report.json, gallery.html,
gallery.png and calibration-NAME.html as well.
"""

import os

from lm.base.command import output_folder
from lm.normalisation import parse_rules

from ..common import add_checkpoint, add_config, checkpoint_config, positive, require_file, say
from ..decoder_options import add_decoder_options, known_pipelines, pipeline_configs


def add_arguments(parser):
    add_checkpoint(parser)
    add_config(parser)
    parser.add_argument("--split", default="test", choices=("test", "validation", "train"))
    parser.add_argument("--decoders", metavar="A,B", default="all",
                        help="names, with correctors as in beam-char+spelling, or YAML or JSON "
                             "files of both; default: greedy, beam and all that ocr tune stored")
    parser.add_argument("--tokenisation", default="space", help="of the WER (default: space)")
    parser.add_argument("--normalise", metavar="A,B", default="",
                        help="bring truths and readings to a common form before they are "
                             "compared: quotes, dashes, spaces, punctuation, accents, case")
    parser.add_argument("--output", metavar="FOLDER", type=output_folder,
                        help="where to write report and gallery")
    parser.add_argument("--calibration", action="store_true",
                        help="print how far the confidences can be trusted")
    parser.add_argument("--gallery-lines", type=positive, default=60, metavar="N")
    add_decoder_options(parser)


def run(arguments):
    require_file(arguments.checkpoint)
    rules = parse_rules(arguments.normalise)
    names = (known_pipelines(arguments) if arguments.decoders == "all"
             else arguments.decoders.split(","))
    pipelines = pipeline_configs(arguments, names)
    from ...evaluation import save_gallery, save_gallery_png
    from ...evaluation.run import evaluate
    from ...recognition import open_recogniser
    from ...training.sources import open_split

    recogniser = open_recogniser(arguments.checkpoint, arguments.device)
    config = checkpoint_config(arguments, recogniser)
    dataset = open_split(config.data, arguments.split)
    report, lines, calibrations = evaluate(
        recogniser, dataset, pipelines, tokenisation=arguments.tokenisation,
        cache=config.data.cache, batch_size=arguments.batch_size,
        normalise=rules)
    if len(dataset.report):
        say(str(dataset.report))
    print(report.table())
    if comparison := report.comparison_table():
        print(f"\n{comparison}")
    if arguments.calibration:
        for name, calibration in calibrations.items():
            print(f"\n{name}\n{calibration.table()}")
    if arguments.output:
        os.makedirs(arguments.output, exist_ok=True)
        report.save_json(os.path.join(arguments.output, "report.json"))
        images = lines.images()
        save_gallery(os.path.join(arguments.output, "gallery.html"), report, images,
                     max_lines=arguments.gallery_lines)
        save_gallery_png(os.path.join(arguments.output, "gallery.png"), report, images)
        for name, calibration in calibrations.items():
            calibration.save_diagram(os.path.join(arguments.output, f"calibration-{name}.html"),
                                     f"Reliability of confidences: {name}")
        say(f"{arguments.output}: report.json, gallery.html, gallery.png, calibration-*.html")
