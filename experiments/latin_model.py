"""The Latin network: French and English hands, today's and old, from the French model on.

    python experiments/latin_model.py [--resume] [key=value ...]

Restores the shipped French model, writes texts, recombined lines and lines in fonts
(latin_lines.py), then trains in two parts (latin_first.yaml, latin_real.yaml), about 100 and 25
minutes of one core. Each step is left out where its result is there. What it has reached is kept
in experiments/checkpoints/latin.onnx; `ocr restore` makes a checkpoint of it. It does not ship yet.

Validation CER %, greedy (`cleaning: auto`): French model, after the first part, after the second:

    copiste    7.09   9.80   9.46
    poilus    40.73  27.56  26.12
    stanford  55.80  43.76  44.20
    csafe     19.61  19.02  18.66
"""

import os
import sys

import latin_lines
from recipe import train_in_turn

from ocr.cli.main import main as ocr

HERE = os.path.dirname(os.path.abspath(__file__))
TRAIN = "data/copiste/train.tsv"
#: Result -> what makes it.
STEPS = (
    ("runs/french.ckpt", lambda: ocr(["restore", "--model", "french", "--output",
                                      "runs/french.ckpt"])),
    ("runs/texts1.txt", lambda: latin_lines.main("texts", "runs/texts1.txt", "60000", "1")),
    ("runs/rec1/lines.tsv", lambda: ocr(
        ["recombine", "--checkpoint", "runs/french.ckpt", "--output", "runs/rec1", "--text",
         "runs/texts1.txt", "--lines", "6000", "--seed", "1", "data.source=table",
         f"data.train.path={TRAIN}"])),
    ("runs/fonts1/lines.tsv", lambda: latin_lines.main("fonts", "runs/fonts1", "10000", "1")),
)


def main(arguments):
    """Make the lines, train; returns the exit status."""
    for result, make in STEPS:
        if not os.path.exists(result) and (status := make()):
            return status
    return train_in_turn([(os.path.join(HERE, "latin_first.yaml"), "runs/latin/1"),
                          (os.path.join(HERE, "latin_real.yaml"), "runs/latin/2")], arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
