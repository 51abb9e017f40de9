"""``ocr train | evaluate | tune | recognise | export | serve | ...``; all in `commands`."""

import argparse
import os
import sys
import warnings

from lm.base.errors import OCRError

from . import commands
from .common import options_from_yaml

__all__ = ["main"]


class _Parser(argparse.ArgumentParser):
    """argparse whose errors are one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message} (see: {self.prog} --help)\n")


def make_parser(argv=()):
    """Return the parser of all subcommands, with the defaults of ``--config`` in `argv`."""
    parser = _Parser(prog="ocr", description="Handwriting and text-line recognition.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND",
                                       parser_class=_Parser)
    for name, (module, summary) in commands.COMMANDS.items():
        command = subparsers.add_parser(name, help=summary, description=module.__doc__,
                                        formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
        if name in commands.OPTIONS_IN_YAML:
            command.add_argument("--config", metavar="YAML",
                                 help="options of this command by name; the command line goes "
                                      "before")
            if argv[:1] == [name]:
                options_from_yaml(command, argv[1:])
    return parser


def _show_warning(message, category, filename, lineno, file=None, line=None):
    # Ours are for the user; other packages' are about their own code.
    if category is UserWarning and f"{os.sep}ocr{os.sep}" in filename:
        print(f"ocr: warning: {message}", file=sys.stderr)


def main(argv=None):
    """Run the command line; returns the exit status.

    0: done; 2: an error of usage, settings or data, told in one line; 128 + N: stopped by
    signal N (130: Ctrl-C) after saving what there was to save.
    """
    from lm.base.signals import Interrupted

    argv = sys.argv[1:] if argv is None else list(argv)
    warnings.showwarning = _show_warning
    try:
        arguments = make_parser(argv).parse_args(argv)
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
