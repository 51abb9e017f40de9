"""Registries: things chosen by name in settings or on a command line, open to other packages.

What comes with the library and what another installed package adds are found the same way: as
entry points, each loaded when it is asked for.
"""

from importlib import metadata

from .errors import ConfigError, UnknownNameError

__all__ = ["Registry"]


class Registry:
    """Names and what they stand for; errors list the known names.

    Parameters
    ----------
    kind : str
        What the names stand for, as used in error messages ("network", "decoder").
    group : str, optional
        Group of entry points that are looked up; None for names registered here alone.

    Examples
    --------
    >>> decoders = Registry("decoder")
    >>> @decoders.register("mine")
    ... def mine(): ...
    >>> decoders.names()
    ['mine']
    """

    def __init__(self, kind, group=None):
        self.kind, self.group = kind, group
        self._entries = {}
        self._points = None

    def register(self, name):
        """Return a decorator that registers its target under `name`, for this process."""
        if name in self:
            raise ValueError(f"{self.kind} {name!r} is already registered")

        def add(entry):
            self._entries[name] = entry
            return entry

        return add

    def _found(self):
        """Return {name: entry point} of the group."""
        if self._points is None:
            self._points = {}
            for point in _points_of(self.group) if self.group else ():
                other = self._points.setdefault(point.name, point)
                if other.value != point.value:
                    raise ConfigError(f"{self.kind} {point.name!r} stands twice in {self.group}: "
                                      f"{other.value} and {point.value}; uninstall one")
        return self._points

    def get(self, name):
        """Return the entry `name`.

        Raises
        ------
        UnknownNameError
            No such name; the known ones are listed.
        ConfigError
            The package that adds it cannot be imported.
        """
        if not isinstance(name, str) or name not in self:
            known = ", ".join(self.names()) or "none"
            raise UnknownNameError(f"unknown {self.kind} {name!r}; known: {known}")
        if name not in self._entries:
            point = self._found()[name]
            try:
                self._entries[name] = point.load()
            except (ImportError, AttributeError) as error:
                raise ConfigError(f"{self.kind} {name!r} cannot be loaded from {point.value} "
                                  f"({error})") from error
        return self._entries[name]

    def names(self):
        """Return the sorted list of known names."""
        return sorted({*self._entries, *self._found()})

    def __contains__(self, name):
        return name in self._entries or name in self._found()


def _points_of(group):
    points = metadata.entry_points()
    # Python 3.9 has a mapping there.
    return points.get(group, ()) if isinstance(points, dict) else points.select(group=group)
