"""Tell a network layer by layer: names as in checkpoints, shapes, numbers of parameters.

The names are those that training.freeze takes.
"""

from ..common import model_file, positive, say


def add_arguments(parser):
    parser.add_argument("model", type=model_file, metavar="MODEL",
                        help="a checkpoint, an ONNX file of ocr export, or the name of a model "
                             "that comes with ocr")
    parser.add_argument("--width", type=positive, default=800, metavar="PIXELS",
                        help="of the line for which shapes are told (default: 800)")
    parser.add_argument("--output", metavar="FILE", help="write it there instead of showing it")


def run(arguments):
    from lm.base.files import write_text

    from ...models.summary import summarise_model

    table = summarise_model(arguments.model, arguments.width)
    if not arguments.output:
        print(table)
        return
    write_text(arguments.output, table + "\n")
    say(f"{arguments.output} is written")
