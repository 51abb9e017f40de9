"""Write new lines out of the ink of real ones, to train on beside them.

A trained network finds the characters of the training lines; pieces of one writer's lines are
put together to texts of yours. Writes FOLDER/lines/ and the table FOLDER/lines.tsv (file,
writer, text), read with data.source=table: name both tables, as in
data.train.path=[train.tsv,FOLDER/lines.tsv]. Stopped, it goes on where it was.
"""

from lm.base.command import output_folder

from ..common import add_checkpoint, add_config, checkpoint_config, positive, say


def add_arguments(parser):
    add_checkpoint(parser)
    add_config(parser)
    parser.add_argument("--output", required=True, metavar="FOLDER", type=output_folder)
    parser.add_argument("--text", required=True, metavar="FILE", help="texts to write, one a line")
    parser.add_argument("--lines", type=positive, default=1000, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--height", type=positive, metavar="PIXELS",
                        help="of the images; default: that of the network's lines")
    parser.add_argument("--least-confidence", type=float, default=0.2, metavar="P",
                        help="leave out characters of which the network is less sure "
                             "(default: 0.2)")


def run(arguments):
    from dataclasses import replace

    from ...batching import PreparedLines
    from ...data import SkipReport
    from ...recognition import open_recogniser
    from ...synthesis.recombination import cut_lines, read_texts, write_recombined
    from ...training.sources import open_split

    texts = read_texts(arguments.text)
    recogniser = open_recogniser(arguments.checkpoint, arguments.device)
    data = checkpoint_config(arguments, recogniser).data
    report = SkipReport()
    dataset = open_split(data, "train")
    prepared, drawn = recogniser.prepare(dataset, data.cache), None
    if arguments.height:
        drawn = PreparedLines(dataset, replace(recogniser.preprocess, height=arguments.height),
                              data.cache)
    writers = cut_lines(recogniser, prepared, report, arguments.batch_size,
                        arguments.least_confidence, drawn)
    say(f"{sum(map(len, writers.values()))} lines by {len(writers)} writers; {report}")
    report = SkipReport()
    table = write_recombined(arguments.output, writers, texts, arguments.lines, arguments.seed,
                             report)
    say(f"{table}: {arguments.lines - len(report)} lines; {report}")
