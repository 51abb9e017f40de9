"""Language models for English: a recogniser of synthetic lines, models of other text, all chains.

    python experiments/english_lm.py [--budget MINUTES]

Trains the recogniser of the recipe english in runs/english, n-grams of characters, words and
word forms on state_union.txt, tunes every chain on the validation lines and scores it on the
test lines, both of another text (inaugural.txt). What is already there is not made again.
"""

import argparse
import os
import subprocess
import sys

from chains import Models, compare, step

from lm.denoising import write_corpus
from ocr.checkpoints.settings import read_experiment
from ocr.training.sources import open_split

CONFIG = "english"
RUN = "runs/english"
CHECKPOINT = f"{RUN}/best.ckpt"


def main():
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=3.0, metavar="MINUTES",
                        help="of tuning, for each chain (default: 3)")
    arguments = parser.parse_args()
    data = read_experiment(CONFIG).data
    corpus = data.train["text_file"]
    if not os.path.exists(corpus):
        sys.exit(f"error: {corpus} is missing")
    if not os.path.exists(f"{RUN}/finished"):
        resume = ["--resume"] if os.path.exists(f"{RUN}/last.ckpt") else []
        step("ocr", "train", "--config", CONFIG, *resume)
        open(f"{RUN}/finished", "w", encoding="utf-8").close()
    models = Models(f"{RUN}/lm", f"{RUN}/lm/valid.txt")
    write_corpus(models.heldout, open_split(data, "validation").texts())
    characters = ["--lm", models.train("characters", "character", 6, corpus)]
    forms = ["--words", models.train("wordforms", "wordform", 3, corpus)]
    words = ["--lm", models.train("words", "word", 3, corpus)]
    spelling = ["--set", f"spelling.lexicon=[{corpus}]",
                "--set", f"spelling.lm={models.path('wordforms')}"]
    compare(CHECKPOINT, {
        "words": ("beam-lm", words),
        "characters": ("beam-char", characters),
        "word forms alone": ("beam-char", forms),
        "characters + word forms": ("beam-char", characters + forms),
        "rescored by characters": ("beam+char-rescore", [
            "--set", f"char-rescore.lm={models.path('characters')}"]),
        "greedy + spelling": ("greedy+spelling", spelling),
        "characters + word forms + spelling": ("beam-char+spelling",
                                               characters + forms + spelling),
    }, f"{RUN}/chains", arguments.budget)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
