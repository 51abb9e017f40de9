"""Language packs: n-grams of characters and of word forms from running text, French or English.

    python experiments/language_packs.py french|english [FOLDER]

The text (data/text: today's and the nineteenth century's) is cut into pieces as long as
handwritten lines, since a line begins and ends within sentences; French has the training
transcripts besides, three times, for they are what is read. Rare n-grams are dropped, figures kept
with 8 bits. Writes FOLDER/characters.ngram and FOLDER/wordforms.ngram (runs/packs/NAME by default).
KenLM's lmplz must be on PATH (make test-tools).
"""

import os
import random
import re
import sys

from recipe import tells_errors

from lm import NgramConfig, train_ngram
from lm.base.errors import MissingDataError
from lm.base.files import read_text, write_text
from lm.normalisation import Normaliser
from ocr.data import open_dataset

TEXT, LINES = "data/text", "data"
#: Files of running text of each language, and tables of training lines.
SOURCES = {
    "french": (("french_modern", "french_old"),
               ("copiste", "poilus", "french_old/mss19", "french_old/mss20", "french_old/peraire",
                "french_old/celestine", "french_old/repertoires", "french_old/timeus")),
    "english": (("english_modern", "english_old"), ()),
}
#: How often the transcripts count, and the lengths of pieces: mean, spread, least.
TIMES, MEAN, SPREAD, LEAST = 3, 46, 16, 8
#: Unit -> (order, n-grams that occur at most so often are dropped, by order).
MODELS = {"characters": ("character", 6, (0, 0, 0, 2, 4, 8)),
          "wordforms": ("wordform", 3, (0, 2, 4))}


def pieces(text, rng):
    """Yield a sentence in pieces of whole words, as long as lines are."""
    piece, limit = "", max(LEAST, rng.gauss(MEAN, SPREAD))
    for word in text.split():
        if piece and len(piece) + 1 + len(word) > limit:
            yield piece
            piece, limit = "", max(LEAST, rng.gauss(MEAN, SPREAD))
        piece = f"{piece} {word}" if piece else word
    if piece:
        yield piece


def corpus(name):
    """Return the lines that a pack is trained on."""
    files, tables = SOURCES[name]
    tidy, rng, lines = Normaliser(["quotes"]), random.Random(1), []
    for file in files:
        path = f"{TEXT}/{file}.txt"
        content = read_text(path, MissingDataError(f"{path}: no such text"))
        for sentence in content.split("\n"):
            # Characters that could not be decoded when the text was gathered.
            if "\ufffd" not in sentence:
                lines += pieces(re.sub("[\u2018\u2019]", "'", tidy(sentence)), rng)
    own = [tidy(text) for table in tables
           for text in open_dataset("table", path=f"{LINES}/{table}/train.tsv").texts()]
    return lines + TIMES * own


@tells_errors
def main(name, folder=None):
    """Write one pack; returns the exit status."""
    if name not in SOURCES:
        raise MissingDataError(f"unknown pack {name!r}; known: {', '.join(SOURCES)}")
    folder = folder or f"runs/packs/{name}"
    text = os.path.join(folder, "lines.txt")
    write_text(text, "\n".join(corpus(name)) + "\n")
    for model, (unit, order, prune) in MODELS.items():
        train_ngram(NgramConfig(
            corpus=(text,), output=os.path.join(folder, model), order=order, unit=unit,
            prune=prune, quantise=8, binary_type="none", memory="2G"))
        packed = os.path.join(folder, f"{model}.ngram")
        print(f"{packed}: {os.path.getsize(packed) / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
