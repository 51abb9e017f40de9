"""The French model: synthetic lines first, then Copiste's; stops and goes on with --resume.

    python experiments/french_text.py                      (general French text)
    python experiments/french_model.py [--resume] [key=value ...]

Writes runs/french; `experiments/copiste_lm.py` compares language models on it as on any other.
"""

import os
import sys

from recipe import run_after

from lm.denoising import write_corpus
from ocr.config import from_mapping, read_yaml
from ocr.exceptions import OCRError
from ocr.training import ExperimentConfig
from ocr.training.sources import make_alphabet, open_split

CONFIG = __file__.replace(".py", ".yaml")
SYNTHETIC = __file__.replace("_model.py", "_synthetic.yaml")
RUN, GENERAL = "runs/french", "runs/text-fr/text.txt"
#: Lines of general text besides the transcripts, and their lengths in characters.
LINES, SHORTEST, LONGEST = 6000, 20, 60


def pieces(path, characters):
    """Cut general text into lines as long as handwritten ones, leaving out foreign characters."""
    with open(path, encoding="utf-8") as source:
        sentences = source.read().splitlines()
    found = []
    for sentence in sentences[::max(1, len(sentences) // (2 * LINES))]:
        # Lengths vary with the sentence, so that lines do.
        wanted, line = SHORTEST + len(sentence) % (LONGEST - SHORTEST), ""
        for word in sentence.split():
            if len(line) + len(word) + 1 > wanted:
                break
            line = f"{line} {word}".strip()
        if len(line) >= SHORTEST and characters.issuperset(line):
            found.append(line)
    return found[:LINES]


def make_text():
    """Write the text of the synthetic lines: the training transcripts and general French."""
    path = os.path.join(RUN, "text.txt")
    if os.path.exists(path):
        return
    if not os.path.exists(GENERAL):
        sys.exit(f"error: {GENERAL} is missing; run experiments/french_text.py first")
    config = from_mapping(ExperimentConfig, read_yaml(CONFIG))
    lines = open_split(config.data, "train")
    characters = set(make_alphabet(config.alphabet, lines).characters)
    write_corpus(path, [*lines.texts(), *pieces(GENERAL, characters)])


def main(arguments):
    """Train both parts, then what every recipe does; returns the exit status."""
    os.makedirs(RUN, exist_ok=True)
    try:
        make_text()
    except OCRError as error:
        print(f"error: {error}")
        return 2
    # Overrides are for the second part.
    return run_after(SYNTHETIC, f"{RUN}/synthetic", CONFIG, RUN, arguments,
                     [a for a in arguments if a == "--resume"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
