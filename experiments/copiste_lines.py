"""Train on French handwriting ("Copiste d'un jour"), with a language model, and evaluate.

    python experiments/copiste_lines.py [--resume] [key=value ...]

Two trainings: copiste_first.yaml, then copiste_lines.yaml from its best network. With --resume
a finished one is not repeated.
"""

import sys

from recipe import run_after

if __name__ == "__main__":
    sys.exit(run_after(__file__.replace("_lines.py", "_first.yaml"), "runs/copiste/first",
                       __file__.replace(".py", ".yaml"), "runs/copiste", sys.argv[1:],
                       sys.argv[1:]))
