"""The French model: from copiste_lines.py's network, frames half as wide; goes on with --resume.

    python experiments/french_model.py [--resume] [key=value ...]

Writes runs/french. The two trainings of copiste_lines.py come first; with --resume those that are
finished are not repeated. `shipped_models.py` makes the model that comes with the library of it.
"""

import sys

from copiste_lines import TRAININGS
from recipe import run_after

if __name__ == "__main__":
    sys.exit(run_after(TRAININGS, __file__.replace(".py", ".yaml"), "runs/french", sys.argv[1:]))
