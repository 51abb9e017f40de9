"""Train on French handwriting ("Copiste d'un jour"), with a language model, and evaluate.

    python experiments/copiste_lines.py [--resume] [key=value ...]

Two trainings: the recipe copiste_first, then copiste from its best network. With --resume
a finished one is not repeated.
"""

import sys

from recipe import run_after

#: The trainings, in order: YAML file, folder.
TRAININGS = [("copiste_first", "runs/copiste/first"), ("copiste", "runs/copiste")]

if __name__ == "__main__":
    sys.exit(run_after(TRAININGS[:1], *TRAININGS[1], sys.argv[1:]))
