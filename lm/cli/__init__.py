"""The ``lm`` command: ``lm train``, ``lm perplexity``, ``lm mix``, ``lm pack``,
``lm sample`` and ``lm confusions``."""

# Nothing else is imported before Ctrl-C is looked after.
from ..base.signals import interruptible

__all__ = ["COMMANDS", "main"]

#: name -> (module, one-line help)
COMMANDS = {name: (f"{__name__}.{name}", summary) for name, summary in (
    ("train", "train an n-gram model on text files"),
    ("perplexity", "perplexity and unknown words of text under a model"),
    ("mix", "mix n-gram models, and lists of word frequencies, into one model"),
    ("pack", "write an ARPA file as a packed model, which needs no KenLM to be read"),
    ("sample", "write pseudo text from word frequencies, for character models"),
    ("confusions", "count what a recogniser misreads for what, for the speller"),
)}


def main(argv=None):
    """Run the command line; returns the exit status (see `lm.base.command.run_command`)."""
    with interruptible("lm"):
        from ..base.command import run_command

        return run_command("lm", "Train, measure and mix n-gram language models.", COMMANDS, argv)
