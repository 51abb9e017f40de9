"""Leaving cleanly on SIGINT and SIGTERM."""

import signal
from contextlib import contextmanager

__all__ = ["Interrupted", "collect_signals"]


class Interrupted(Exception):
    """Work was stopped by a signal, after it was saved to `path`."""

    def __init__(self, number, path):
        super().__init__(f"stopped by {signal.Signals(number).name}; "
                         f"{path} is written, go on with --resume")
        self.number = number


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
