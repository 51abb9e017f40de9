"""Write words in random order, drawn by frequency: each at least once, none above 0.2% of the
text. It teaches a character model which words there are where no running text is to be had.
"""

from ..base.command import settings_of


def _settings():
    from ..sampling import SamplingConfig

    return SamplingConfig


def add_arguments(parser):
    parser.takes(_settings)
    parser.add_argument("words", nargs="?", metavar="WORDS",
                        help="UTF-8 list of a word, a tab and its frequency a line")
    parser.add_argument("--output", metavar="FILE", help="text file to write")
    parser.add_argument("--tokens", type=int, metavar="N", help="words to write (default 2000000)")
    parser.add_argument("--seed", type=int, metavar="N", help="default 1")
    parser.add_argument("--capitals", type=float, metavar="SHARE",
                        help="share of words that begin with a capital (default 0.15)")
    parser.add_argument("--line-words", type=int, metavar="N", help="words a line (default 12)")


def run(arguments):
    from ..sampling import sample_text

    config = settings_of(arguments, _settings())
    told = sample_text(config)
    print(f"{config.output}: {told['lines']:,} lines, {told['tokens']:,} tokens, {told['used']:,} "
          f"of {told['words']:,} words")
