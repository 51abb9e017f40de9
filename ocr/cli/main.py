"""``ocr train | evaluate | tune | recognise | denoise-data | synth | list``."""

import argparse
import sys

from ..exceptions import OCRError
from . import commands

__all__ = ["main"]


class _Parser(argparse.ArgumentParser):
    """argparse whose errors are one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message} (see: {self.prog} --help)\n")


def make_parser():
    """Return the parser of all subcommands."""
    parser = _Parser(prog="ocr", description="Handwriting and text-line recognition.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND",
                                       parser_class=_Parser)
    for name, (module, summary) in commands.COMMANDS.items():
        command = subparsers.add_parser(name, help=summary, description=module.__doc__,
                                        formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def main(argv=None):
    """Run the command line; returns the exit status.

    0: done; 2: an error of usage, settings or data, told in one line; 128 + N: stopped by
    signal N (130: Ctrl-C) after saving what there was to save.
    """
    from ..signals import Interrupted

    arguments = make_parser().parse_args(argv)
    try:
        return arguments.run(arguments) or 0
    except Interrupted as stop:
        print(f"ocr: {stop}", file=sys.stderr)
        return 128 + stop.number
    except OCRError as error:
        print(f"ocr: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ocr: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output, `head` perhaps, has enough.
        sys.stderr.close()
        return 0
