"""The ``lm`` command: ``lm train``, ``lm perplexity``, ``lm mix``, ``lm sample`` and
``lm confusions``."""

import argparse
import json
import os
import sys

from .base.errors import ConfigError, OCRError

__all__ = ["main"]


class _UsageError(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    """argparse whose errors are one line."""

    def error(self, message):
        raise _UsageError(f"{message} (see: {self.prog} --help)")


def _add_binary(parser):
    """Add what says how a KenLM binary is made."""
    parser.add_argument("--build-binary", metavar="PATH",
                        help="KenLM's build_binary (default: on PATH)")
    parser.add_argument("--binary-type", choices=("trie", "probing", "none"),
                        help="kind of KenLM binary (default trie)")
    parser.add_argument("--quantise", type=int, metavar="BITS",
                        help="bits for each figure of a trie, such as 8: a smaller file "
                             "(default: whole figures)")


def _train_parser(commands):
    # Defaults live in NgramConfig: an option that is not given must not hide the YAML file's.
    parser = commands.add_parser(
        "train", argument_default=argparse.SUPPRESS,
        help="train an n-gram model on text files",
        description="Train an n-gram model (interpolated modified Kneser-Ney) and write "
                    "NAME.arpa, NAME.unigrams.txt, NAME.json and, where KenLM's build_binary "
                    "is found, NAME.bin.")
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
    _add_binary(parser)
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
                        help="rules for the text, with commas: accents, case, quotes, dashes, "
                             "spaces, punctuation (default: none)")
    parser.add_argument("--memory", metavar="SIZE", help="sorting memory of lmplz (default 1G)")
    parser.add_argument("--config", metavar="YAML",
                        help="file of these options, with _ for -; the command line wins")
    parser.add_argument("--json", action="store_true", help="print the model's metadata as JSON")
    parser.set_defaults(run=_train)


def _perplexity_parser(commands):
    parser = commands.add_parser(
        "perplexity", help="perplexity and unknown words of text under a model",
        description="Report the perplexity of text files under an n-gram model, and the share "
                    "of words that it does not know.")
    parser.add_argument("model", metavar="MODEL", help="NAME, NAME.arpa or NAME.bin")
    parser.add_argument("text", nargs="+", metavar="TEXT", help="UTF-8 text, one sentence a line")
    parser.add_argument("--unit", choices=("word", "character", "wordform"),
                        help="for models that were not trained with lm train")
    parser.add_argument("--reserved", choices=("error", "skip"), default="error",
                        help="words such as <s> in the text: refuse (default), or leave out")
    parser.add_argument("--blank-lines", choices=("keep", "skip"), default="keep",
                        help="keep (default): a blank line is an empty sentence")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=_perplexity)


