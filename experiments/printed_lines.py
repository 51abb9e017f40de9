"""Train DenseNet on printed lines labelled by an index file, then read the test file's.

    python experiments/printed_lines.py [--font FILE] [--resume] [key=value ...]

Writes runs/printed/alphabet.txt, with as many outputs as the character file has rows, and divides
the rows of data_train.txt: the last HELD_OUT choose the checkpoint, the others are trained on.
The test file's rows choose nothing. A font with the characters, for the pictures: --font.
"""

import os
import sys

from reader import run
from recipe import tells_errors

from lm.base.files import write_text
from ocr.checkpoints.settings import read_experiment
from ocr.data.index_file import read_characters, write_alphabet

CONFIG = "printed"
HELD_OUT = 20


def prepare(config):
    """Write the alphabet and the two parts of the training rows where the settings name them."""
    options = config.data.options
    characters = read_characters(options["characters"])
    write_alphabet(characters, config.alphabet, outputs=len(characters))
    source = os.path.join(os.path.dirname(options["characters"]), "data_train.txt")
    try:
        with open(source, encoding="utf-8") as stream:
            rows = [f"{' '.join(row.split())}\n" for row in stream if row.strip()]
    except OSError as error:
        sys.exit(f"error: {source}: cannot be read ({error.strerror})")
    write_text(config.data.train["path"], "".join(rows[:-HELD_OUT]))
    write_text(config.data.validation["path"], "".join(rows[-HELD_OUT:]))


@tells_errors
def main(arguments):
    """Prepare, train, read the test and the training rows; returns the exit status."""
    font = None
    if arguments[:1] == ["--font"]:
        font, arguments = arguments[1], arguments[2:]
    prepare(read_experiment(CONFIG))
    return run(CONFIG, arguments, ["test", "validation", "train"], shown=30 if font else 0,
               font=font)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
