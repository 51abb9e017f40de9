"""Train a network as a YAML file says.

Writes into the folder `output`: best.ckpt (lowest validation CER, or loss with
training.monitor=loss), last.ckpt, history.json, curve.png, samples.png, summary.txt, skipped.json
and mxboard logs (tensorboard --logdir OUTPUT/logs). Ctrl-C saves last.ckpt; --resume goes on from
it to the same numbers.
"""

from ..common import add_config, experiment_config, say


def add_arguments(parser):
    add_config(parser, required=True)
    parser.add_argument("--resume", action="store_true", help="go on from OUTPUT/last.ckpt")


def run(arguments):
    config = experiment_config(arguments)
    from ...training.trainer import train

    history = train(config, arguments.resume, say)
    monitor = f"validation_{config.training.monitor}"
    best = min((e for e in history if monitor in e), key=lambda e: e[monitor])
    print(f"best validation CER {100 * best['validation_cer']:.2f}%, loss "
          f"{best['validation_loss']:.3f} at epoch {best['epoch']}: {config.output}/best.ckpt")
