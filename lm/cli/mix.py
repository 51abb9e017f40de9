"""Interpolate n-gram models linearly and write the mixture as one model: NAME.arpa,
NAME.ngram, NAME.unigrams.txt, NAME.json and, where KenLM's build_binary is found, NAME.bin.
Weights are equal unless given or found on held-out text.
"""

from ..base.command import settings_of
from .common import add_binary, print_heldout, print_json


def _settings():
    from ..interpolation import InterpolationConfig

    return InterpolationConfig


def add_arguments(parser):
    parser.takes(_settings)
    parser.add_argument("models", nargs="*", metavar="MODEL",
                        help="NAME or NAME.arpa of a model, whose ARPA file is needed, or a list "
                             "WORDS.tsv of a word, a tab and its frequency a line")
    parser.add_argument("--output", metavar="NAME",
                        help="path of the mixture, without ending")
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument("--weights", nargs="+", type=float, metavar="W",
                         help="one for each model, 0 or more; they need not add up to 1")
    weights.add_argument("--heldout", nargs="+", metavar="FILE",
                         help="text on which to find the weights (by EM)")
    parser.add_argument("--unit", choices=("word", "character", "wordform"),
                        help="for models that were not trained with lm train")
    parser.add_argument("--reserved", choices=("error", "skip"),
                        help="words such as <s> in held-out text: refuse (default), or leave out")
    parser.add_argument("--blank-lines", choices=("keep", "skip"),
                        help="keep (default): a blank line is an empty sentence")
    add_binary(parser)
    parser.add_argument("--json", action="store_true", help="print the model's metadata as JSON")


def run(arguments):
    from ..interpolation import interpolate

    model = interpolate(settings_of(arguments, _settings()))
    metadata = model.metadata
    if arguments.json:
        print_json(metadata)
        return
    print(f"{model.path}: order {model.order}, {model.unit}s, "
          f"{len(metadata['components'])} components")
    for part in metadata["components"]:
        print(f"weight {part['weight']:.4f}: {part['name']}, {sum(part['ngrams']):,} n-grams"
              + (f", {part['left_out']:,} rows or n-grams left out" if part["left_out"] else ""))
    print("n-grams: " + ", ".join(f"{count:,}" for count in metadata["ngrams"]))
    if "em" in metadata:
        em = metadata["em"]
        print(f"weights found on {em['tokens']:,} tokens, {em['unknown']:,} unknown to all left "
              f"out: perplexity {em['perplexity']:.2f}")
        print_heldout(metadata)
