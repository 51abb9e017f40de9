"""Write denoising datasets: pairs of what was written and what the recogniser read.

With --checkpoint: reads the given splits. Lines of the training split were trained on, so
their readings are better than any future ones; they are refused without --in-sample, and
the file then says so.
With --folds K and --config: trains K networks, each without one K-th of the training
lines (writers kept together), and has every training line read by the network that never
saw it. Stopped, it goes on where it was.

For each split OUTPUT/SPLIT.jsonl (a header line, then id, truth, reading, ...) and
OUTPUT/SPLIT.json ([[truth, reading], ...]); OUTPUT/text_train.txt holds the training
transcripts, one a line, for lm train.
"""

from lm.base.command import output_folder
from lm.base.errors import ConfigError

from ..common import add_config, checkpoint_config, experiment_config, positive, require_file, say
from ..decoder_options import add_decoder_choice, add_decoder_options, chosen_name, pipeline_config

SPLITS = ("train", "validation", "test")


def add_arguments(parser):
    parser.add_argument("--checkpoint", metavar="FILE", help="file written by ocr train")
    parser.add_argument("--device", default="auto", help="auto, cpu, gpu or gpu:N")
    parser.add_argument("--batch-size", type=positive, default=16, metavar="N")
    add_config(parser)
    parser.add_argument("--output", required=True, metavar="FOLDER", type=output_folder)
    parser.add_argument("--splits", default="validation", metavar="A,B",
                        help="of train, validation, test (default: validation)")
    parser.add_argument("--in-sample", action="store_true",
                        help="read training lines with the network trained on them")
    parser.add_argument("--folds", type=positive, metavar="K")
    add_decoder_choice(parser, "greedy")
    parser.add_argument("--n-best", type=positive, default=1, metavar="N",
                        help="alternatives to keep (a beam decoder has them)")
    add_decoder_options(parser)


def run(arguments):
    from ...denoising.collect import collect_folds, collect_split, write_corpus_of

    if arguments.folds:
        if not arguments.config:
            raise ConfigError("--folds trains networks: it needs --config")
        if arguments.checkpoint:
            raise ConfigError("--folds trains its own networks: leave --checkpoint out")
        if arguments.folds < 2:
            raise ConfigError("--folds must be at least 2")
        config = experiment_config(arguments)
        paths = collect_folds(config, arguments.folds, arguments.output, say=say,
                              batch_size=arguments.batch_size)
    else:
        if not arguments.checkpoint:
            raise ConfigError("either --checkpoint, or --folds and --config are needed")
        splits = arguments.splits.split(",")
        for split in splits:
            if split not in SPLITS:
                raise ConfigError(f"unknown split {split!r}; known: {', '.join(SPLITS)}")
        if "train" in splits and not arguments.in_sample:
            raise ConfigError("the network was trained on the training lines: use --folds for "
                              "honest readings of them, or say --in-sample")
        require_file(arguments.checkpoint)
        pipeline = pipeline_config(arguments, chosen_name(arguments, arguments.decoder))
        from ...recognition.network import Recogniser

        recogniser = Recogniser(arguments.checkpoint, arguments.device)
        config = checkpoint_config(arguments, recogniser)
        paths = [path for split in splits for path in collect_split(
            recogniser, arguments.checkpoint, config.data, split, pipeline,
            arguments.output, n_best=arguments.n_best, batch_size=arguments.batch_size)[1]]
    paths.append(write_corpus_of(config.data, arguments.output))
    for path in paths:
        print(path)
