"""From a YAML file to a table: the steps that every experiment here shares."""

import os

from lm import NgramConfig, train_ngram
from lm.denoising import write_corpus
from ocr.cli.main import main as ocr
from ocr.config import apply_overrides, from_mapping, read_yaml
from ocr.exceptions import OCRError
from ocr.training import ExperimentConfig
from ocr.training.sources import open_split


def run_after(first, first_run, config_path, output, arguments, first_arguments):
    """Train the network that another training starts from, then `run` that.

    With ``--resume`` among the arguments a finished first training is not repeated.

    Parameters
    ----------
    first, config_path : str
        YAML files of the two trainings.
    first_run, output : str
        Their folders.
    arguments, first_arguments : list of str
        ``key=value`` overrides of each, and perhaps ``--resume``.

    Returns
    -------
    int
        Exit status.
    """
    if not ("--resume" in arguments and os.path.exists(f"{output}/last.ckpt")):
        started = os.path.exists(f"{first_run}/last.ckpt")
        options = [a for a in first_arguments if started or a != "--resume"]
        if status := ocr(["train", "--config", first, *options]):
            return status
        arguments = [a for a in arguments if a != "--resume"]
    return run(config_path, arguments)


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
    try:
        config = from_mapping(ExperimentConfig, apply_overrides(read_yaml(config_path), overrides))
        output = config.output
        corpus, model = os.path.join(output, "text_train.txt"), os.path.join(output, "words")
        if status := ocr(["train", "--config", config_path, *overrides, *resume]):
            return status
        write_corpus(corpus, open_split(config.data, "train").texts())
        train_ngram(NgramConfig(corpus=(corpus,), output=model, order=3))
    except OCRError as error:
        print(f"error: {error}")
        return 2
    checkpoint = os.path.join(output, "best.ckpt")
    for command in (["tune", "--lm", model], ["evaluate", "--output", f"{output}/report"]):
        if status := ocr([command[0], "--checkpoint", checkpoint, *command[1:], *overrides]):
            return status
    return 0
