"""Average the weights of several trainings of one network into one checkpoint.

Worth it for trainings that went on from the same network with other lines or another seed; score
the average, and each of them, on the validation split (ocr evaluate --split validation).
"""

import os

from lm.base.command import output_file
from lm.base.errors import ConfigError

from ..common import say


def add_arguments(parser):
    parser.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT")
    parser.add_argument("--output", required=True, metavar="FILE", type=output_file)


def run(arguments):
    for path in arguments.checkpoints:
        if os.path.exists(arguments.output) and os.path.exists(path) \
                and os.path.samefile(path, arguments.output):
            raise ConfigError(f"--output {arguments.output}: is one of the checkpoints to average")
    from ...checkpoints.checkpoint import average_checkpoints, save_checkpoint

    save_checkpoint(arguments.output, average_checkpoints(arguments.checkpoints))
    say(f"{arguments.output}: the mean of {len(arguments.checkpoints)} checkpoints; score it with "
        f"ocr evaluate --checkpoint {arguments.output} --split validation --decoders greedy")
