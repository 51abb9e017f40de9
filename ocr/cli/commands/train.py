"""Train a network as a YAML file says.

Writes best.ckpt (lowest validation CER), last.ckpt, history.json, skipped.json and
mxboard logs (tensorboard --logdir OUTPUT/logs) into the folder `output`. Ctrl-C saves
last.ckpt; --resume goes on from it to the same numbers.
"""

from ..common import add_config, experiment_config, say


def add_arguments(parser):
    add_config(parser, required=True)
    parser.add_argument("--resume", action="store_true", help="go on from OUTPUT/last.ckpt")


def run(arguments):
    config = experiment_config(arguments)
    from ...training.trainer import train

    history = train(config, arguments.resume, say)
    best = min((e for e in history if "validation_cer" in e), key=lambda e: e["validation_cer"])
    print(f"best validation CER {100 * best['validation_cer']:.2f}% at epoch {best['epoch']}: "
          f"{config.output}/best.ckpt")
