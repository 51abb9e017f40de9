"""Write an ARPA file as a packed model: one file, which is read by NumPy alone, memory-mapped."""

import os


def add_arguments(parser):
    parser.add_argument("model", metavar="MODEL", help="NAME or NAME.arpa")
    parser.add_argument("--output", metavar="FILE", help="default: NAME.ngram")
    parser.add_argument("--quantise", type=int, default=0, metavar="BITS",
                        help="bits for each figure, such as 8: a smaller file (default: whole "
                             "figures)")
    parser.add_argument("--keep", metavar="FILE",
                        help="list of words (or characters), one a line; n-grams that hold others "
                             "are left out. A recogniser that cannot write them loses nothing")
    parser.add_argument("--unit", choices=("word", "character", "wordform"),
                        help="for models that were not trained with lm train")


def run(arguments):
    from ..base.errors import MissingDataError
    from ..base.files import check_apart, check_writable
    from ..corpus import read_lines
    from ..lmplz import check_binary
    from ..ngram import load_ngram
    from ..packing import pack_arpa

    check_binary("none", arguments.quantise)
    name = arguments.model.removesuffix(".arpa")
    arpa = name + ".arpa" if os.path.isfile(name + ".arpa") else arguments.model
    if not os.path.isfile(arpa):
        raise MissingDataError(f"{arguments.model}: no such ARPA file")
    output = arguments.output or f"{name}.ngram"
    check_apart([output], [arpa, *([arguments.keep] if arguments.keep else [])])
    check_writable(output)
    model = load_ngram(arpa, arguments.unit)
    keep = [text.rstrip("\r") for _, text in read_lines(arguments.keep)] if arguments.keep else None
    metadata = {"order": model.order, "unit": model.unit, **model.metadata}
    packed = pack_arpa(arpa, arguments.quantise, keep, metadata)
    packed.save(output)
    print(f"{output}: order {packed.order}, {len(packed):,} {model.unit}s, "
          f"{os.path.getsize(output):,} bytes")
