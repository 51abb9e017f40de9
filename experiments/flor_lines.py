"""Flor's system: pack lines into HDF5, train its network from there, write its report files.

    python experiments/flor_lines.py [--minutes M] [--normalise A,B] [--resume] [key=value ...]

Packs what LINES names into runs/flor/copiste.hdf5 (boxes of 1024 x 128; a stopped packing is
gone on with), trains the recipe flor and scores the test split by best path. Writes train.txt,
predict.txt (TE_L truth, TE_P reading) and evaluate.txt beside the checkpoints.

--minutes stops the training after so many, validations included: the rate falls on a plateau, so
nothing depends on an end known beforehand. To compare with another network at the same budget,
give its minutes. With --resume they count anew. --normalise names what is evened out before
scoring (accents, punctuation, ...).
"""

import argparse
import json
import os
import signal
import threading

from recipe import tells_errors

from lm.normalisation import parse_rules
from ocr.checkpoints.settings import read_experiment
from ocr.cli.main import main as ocr
from ocr.evaluation.flor_files import (
    write_evaluation_report,
    write_predictions,
    write_training_report,
)
from ocr.evaluation.run import evaluate
from ocr.recognition.network import Recogniser
from ocr.training.sources import open_split

CONFIG, LINES = "flor", "copiste_first"
STOPPED = 128 + signal.SIGTERM


def pack(path, width, height):
    """Pack the lines, unless the file is there; returns the exit status."""
    if os.path.exists(path):
        return 0
    return ocr(["pack", path, "--config", LINES, "--size", f"{width}x{height}", "--resume"])


def train(arguments, minutes):
    """Train for so many minutes (None: to the end); returns the exit status."""
    if minutes is None:
        return ocr(["train", "--config", CONFIG, *arguments])
    # Training saves its state on this signal, and says so.
    clock = threading.Timer(60 * minutes, os.kill, (os.getpid(), signal.SIGTERM))
    clock.daemon = True
    clock.start()
    status = ocr(["train", "--config", CONFIG, *arguments])
    over = clock.finished.is_set()
    clock.cancel()
    return 0 if over and status == STOPPED else status


def score(config, rules):
    """Read the test split, write the three files, print the table."""
    recogniser = Recogniser(os.path.join(config.output, "best.ckpt"), config.training.device)
    report, _, _ = evaluate(recogniser, open_split(config.data, "test"),
                            ["greedy"], cache=config.data.cache, normalise=rules)
    [system] = report.systems
    folder = config.output
    with open(os.path.join(folder, "history.json"), encoding="utf-8") as source:
        history = json.load(source)
    with open(os.path.join(folder, "skipped.json"), encoding="utf-8") as source:
        skipped = json.load(source)
    trained = (len(open_split(config.data, "train"))
               - skipped["train"]["counts"].get("infeasible for CTC", 0))
    write_training_report(os.path.join(folder, "train.txt"), history, trained,
                          len(open_split(config.data, "validation")), config.training.batch_size)
    write_predictions(os.path.join(folder, "predict.txt"), report.references, system.hypotheses)
    write_evaluation_report(os.path.join(folder, "evaluate.txt"), report, system.name)
    report.save_json(os.path.join(folder, "report.json"))
    print(report.table())


@tells_errors
def main():
    """Pack, train, score; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--normalise", default="", metavar="A,B")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    arguments = parser.parse_intermixed_args()
    rules = parse_rules(arguments.normalise)
    config = read_experiment(CONFIG, arguments.overrides)
    status = pack(config.data.options["path"], config.preprocess.width, config.preprocess.height)
    resume = ["--resume"] if arguments.resume else []
    status = status or train([*arguments.overrides, *resume], arguments.minutes)
    if not status:
        score(config, rules)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
