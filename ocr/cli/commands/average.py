"""Average the weights of several trainings of one network into one checkpoint.

Worth it for trainings that went on from the same network with other lines or another seed; score
the average, and each of them, on the validation split (ocr evaluate --split validation).
"""

from lm.base.command import output_file

from ..common import say


def add_arguments(parser):
    parser.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT")
    parser.add_argument("--output", required=True, metavar="FILE", type=output_file)


def run(arguments):
    from ...checkpoints.checkpoint import average_checkpoints, save_checkpoint

    save_checkpoint(arguments.output, average_checkpoints(arguments.checkpoints))
    say(f"{arguments.output}: the mean of {len(arguments.checkpoints)} checkpoints; score it with "
        f"ocr evaluate --checkpoint {arguments.output} --split validation --decoders greedy")
