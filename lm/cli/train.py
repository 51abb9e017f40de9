"""Train an n-gram model (interpolated modified Kneser-Ney) and write NAME.arpa, NAME.ngram (packed:
what reads lines with it takes this), NAME.unigrams.txt, NAME.json and, where KenLM's build_binary
is found, NAME.bin (for the decoder beam-lm).
"""

import argparse

from ..base.command import settings_of
from ..normalisation import RULES, parse_rules
from .common import add_binary, print_heldout, print_json


def _settings():
    from ..training import NgramConfig

    return NgramConfig


def add_arguments(parser):
    parser.takes(_settings)
    parser.add_argument("corpus", nargs="*", metavar="CORPUS",
                        help="UTF-8 text, one sentence a line")
    parser.add_argument("--output", metavar="NAME", help="path of the model, without ending")
    parser.add_argument("--order", type=int, metavar="N", help="highest order (default 3)")
    parser.add_argument("--unit", choices=("word", "character", "wordform"),
                        help="default: word (split at spaces); wordform: runs of letters and "
                             "digits, in lower case and with every digit 0")
    parser.add_argument("--heldout", nargs="+", metavar="FILE",
                        help="text to report perplexity and unknown words of")
    parser.add_argument("--estimator", choices=("auto", "lmplz", "builtin"),
                        help="auto (default): lmplz where it is found, else builtin; both give "
                             "the same figures")
    parser.add_argument("--lmplz", metavar="PATH", help="KenLM's lmplz (default: on PATH)")
    add_binary(parser)
    parser.add_argument("--discount-fallback", action=argparse.BooleanOptionalAction,
                        help="fixed discounts where the corpus is too small for its own "
                             "(default: yes)")
    parser.add_argument("--fallback-discounts", nargs=3, type=float, metavar=("D1", "D2", "D3"),
                        help="default: 0.5 1 1.5")
    parser.add_argument("--prune", nargs="+", type=int, metavar="COUNT",
                        help="drop n-grams seen at most this often, for each order; the first "
                             "must be 0, the last holds for the orders that follow")
    parser.add_argument("--interpolate-unigrams", action=argparse.BooleanOptionalAction,
                        help="as lmplz does by default (default: yes)")
    parser.add_argument("--reserved", choices=("error", "skip"),
                        help="words such as <s> in the text: refuse (default), or leave out and "
                             "count")
    parser.add_argument("--blank-lines", choices=("keep", "skip"),
                        help="keep (default): a blank line is an empty sentence, as for lmplz")
    parser.add_argument("--normalise", metavar="RULES",
                        type=parse_rules,
                        help=f"rules for the text, with commas: {', '.join(RULES)} "
                             "(default: none)")
    parser.add_argument("--memory", metavar="SIZE", help="sorting memory of lmplz (default 1G)")
    parser.add_argument("--json", action="store_true", help="print the model's metadata as JSON")


def run(arguments):
    from ..training import train_ngram

    model = train_ngram(settings_of(arguments, _settings()))
    metadata = model.metadata
    if arguments.json:
        print_json(metadata)
        return
    corpus = metadata["corpus"]
    print(f"{model.path}: order {model.order}, {model.unit}s, {metadata['estimator']} estimator")
    print(f"corpus: {corpus['sentences']:,} sentences, {corpus['tokens']:,} tokens, "
          f"{corpus['types']:,} types"
          + (f", {corpus['skipped_tokens']:,} skipped" if corpus["skipped_tokens"] else ""))
    print("n-grams: " + ", ".join(f"{count:,}" for count in metadata["ngrams"]))
    if metadata["fallback_orders"]:
        orders = ", ".join(map(str, metadata["fallback_orders"]))
        print(f"fallback discounts for order {orders}")
    if "heldout" in metadata:
        print_heldout(metadata)
