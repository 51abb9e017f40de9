"""Make a checkpoint of an exported model (ONNX), to train it on with lines of your own.

Also of the published MXNet recogniser's own weights (handwriting_line8.params): they become a
network "original" with the alphabet of 80 characters that it was trained with.

An exported file holds batch norms within the convolutions; they come back with the means and
variances of some lines: those of data.train where settings name them (yours, best of all), else
synthetic ones. What the network reads does not change. The decoder that the file brings along is
written beside the checkpoint, as ocr tune would.

    ocr restore --model french --output french.ckpt
    ocr train --config mine.yaml training.initial_checkpoint=french.ckpt alphabet=french.ckpt
    ocr export OUTPUT/best.ckpt --onnx mine.onnx --decoder french.ckpt.decoder-beam-char.json
"""

from lm.base.command import output_file

from ..common import add_config, experiment_config, model_file, positive, say


def add_arguments(parser):
    parser.add_argument("--model", required=True, type=model_file, metavar="FILE",
                        help="an ONNX file of ocr export, the name of a model that comes with "
                             "ocr, or the published recogniser's .params")
    add_config(parser)
    parser.add_argument("--output", required=True, metavar="FILE", type=output_file,
                        help="the checkpoint to write")
    parser.add_argument("--lines", type=positive, default=256, metavar="N",
                        help="lines to take means and variances of (default: 256)")


def run(arguments):
    from ...batching import PreparedLines
    from ...checkpoints.checkpoint import save_checkpoint
    from ...export import restore
    from ...models.published import published_checkpoint
    from ...recognition.tuned import save_tuned, stored_in
    from ...training.sources import open_split

    config = experiment_config(arguments, {"output": ""})

    def prepare(preprocess):
        return PreparedLines(open_split(config.data, "train").spread(arguments.lines), preprocess)

    published = arguments.model.endswith(".params")
    save_checkpoint(arguments.output, published_checkpoint(arguments.model) if published
                    else restore(arguments.model, config, prepare))
    decoder = ""
    if not published and (pipeline := stored_in(arguments.model)):
        decoder = f"; its decoder: {save_tuned(arguments.output, pipeline)}"
    say(f"{arguments.output}: to be trained on with training.initial_checkpoint and alphabet, both "
        f"={arguments.output}{decoder}")
