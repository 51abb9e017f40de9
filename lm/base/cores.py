"""How many cores this process may use."""

import os

__all__ = ["available_cores"]


def available_cores():
    """Return the number of cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
