"""Registries: things that are chosen by name in a config or on a command line."""

from .exceptions import UnknownNameError

__all__ = ["Registry"]


class Registry:
    """A mapping from names to factories whose errors list the known names.

    Parameters
    ----------
    kind : str
        What the names stand for, as used in error messages ("model", "decoder").

    Examples
    --------
    >>> decoders = Registry("decoder")
    >>> @decoders.register("greedy")
    ... def greedy(): ...
    >>> decoders.names()
    ['greedy']
    """

    def __init__(self, kind):
        self.kind = kind
        self._entries = {}

    def register(self, name):
        """Return a decorator that registers its target under `name`."""
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is already registered")

        def add(entry):
            self._entries[name] = entry
            return entry

        return add

    def get(self, name):
        """Return the entry `name`; raises `UnknownNameError` listing the known names."""
        try:
            return self._entries[name]
        except (KeyError, TypeError):
            known = ", ".join(self.names()) or "none"
            raise UnknownNameError(f"unknown {self.kind} {name!r}; known: {known}") from None

    def names(self):
        """Return the sorted list of registered names."""
        return sorted(self._entries)

    def __contains__(self, name):
        return name in self._entries