def _mix_parser(commands):
    parser = commands.add_parser(
        "mix", argument_default=argparse.SUPPRESS,
        help="mix n-gram models, and lists of word frequencies, into one model",
        description="Interpolate n-gram models linearly and write the mixture as one model: "
                    "NAME.arpa, NAME.unigrams.txt, NAME.json and, where KenLM's build_binary is "
                    "found, NAME.bin. Weights are equal unless given or found on held-out text.")
    parser.add_argument("models", nargs="+", metavar="MODEL",
                        help="NAME or NAME.arpa of a model, whose ARPA file is needed, or a list "
                             "WORDS.tsv of a word, a tab and its frequency a line")
    parser.add_argument("--output", metavar="NAME", required=True,
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
    _add_binary(parser)
    parser.add_argument("--json", action="store_true", help="print the model's metadata as JSON")
    parser.set_defaults(run=_mix)


def _sample_parser(commands):
    parser = commands.add_parser(
        "sample", argument_default=argparse.SUPPRESS,
        help="write pseudo text from word frequencies, for character models",
        description="Write words in random order, drawn by frequency: each at least once, none "
                    "above 0.2%% of the text. It teaches a character model which words there "
                    "are where no running text is to be had.")
    parser.add_argument("words", metavar="WORDS",
                        help="UTF-8 list of a word, a tab and its frequency a line")
    parser.add_argument("--output", metavar="FILE", required=True, help="text file to write")
    parser.add_argument("--tokens", type=int, metavar="N", help="words to write (default 2000000)")
    parser.add_argument("--seed", type=int, metavar="N", help="default 1")
    parser.add_argument("--capitals", type=float, metavar="SHARE",
                        help="share of words that begin with a capital (default 0.15)")
    parser.add_argument("--line-words", type=int, metavar="N", help="words a line (default 12)")
    parser.set_defaults(run=_sample)


def _confusions_parser(commands):
    parser = commands.add_parser(
        "confusions", help="count what a recogniser misreads for what, for the speller",
        description="Align truths and readings (ocr denoise-data), count the characters that "
                    "are changed, dropped and put in, and write them as JSON for the corrector "
                    "\"spelling\".")
    parser.add_argument("pairs", metavar="PAIRS", help="JSON lines of ocr denoise-data")
    parser.add_argument("--output", metavar="FILE", required=True, help="JSON file to write")
    parser.set_defaults(run=_confusions)


def _parser():
    parser = _Parser(prog="lm", description="Train, measure and mix n-gram language models.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _train_parser(commands)
    _perplexity_parser(commands)
    _mix_parser(commands)
    _sample_parser(commands)
    _confusions_parser(commands)
    return parser


def _train_config(arguments):
    """Merge the YAML file and the command line into an `NgramConfig`."""
    from .base.settings import from_mapping, read_yaml
    from .ngram import NgramConfig
    from .normalisation import parse_rules

    given = _given(arguments)
    if not given.get("corpus"):
        given.pop("corpus", None)
    path = getattr(arguments, "config", None)
    settings = read_yaml(path) if path else {}
    for name in ("corpus", "heldout"):
        if isinstance(settings.get(name), str):
            settings[name] = [settings[name]]
    if "normalise" in given:
        given["normalise"] = parse_rules(given["normalise"])
    settings.update(given)
    for name, how in (("corpus", "a CORPUS file"), ("output", "--output NAME")):
        if not settings.get(name):
            raise ConfigError(f"train needs {how}")
    return from_mapping(NgramConfig, settings)


def _train(arguments):
    from .ngram import train_ngram

    config = _train_config(arguments)
    model = train_ngram(config)
    metadata = model.metadata
    if getattr(arguments, "json", False):
        print(json.dumps(metadata, ensure_ascii=False, indent=2))
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
        _print_heldout(metadata)


def _print_heldout(metadata):
    from .ngram import PerplexityReport

    report = {key: value for key, value in metadata["heldout"].items() if key != "files"}
    print(f"held-out text: {PerplexityReport(**report)}")


def _perplexity(arguments):
    from dataclasses import asdict

    from .corpus import Corpus
    from .ngram import load_ngram, perplexity

    model = load_ngram(arguments.model, unit=arguments.unit)
    texts = Corpus(arguments.text, model.unit, arguments.reserved, arguments.blank_lines,
                   normalise=model.normalise)
    report = perplexity(model, texts)
    if arguments.json:
        names = [os.path.basename(path) for path in arguments.text]
        print(json.dumps({"model": os.path.basename(model.path), "files": names,
                          **asdict(report)}, ensure_ascii=False, indent=2))
    else:
        print(report)


def _given(arguments):
    """Return the options that were given, to become settings."""
    return {name: value for name, value in vars(arguments).items()
            if name not in ("command", "run", "config", "json")}


def _mix(arguments):
    from .interpolation import InterpolationConfig, interpolate

    model = interpolate(InterpolationConfig(**_given(arguments)))
    metadata = model.metadata
    if getattr(arguments, "json", False):
        print(json.dumps(metadata, ensure_ascii=False, indent=2))
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
        _print_heldout(metadata)


def _sample(arguments):
    from .sampling import SamplingConfig, sample_text

    config = SamplingConfig(**_given(arguments))
    told = sample_text(config)
    print(f"{config.output}: {told['lines']:,} lines, {told['tokens']:,} tokens, {told['used']:,} "
          f"of {told['words']:,} words")


def _confusions(arguments):
    from .confusions import ConfusionModel
    from .denoising import read_pairs

    header, pairs = read_pairs(arguments.pairs)
    if str(header.get("readings_of_training_lines")).startswith("in-sample"):
        print(f"lm: warning: {arguments.pairs}: {header.get('meaning')}", file=sys.stderr)
    model = ConfusionModel.learn(pairs)
    model.save(arguments.output)
    written = sum(sum(counts.values()) for counts in model.reads.values())
    print(f"{arguments.output}: {len(pairs):,} lines, {written:,} characters; "
          f"{model.changed:.2%} changed, {model.dropped:.2%} dropped, "
          f"{model.inserted:.2%} put in")
    print("most common: " + ", ".join(f"{truth!r} read as {read!r}: {count:,}"
                                      for truth, read, count in model.most_common()))


def main(argv=None):
    """Run the ``lm`` command.

    Parameters
    ----------
    argv : list of str, optional
        ``sys.argv[1:]`` by default.

    Returns
    -------
    int
        0; 2 after an error, told in one line on stderr; 128 + N after signal N (130: Ctrl-C).
    """
    from .base.signals import Interrupted

    try:
        arguments = _parser().parse_args(argv)
        arguments.run(arguments)
    except SystemExit as leave:  # --help
        return leave.code or 0
    except Interrupted as stop:
        print(f"lm: {stop}", file=sys.stderr)
        return 128 + stop.number
    except KeyboardInterrupt:
        print("lm: interrupted", file=sys.stderr)
        return 130
    except (OCRError, _UsageError, OSError) as error:
        print(f"lm: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0
