"""Align truths and readings (ocr denoise-data), count the characters that are changed, dropped and
put in, and write them as JSON for the corrector "spelling".
"""

import warnings

from ..base.command import output_file


def add_arguments(parser):
    parser.add_argument("pairs", metavar="PAIRS", help="JSON lines of ocr denoise-data")
    parser.add_argument("--output", metavar="FILE", required=True, type=output_file,
                        help="JSON file to write")


def run(arguments):
    from ..base.files import check_apart, check_writable
    from ..confusions import ConfusionModel
    from ..denoising import read_pairs

    check_apart([arguments.output], [arguments.pairs])
    check_writable(arguments.output)
    header, pairs = read_pairs(arguments.pairs)
    if str(header.get("readings_of_training_lines")).startswith("in-sample"):
        warnings.warn(f"{arguments.pairs}: {header.get('meaning')}", stacklevel=1)
    model = ConfusionModel.learn(pairs)
    model.save(arguments.output)
    written = sum(sum(counts.values()) for counts in model.reads.values())
    print(f"{arguments.output}: {len(pairs):,} lines, {written:,} characters; "
          f"{model.changed:.2%} changed, {model.dropped:.2%} dropped, "
          f"{model.inserted:.2%} put in")
    print("most common: " + ", ".join(f"{truth!r} read as {read!r}: {count:,}"
                                      for truth, read, count in model.most_common()))
