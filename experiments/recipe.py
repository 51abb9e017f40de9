"""From a YAML file to a table: the steps that every experiment here shares."""

import functools
import os

from lm import NgramConfig, train_ngram
from lm.base.errors import OCRError
from lm.denoising import write_corpus
from ocr.checkpoints.settings import read_experiment
from ocr.cli.main import main as ocr
from ocr.training.sources import open_split


def tells_errors(function):
    """Have a function that returns an exit status print an `OCRError` and return 2."""
    @functools.wraps(function)
    def told(*arguments, **options):
        try:
            return function(*arguments, **options)
        except OCRError as error:
            print(f"error: {error}")
            return 2

    return told


def goes_on(folder, arguments):
    """Tell whether the training of `folder` has begun and ``--resume`` is among the arguments."""
    return "--resume" in arguments and os.path.exists(f"{folder}/last.ckpt")


def train_in_turn(trainings, arguments):
    """Train networks that go on from one another, in order.

    With ``--resume`` among the arguments those that are finished are not repeated.

    Parameters
    ----------
    trainings : list of (str, str)
        YAML file and folder of each.
    arguments : list of str
        ``key=value`` overrides, of all trainings, and perhaps ``--resume``.

    Returns
    -------
    int
        Exit status.
    """
    overrides = [a for a in arguments if a != "--resume"]
    for config, folder in trainings:
        resume = ["--resume"] * goes_on(folder, arguments)
        if status := ocr(["train", "--config", config, *overrides, *resume]):
            return status
    return 0


def run_after(firsts, config_path, output, arguments):
    """Train the networks that a training goes on from (`train_in_turn`), then `run` that.

    Parameters
    ----------
    firsts, arguments :
        As for `train_in_turn`.
    config_path, output : str
        YAML file and folder of the last training.

    Returns
    -------
    int
        Exit status.
    """
    if not goes_on(output, arguments):
        if status := train_in_turn(firsts, arguments):
            return status
        arguments = [a for a in arguments if a != "--resume"]
    return run(config_path, arguments)


@tells_errors
def run(config_path, arguments):
    """Train (or resume), make a word model of the training transcripts, tune, evaluate.

    Parameters
    ----------
    config_path : str
    arguments : list of str
        ``key=value`` overrides, and perhaps ``--resume``.

    Returns
    -------
    int
        Exit status.
    """
    overrides = [a for a in arguments if a != "--resume"]
    resume = [a for a in arguments if a == "--resume"]
    config = read_experiment(config_path, overrides)
    output = config.output
    corpus, model = os.path.join(output, "text_train.txt"), os.path.join(output, "words")
    if status := ocr(["train", "--config", config_path, *overrides, *resume]):
        return status
    write_corpus(corpus, open_split(config.data, "train").texts())
    train_ngram(NgramConfig(corpus=(corpus,), output=model, order=3))
    checkpoint = os.path.join(output, "best.ckpt")
    for command in (["tune", "--lm", model], ["evaluate", "--output", f"{output}/report"]):
        if status := ocr([command[0], "--checkpoint", checkpoint, *command[1:], *overrides]):
            return status
    return 0
