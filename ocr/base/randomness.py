"""Random numbers that follow from whole numbers alone."""

import numpy as np

__all__ = ["generator"]


def generator(*key):
    """Return a NumPy generator that follows from the whole numbers `key` (seed first) alone."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(
        entropy=int(key[0]), spawn_key=tuple(int(k) for k in key[1:]))))
