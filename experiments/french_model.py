"""The French model: frames half as wide, then recombined lines; the average of three trainings.

    python experiments/french_model.py [--resume] [key=value ...]

The two trainings of copiste_lines.py come first, then french_first.yaml, then french_model.yaml
twice. Writes runs/french/best.ckpt and scores it, and the three that it is the average of, on the
validation split. Needs runs/text-fr/words.tsv (french_text.py). With --resume what is finished is
not repeated. `shipped_models.py` makes the model that comes with the library of it.
"""

import os
import sys

import recombined_lines
from copiste_lines import TRAININGS
from recipe import goes_on, train_in_turn

from ocr.cli.main import main as ocr

FIRST, SECOND = (__file__.replace("_model.py", ending) for ending in ("_first.yaml", "_model.yaml"))
FOLDER = "runs/french"
#: Recombined lines of each of the two trainings.
LINES = "7000"


def main(arguments):
    """Train, average, score; returns the exit status."""
    first = f"{FOLDER}/first"
    if not goes_on(f"{FOLDER}/1", arguments):
        if status := train_in_turn([*TRAININGS, (FIRST, first)], arguments):
            return status
    trained = [f"{first}/best.ckpt"]
    for number in "12":
        lines = f"runs/recombined{number}"
        if not os.path.exists(f"{lines}/lines.tsv"):
            if status := recombined_lines.main(f"{first}/best.ckpt", lines, LINES, number):
                return status
        output = f"{FOLDER}/{number}"
        own = [f"output={output}", f"training.seed={number}",
               f"data.train.path=[{recombined_lines.TRAIN},{lines}/lines.tsv]"]
        if status := train_in_turn([(SECOND, output)], [*own, *arguments]):
            return status
        trained.append(f"{output}/best.ckpt")
    average = f"{FOLDER}/best.ckpt"
    if status := ocr(["average", *trained, "--output", average]):
        return status
    for checkpoint in (*trained, average):
        print(checkpoint, flush=True)
        if status := ocr(["evaluate", "--checkpoint", checkpoint, "--split", "validation",
                          "--decoders", "greedy"]):
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
