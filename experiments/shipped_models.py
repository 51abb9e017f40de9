"""Make a model that comes with the library: language models, decoder, ONNX file, test figures.

    python experiments/shipped_models.py french|english [--checkpoint FILE] [--budget MINUTES]

Writes ocr/weights/NAME.onnx and the language models of its decoder in ocr/weights/NAME, the
report of the exported file in runs/ship/NAME. The trainings come first: french_model.py (and
french_text.py, for word frequencies), english_lm.py.
"""

import argparse
import os
import subprocess
import sys
from itertools import islice

from chains import Models, step

from lm import SPACE_TOKEN, load_ngram, pack_arpa
from lm.base.files import atomic_path
from lm.denoising import write_corpus
from ocr.checkpoints.checkpoint import load_checkpoint
from ocr.checkpoints.settings import read_experiment
from ocr.training.sources import open_split

WEIGHTS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "ocr",
                       "weights")
#: Settings of the recogniser, its run.
RECOGNISERS = {"french": ("french_first", "runs/french"),
               "english": ("english", "runs/english")}
#: How the weights are stored: all that is shipped is to stay under 20 MB.
PRECISION = {"french": ["--half"], "english": ["--int8", "--calibrate", "64"]}
#: Figures of the n-grams are kept with this many bits.
BITS = 8
#: Most frequent French words that the model of word forms knows, besides the transcripts'.
FRENCH_WORDS, WORDS = 125_000, "runs/text-fr/words.tsv"


def french_models(models, data):
    """Characters and word forms of the training transcripts and of word frequencies."""
    own, words, sampled = (models.path(n) for n in ("train.txt", "words.tsv", "sampled.txt"))
    write_corpus(own, open_split(data, "train").texts())
    if not os.path.exists(WORDS):
        sys.exit(f"error: {WORDS} is missing; run experiments/french_text.py first")
    with open(WORDS, encoding="utf-8") as source, atomic_path(words) as path, \
            open(path, "w", encoding="utf-8") as out:
        out.writelines(islice(source, FRENCH_WORDS))
    if not os.path.exists(sampled):
        step("lm", "sample", WORDS, "--output", sampled)
    models.mix("characters", [
        models.train("characters-own", "character", 6, own),
        models.train("characters-words", "character", 6, sampled, "--prune", "0", "0", "0", "1"),
    ])
    models.mix("wordforms", [models.train("wordforms-own", "wordform", 3, own), words])


def english_models(models, data):
    """Characters and word forms of the text that the training lines were drawn from."""
    corpus = data.train["text_file"]
    models.train("characters", "character", 6, corpus)
    models.train("wordforms", "wordform", 3, corpus)


def main():
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(RECOGNISERS))
    parser.add_argument("--checkpoint", metavar="FILE", help="default: best.ckpt of its run")
    parser.add_argument("--budget", type=float, default=8.0, metavar="MINUTES",
                        help="of tuning the decoder (default: 8)")
    arguments = parser.parse_args()
    name = arguments.name
    config, run = RECOGNISERS[name]
    checkpoint = arguments.checkpoint or f"{run}/best.ckpt"
    if not os.path.exists(checkpoint):
        sys.exit(f"error: {checkpoint} is missing; train it first")
    data = read_experiment(config).data
    models = Models(f"runs/ship/{name}", f"runs/ship/{name}/valid.txt")
    write_corpus(models.heldout, open_split(data, "validation").texts())
    {"french": french_models, "english": english_models}[name](models, data)
    folder = os.path.join(WEIGHTS, name)
    os.makedirs(folder, exist_ok=True)
    alphabet = load_checkpoint(checkpoint).alphabet
    tokens = [SPACE_TOKEN if c.isspace() else c for c in alphabet.characters]
    for model in ("characters", "wordforms"):
        stored = load_ngram(models.path(model))
        keep = tokens if stored.unit == "character" else None
        pack_arpa(stored.arpa, BITS, keep, stored.metadata).save(
            os.path.join(folder, f"{model}.ngram"))
    decoder = models.path("decoder.json")
    step("ocr", "tune", "--checkpoint", checkpoint, "--decoder", "beam-char",
         "--lm", os.path.join(folder, "characters"), "--words", os.path.join(folder, "wordforms"),
         "--budget", str(arguments.budget), "--output", decoder)
    exported = os.path.join(WEIGHTS, f"{name}.onnx")
    step("ocr", "export", checkpoint, "--onnx", exported, *PRECISION[name], "--decoder", decoder)
    step("ocr", "evaluate", "--checkpoint", exported, "--config", config,
         "--decoders", "greedy,beam-char", "--calibration", "--output", models.path("report"))


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
