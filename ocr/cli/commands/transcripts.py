"""Write the transcripts of a split as text, one a line: what lm train learns from.

Neither a network nor the images are needed:
ocr transcripts text_train.txt data.source=iam data.options.root=FOLDER.
"""

import os

from lm.base.errors import ConfigError

from ..common import add_config, named_data, say


def add_arguments(parser):
    parser.add_argument("file", help="text file to write")
    add_config(parser)
    parser.add_argument("--split", default="train", choices=("train", "validation", "test"),
                        help="default: train")


def run(arguments):
    from lm.denoising import write_corpus

    from ...training.sources import open_split

    if os.path.lexists(arguments.file):
        raise ConfigError(f"{arguments.file}: is there already; not overwritten")
    dataset = open_split(named_data(arguments).data, arguments.split)
    if len(dataset.report):
        say(str(dataset.report))
    write_corpus(arguments.file, dataset.texts())
    say(f"{arguments.file}: {len(dataset)} lines of {dataset.name}, {dataset.split}")
