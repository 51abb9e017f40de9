"""What several commands of ``lm`` share."""

import argparse
import json

__all__ = ["add_binary", "print_heldout", "print_json"]


def add_binary(parser):
    """Add what says which files are made of the model, and how."""
    parser.add_argument("--packed", action=argparse.BooleanOptionalAction,
                        help="write NAME.ngram (default: yes)")
    parser.add_argument("--build-binary", metavar="PATH",
                        help="KenLM's build_binary (default: on PATH)")
    parser.add_argument("--binary-type", choices=("trie", "probing", "none"),
                        help="kind of KenLM binary (default trie)")
    parser.add_argument("--quantise", type=int, metavar="BITS",
                        help="bits for each figure of NAME.ngram and of a trie, such as 8: "
                             "smaller files (default: whole figures)")


def print_heldout(metadata):
    """Print the report on held-out text that a model's metadata hold."""
    from ..scoring import PerplexityReport

    report = {key: value for key, value in metadata["heldout"].items() if key != "files"}
    print(f"held-out text: {PerplexityReport(**report)}")


def print_json(value):
    """Print a report as indented JSON."""
    print(json.dumps(value, ensure_ascii=False, indent=2))
