"""Data sources whose samples are made when they are asked for, so that millions fit."""

from collections.abc import Sequence

import numpy as np

from .base import LineDataset

__all__ = ["LazyLines"]


class _LazySamples(Sequence):
    """The samples of the lines `numbers`, made anew by ``make(number)`` at each access."""

    def __init__(self, make, numbers):
        self._make = make
        self._numbers = numbers

    def __len__(self):
        return len(self._numbers)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return _LazySamples(self._make, self._numbers[index])
        return self._make(int(self._numbers[index]))

    def take(self, indices):
        """Return the samples at the given positions, as lazily."""
        return _LazySamples(self._make, self._numbers[np.asarray(indices, dtype=np.int64)])


class LazyLines(LineDataset):
    """A `LineDataset` that holds the numbers of its lines and makes a sample at each access.

    Subclasses give `make_sample`, and see to it that ids are unique.

    Parameters
    ----------
    name, split, report
        As for `LineDataset`.
    numbers : numpy.ndarray
        int, one a line: what `make_sample` is called with.
    stream : bool
        Whether images are not kept either; see `LineDataset`.
    """

    def __init__(self, name, split, numbers, report=None, stream=False):
        super().__init__(name, split, (), report)
        self.samples = _LazySamples(self.make_sample, numbers)
        self.stream = stream

    def make_sample(self, number):
        """Return the `LineSample` of line `number`."""
        raise NotImplementedError

    def subset(self, indices, split=None):
        """As `LineDataset.subset`; the samples stay lazy."""
        if not isinstance(self.samples, _LazySamples):
            # Normalised transcripts are a list.
            return super().subset(indices, split)
        part = super().subset((), split)
        part.samples = self.samples.take(indices)
        return part
