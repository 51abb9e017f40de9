"""Train on IAM lines, train a language model on the training transcripts, tune, evaluate.

    python experiments/iam_lines.py data.options.root=FOLDER [key=value ...]

Without IAM, `ocr synth FOLDER` writes a folder of the same format. Write your own
experiment like this one: a YAML file and the call below.
"""

import sys

from recipe import run

if __name__ == "__main__":
    sys.exit(run("iam", sys.argv[1:]))
