"""Language models for Copiste: train, mix, tune on valid, compare every part on test.

    python experiments/copiste_lines.py      (the recogniser, in runs/copiste)
    python experiments/french_text.py        (general French text and word frequencies)
    python experiments/copiste_lm.py [--budget MINUTES] [--folds FOLDER] [--only-models]

Models go to runs/copiste/lm, tuned settings and the report to runs/copiste/chains. What is
already there is not made again. --folds names a folder of `ocr denoise-data --folds`: with
it the speller learns its costs from the recogniser's own errors, and the denoiser of
FOLDER/denoiser (`ocr denoise-train`), if there is one, joins the comparison.
"""

import argparse
import os
import subprocess
import sys

from chains import Models, compare, step

from lm.denoising import write_corpus
from ocr.checkpoints.settings import read_experiment
from ocr.training.sources import open_split

CONFIG = "copiste"
RUN, GENERAL = "runs/copiste", "runs/text-fr"
CHECKPOINT = f"{RUN}/best.ckpt"


def make_models(folder):
    """Train the models of characters, words and word forms: the transcripts' own, and mixed."""
    models = Models(folder, f"{folder}/valid.txt")
    data = read_experiment(CONFIG).data
    for split, name in (("train", "train"), ("validation", "valid")):
        write_corpus(f"{folder}/{name}.txt", open_split(data, split).texts())
    own, general, words = f"{folder}/train.txt", f"{GENERAL}/text.txt", f"{GENERAL}/words.tsv"
    sampled = f"{folder}/sampled.txt"
    if not os.path.exists(sampled):
        step("lm", "sample", words, "--output", sampled)
    prune = ("--prune", "0", "0", "0", "1")
    models.mix("characters", [
        models.train("characters-own", "character", 6, own),
        models.train("characters-general", "character", 6, general, *prune),
        models.train("characters-words", "character", 6, sampled, *prune)])
    models.mix("wordforms", [
        models.train("wordforms-own", "wordform", 3, own),
        models.train("wordforms-general", "wordform", 3, general), words])
    models.mix("words", [
        models.train("words-own", "word", 3, own),
        models.train("words-general", "word", 3, general, "--prune", "0", "0", "1")])
    return models


def make_chains(models, folds):
    """Return the chains to compare; each part alone, then together."""
    path = models.path
    characters, forms = ["--lm", path("characters")], ["--words", path("wordforms")]
    spelling = ["--set", f"spelling.lexicon=[{GENERAL}/words.tsv, {path('train.txt')}]",
                "--set", f"spelling.lm={path('wordforms')}"]
    if folds:
        confusions = os.path.join(folds, "confusions.json")
        if not os.path.exists(confusions):
            step("lm", "confusions", os.path.join(folds, "train.jsonl"), "--output", confusions)
        spelling += ["--set", f"spelling.confusions={confusions}"]
    chains = {
        "words, own text": ("beam-lm", ["--lm", path("words-own")]),
        "words, mixed": ("beam-lm", ["--lm", path("words")]),
        "characters, own text": ("beam-char", ["--lm", path("characters-own")]),
        "characters, mixed": ("beam-char", characters),
        "word forms alone": ("beam-char", forms),
        "characters + word forms": ("beam-char", characters + forms),
        "rescored by characters": ("beam+char-rescore",
                                   ["--set", f"char-rescore.lm={path('characters')}"]),
        "rescored by both": ("beam+char-rescore+word-rescore", [
            "--set", f"char-rescore.lm={path('characters')}",
            "--set", f"word-rescore.lm={path('wordforms')}"]),
        "greedy + spelling": ("greedy+spelling", spelling),
        "characters + word forms + spelling": ("beam-char+spelling",
                                               characters + forms + spelling),
    }
    denoiser = folds and os.path.join(folds, "denoiser", "best.ckpt")
    if denoiser and os.path.exists(denoiser):
        denoise = ["--set", f"denoise.model={denoiser}"]
        chains["greedy + denoise"] = ("greedy+denoise", denoise)
        chains["characters + word forms + denoise"] = ("beam-char+denoise",
                                                       characters + forms + denoise)
    return chains


def main():
    """Run what is asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", metavar="FOLDER")
    parser.add_argument("--budget", type=float, default=4.0, metavar="MINUTES",
                        help="of tuning, for each chain (default: 4)")
    parser.add_argument("--only-models", action="store_true")
    arguments = parser.parse_args()
    for path, maker in ((f"{GENERAL}/words.tsv", "french_text.py"),
                        (CHECKPOINT, "copiste_lines.py")):
        if not os.path.exists(path):
            sys.exit(f"error: {path} is missing; run experiments/{maker} first")
    models = make_models(f"{RUN}/lm")
    if not arguments.only_models:
        compare(CHECKPOINT, make_chains(models, arguments.folds), f"{RUN}/chains",
                arguments.budget)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
