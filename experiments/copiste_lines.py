"""Train on French handwriting ("Copiste d'un jour"), with a language model, and evaluate.

    python experiments/copiste_lines.py [--resume] [key=value ...]

Two trainings: copiste_first.yaml, then copiste_lines.yaml from its best network. With --resume
a finished one is not repeated.
"""

import sys

from recipe import run_after

#: The trainings, in order: YAML file, folder.
TRAININGS = [(__file__.replace("_lines.py", "_first.yaml"), "runs/copiste/first"),
             (__file__.replace(".py", ".yaml"), "runs/copiste")]

if __name__ == "__main__":
    sys.exit(run_after(TRAININGS[:1], *TRAININGS[1], sys.argv[1:]))
