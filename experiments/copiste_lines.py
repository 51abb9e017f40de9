"""Train on French handwriting ("Copiste d'un jour"), with a language model, and evaluate.

    python experiments/copiste_lines.py [--resume] [key=value ...]

Two trainings: copiste_first.yaml, then copiste_lines.yaml from its best network. With --resume
a finished one is not repeated.
"""

import os
import sys

from recipe import run

from ocr.cli.main import main as ocr

FIRST = __file__.replace("_lines.py", "_first.yaml")
FIRST_RUN = "runs/copiste/first"


def main(arguments):
    """Train both parts, then what every recipe does; returns the exit status."""
    resume = "--resume" in arguments
    options = [a for a in arguments if a != "--resume" or os.path.exists(f"{FIRST_RUN}/last.ckpt")]
    if not (resume and os.path.exists("runs/copiste/last.ckpt")):
        if status := ocr(["train", "--config", FIRST, *options]):
            return status
        arguments = [a for a in arguments if a != "--resume"]
    return run(__file__.replace(".py", ".yaml"), arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
