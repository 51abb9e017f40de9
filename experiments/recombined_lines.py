"""Write recombined lines for the French model: new texts in the ink of the training lines.

    python experiments/recombined_lines.py CHECKPOINT FOLDER [LINES [SEED]]

The texts keep the shape of a training transcript (capitals, punctuation, short words); seven of
ten longer words are others, drawn from runs/text-fr/words.tsv (see french_text.py), the rarer
ones more often than they occur, and so are the numbers. CHECKPOINT finds the characters in the
training lines. Writes FOLDER/texts.txt, FOLDER/lines/ and the table FOLDER/lines.tsv.
"""

import os
import re
import sys

import numpy as np
from recipe import tells_errors

from lm.base.errors import MissingDataError
from lm.base.files import read_text, write_text
from ocr.cli.main import main as ocr
from ocr.data import open_dataset

TRAIN = "data/copiste/train.tsv"
WORDS = "runs/text-fr/words.tsv"
#: Texts made, of which the lines take theirs.
TEXTS = 40000
#: Share of the words that are replaced, the shortest of them, and how many of the most frequent
#: words may take their places.
SHARE, SHORTEST, MOST = 0.7, 4, 60000


def _words(path):
    """Return the words, and the sums of their weights, rarer ones more often than they are."""
    text = read_text(path, MissingDataError(f"{path}: not there; run experiments/french_text.py"))
    rows = [line.split("\t") for line in text.splitlines()[:MOST]]
    rows = [(word, float(count)) for word, count in rows
            if word.isalpha() and len(word) >= SHORTEST - 1]
    weights = np.array([count for _, count in rows]) ** 0.7
    return [word for word, _ in rows], np.cumsum(weights) / weights.sum()


def french_texts(seed):
    """Return `TEXTS` made-up lines, which follow from the seed."""
    transcripts = open_dataset("table", path=TRAIN).texts()
    words, sums = _words(WORDS)
    rng = np.random.default_rng(seed)

    def other(match):
        old = match.group()
        if rng.uniform() >= SHARE or len(old) < SHORTEST and not old.isdigit():
            return old
        if old.isdigit():
            return "".join(str(rng.integers(10)) for _ in old)
        new = words[int(np.searchsorted(sums, rng.uniform()))]
        return new.upper() if old.isupper() and len(old) > 1 else \
            new[0].upper() + new[1:] if old[0].isupper() else new

    return [re.sub(r"\d+|[^\W\d_]+", other, transcripts[int(rng.integers(len(transcripts)))])
            for _ in range(TEXTS)]


@tells_errors
def main(checkpoint, folder, lines="7000", seed="1"):
    """Write texts and lines; returns the exit status."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "texts.txt")
    write_text(path, "\n".join(french_texts(int(seed))) + "\n")
    return ocr(["recombine", "--output", folder, "--checkpoint", checkpoint, "--text", path,
                "--lines", lines, "--seed", seed, f"data.train.path={TRAIN}"])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
