"""Report the perplexity of text files under an n-gram model, and the share of words that it does
not know.
"""

import os

from .common import print_json


def add_arguments(parser):
    parser.add_argument("model", metavar="MODEL", help="NAME, NAME.ngram, NAME.arpa or NAME.bin")
    parser.add_argument("text", nargs="+", metavar="TEXT", help="UTF-8 text, one sentence a line")
    parser.add_argument("--unit", choices=("word", "character", "wordform"),
                        help="for models that were not trained with lm train")
    parser.add_argument("--reserved", choices=("error", "skip"), default="error",
                        help="words such as <s> in the text: refuse (default), or leave out")
    parser.add_argument("--blank-lines", choices=("keep", "skip"), default="keep",
                        help="keep (default): a blank line is an empty sentence")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(arguments):
    from dataclasses import asdict

    from ..corpus import Corpus
    from ..ngram import load_ngram
    from ..scoring import perplexity

    model = load_ngram(arguments.model, unit=arguments.unit)
    texts = Corpus(arguments.text, model.unit, arguments.reserved, arguments.blank_lines,
                   normalise=model.normalise)
    report = perplexity(model, texts)
    if arguments.json:
        names = [os.path.basename(path) for path in arguments.text]
        print_json({"model": os.path.basename(model.path), "files": names, **asdict(report)})
    else:
        print(report)
