"""What packed n-grams of characters and of word forms cost and give: size and perplexity, a table.

    python experiments/ngram_sizes.py --heldout HELD TEXT [TEXT ...] --output FOLDER

Each row is a model of `lm train` at one pruning, packed with 8 bits a figure; models of word forms
keep the words that come at least so often. KenLM's lmplz is taken where it is on PATH; models that
are there are not trained again.
"""

import argparse
import os
from collections import Counter

from lm import NgramConfig, load_ngram, pack_arpa, perplexity, train_ngram
from lm.corpus import Corpus
from lm.scoring import PerplexityReport

#: Order and pruning of models of characters, of word forms.
CHARACTERS = ((5, (0, 0, 1, 3, 8)), (6, (0, 0, 2, 8, 20, 40)), (6, (0, 0, 1, 4, 8, 16)),
              (6, (0, 0, 1, 2, 4, 8)), (7, (0, 0, 1, 4, 8, 16, 32)))
WORDS = ((2, (0, 2)), (2, (0, 5)), (3, (0, 2, 5)))
#: Least counts of the words that are kept.
LEAST = (3, 6)


def trained(arguments, unit, order, prune):
    """Return a model, trained unless it is there."""
    name = os.path.join(arguments.output, f"{unit}-{order}-{'-'.join(map(str, prune))}")
    if not os.path.exists(name + ".json"):
        train_ngram(NgramConfig(tuple(arguments.text), name, order, unit, prune=prune, quantise=8,
                                reserved="skip", binary_type="none"))
    return load_ngram(name)


def row(arguments, what, path, model):
    """Print the size and the perplexity of a packed model."""
    report: PerplexityReport = perplexity(model, Corpus(
        arguments.heldout, model.unit, "skip", normalise=model.normalise))
    counts = model.packed.arrays["starts"]
    print(f"{what:44} {os.path.getsize(path) / 1e6:6.2f} MB  {int(counts[-1]) - 1:9,} n-grams  "
          f"perplexity {report.perplexity_without_oov:8.3f}  unknown {report.oov_rate:.2%}",
          flush=True)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="+", metavar="TEXT")
    parser.add_argument("--heldout", required=True)
    parser.add_argument("--output", required=True, metavar="FOLDER")
    arguments = parser.parse_args()
    for order, prune in CHARACTERS:
        model = trained(arguments, "character", order, prune)
        row(arguments, f"characters, order {order}, prune {' '.join(map(str, prune))}", model.path,
            model)
    counts = Counter(word for sentence in Corpus(arguments.text, "wordform", "skip")
                     for word in sentence)
    for order, prune in WORDS:
        whole = trained(arguments, "wordform", order, prune)
        for least in LEAST:
            path = f"{whole.path.removesuffix('.ngram')}-{least}.ngram"
            if not os.path.exists(path):
                pack_arpa(whole.arpa, 8, [w for w, n in counts.items() if n >= least],
                          whole.metadata).save(path)
            row(arguments, f"word forms, order {order}, prune {' '.join(map(str, prune))}, words "
                f"of {least}+", path, load_ngram(path))


if __name__ == "__main__":
    main()
