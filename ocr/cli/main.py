"""``ocr train | evaluate | tune | recognise | export | serve | ...``; all in `commands`."""

# Nothing else is imported before Ctrl-C is looked after.
from lm.base.signals import interruptible

__all__ = ["main"]


def main(argv=None):
    """Run the command line; returns the exit status (see `lm.base.command.run_command`)."""
    with interruptible("ocr"):
        from lm.base.command import run_command

        from .commands import ALIASES, COMMANDS

        return run_command("ocr", "Handwriting and text-line recognition.", COMMANDS, argv,
                           ALIASES)
