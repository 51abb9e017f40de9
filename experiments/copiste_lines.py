"""Train on French handwriting ("Copiste d'un jour"), with a language model, and evaluate.

    python experiments/copiste_lines.py [--resume] [key=value ...]
"""

import sys

from recipe import run

if __name__ == "__main__":
    sys.exit(run(__file__.replace(".py", ".yaml"), sys.argv[1:]))
