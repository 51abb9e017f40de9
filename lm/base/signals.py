"""Leaving cleanly on SIGINT and SIGTERM."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Interrupted", "TEMPORARY", "collect_signals", "interruptible"]

#: Paths of files that are being written, to be removed when the process ends at once.
TEMPORARY: set[str] = set()


class Interrupted(Exception):
    """Work was stopped by a signal, after it was saved to `path`."""

    def __init__(self, number, path):
        super().__init__(f"stopped by {signal.Signals(number).name}; "
                         f"{path} is written, go on with --resume")
        self.number = number


def _end_at_once(prog, number):
    for path in TEMPORARY:
        try:
            os.unlink(path)
        except OSError:
            pass
    try:
        sys.stdout.flush()
    finally:
        os.write(2, f"{prog}: stopped\n".encode())
        os._exit(128 + number)


@contextmanager
def interruptible(prog: str) -> Iterator[None]:
    """Have Ctrl-C raise `KeyboardInterrupt`, or end the process at once while modules are imported.

    Some packages swallow the exception there, or take it for their own failure.

    Parameters
    ----------
    prog : str
        Name of the command, for its last line.
    """
    def stop(number, frame):
        while frame is not None:
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                _end_at_once(prog, number)
            frame = frame.f_back
        raise KeyboardInterrupt

    try:
        # A command in the background has it ignored, and goes on doing so.
        before = signal.getsignal(signal.SIGINT)
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, stop)
    except ValueError:  # not in the main thread
        before = None
    try:
        yield
    finally:
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, before)


@contextmanager
def collect_signals(numbers=(signal.SIGINT, signal.SIGTERM)):
    """Collect signals instead of dying of them; yields the list of those received.

    A second signal acts as it did before: it ends the process. Outside the main thread,
    where handlers cannot be set, nothing is collected.
    """
    received, before = [], {}

    def note(number, frame):
        received.append(number)
        for other, handler in before.items():
            signal.signal(other, handler)

    try:
        for number in numbers:
            before[number] = signal.signal(number, note)
    except ValueError:
        pass
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
