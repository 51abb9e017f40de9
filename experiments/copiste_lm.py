"""Language models for Copiste: train, mix, tune on valid, compare every part on test.

    python experiments/french_text.py        (once; general French text and word frequencies)
    python experiments/copiste_lines.py      (the recogniser, in runs/copiste)
    python experiments/copiste_lm.py [--pairs FOLDER] [--only-models]

Models go to runs/copiste/lm, tuned settings beside the checkpoint, the table to
runs/copiste/report-lm. What is already there is not made again. --pairs names the folder of
`ocr denoise-data --folds` and the denoiser trained on it, for the correctors that learn from
the recogniser's own errors.
"""

import argparse
import os
import subprocess
import sys

from lm.denoising import write_corpus
from ocr.config import from_mapping, read_yaml
from ocr.training import ExperimentConfig
from ocr.training.sources import open_split

CONFIG = os.path.join(os.path.dirname(os.path.abspath(__file__)), "copiste_lines.yaml")
RUN, GENERAL = "runs/copiste", "runs/text-fr"
CHECKPOINT, MODELS = f"{RUN}/best.ckpt", f"{RUN}/lm"

#: Pipelines to tune and score: name in the table -> (pipeline, options).
CHAINS = {
    "beam-lm": ("beam-lm", ["--lm", f"{MODELS}/words"]),
    "beam-char": ("beam-char", ["--lm", f"{MODELS}/characters",
                                "--words", f"{MODELS}/wordforms"]),
}


def step(module, *arguments):
    """Run one command of the library."""
    print(f"\n$ {module} {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)


def train(name, unit, order, corpus, *options):
    """Train an n-gram unless it is there."""
    output = f"{MODELS}/{name}"
    if not os.path.exists(f"{output}.json"):
        step("lm", "train", corpus, "--unit", unit, "--order", str(order), "--output", output,
             "--reserved", "skip", *options)
    return output


def mix(name, models):
    """Interpolate models with weights found on the validation transcripts, unless it is there."""
    output = f"{MODELS}/{name}"
    if not os.path.exists(f"{output}.json"):
        step("lm", "mix", *models, "--heldout", f"{MODELS}/valid.txt", "--output", output)


def make_models(data):
    """Train the models of characters, words and word forms: in-domain, general, mixed."""
    os.makedirs(MODELS, exist_ok=True)
    for split, name in (("train", "train"), ("validation", "valid")):
        write_corpus(f"{MODELS}/{name}.txt", open_split(data, split).texts())
    own, general, words = f"{MODELS}/train.txt", f"{GENERAL}/text.txt", f"{GENERAL}/words.tsv"
    if not os.path.exists(f"{MODELS}/sampled.txt"):
        step("lm", "sample", words, "--output", f"{MODELS}/sampled.txt")
    mix("characters", [train("characters-own", "character", 6, own),
                       train("characters-general", "character", 6, general, "--prune", "0", "0",
                             "0", "1"),
                       train("characters-words", "character", 6, f"{MODELS}/sampled.txt",
                             "--prune", "0", "0", "0", "1")])
    mix("wordforms", [train("wordforms-own", "wordform", 3, own),
                      train("wordforms-general", "wordform", 3, general), words])
    mix("words", [train("words-own", "word", 3, own),
                  train("words-general", "word", 3, general, "--prune", "0", "0", "1")])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", metavar="FOLDER")
    parser.add_argument("--only-models", action="store_true")
    arguments = parser.parse_args()
    for path, maker in ((f"{GENERAL}/words.tsv", "french_text.py"),
                        (CHECKPOINT, "copiste_lines.py")):
        if not os.path.exists(path):
            sys.exit(f"error: {path} is missing; run experiments/{maker} first")
    data = from_mapping(ExperimentConfig, read_yaml(CONFIG)).data
    make_models(data)
    if arguments.only_models:
        return


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
