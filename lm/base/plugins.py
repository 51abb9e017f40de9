"""Registries: things chosen by name in settings or on a command line, open to other packages.

What comes with the library and what another installed package adds are found the same way: as
entry points, each loaded when it is asked for.
"""

import dataclasses
import importlib.util
from dataclasses import dataclass
from importlib import metadata

from .errors import ConfigError, UnknownNameError
from .settings import from_mapping

__all__ = ["NoSettings", "Plugin", "Registry", "Stage", "missing_packages"]


@dataclass(frozen=True)
class NoSettings:
    """There is nothing to set."""


class Plugin:
    """What the classes behind a name share: settings, the files and the packages they take.

    Attributes
    ----------
    config_class : type
        Frozen dataclass of the settings; its numpydoc says what ``ocr list`` and the command
        line tell about them. No field may be called name.
    paths : tuple of str
        Settings that name files (a path, or a tuple of them); they are stored relative to the
        file that holds the settings.
    packages : tuple of str
        What it takes besides NumPy; "a|b" where either will do.
    """

    config_class: type = NoSettings
    paths: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    @classmethod
    def needs(cls, config):
        """Return the packages that it takes with these settings; `packages` by default."""
        return cls.packages


@dataclass(frozen=True)
class Stage:
    """A name of a registry and its settings (an instance of its `config_class`).

    `Registry.stage` makes one.
    """

    name: str
    settings: object


def missing_packages(needed):
    """Return those of `Plugin.needs` that are not installed here, comma-separated."""
    return ", ".join(dict.fromkeys(
        name.replace("|", " or ") for name in needed
        if not any(importlib.util.find_spec(one) for one in name.split("|"))))


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

    def stage(self, name, settings=None, **more):
        """Return the `Stage` of a name.

        Parameters
        ----------
        name : str or Stage
            A stage comes back with `more` changed in its settings.
        settings : mapping or dataclass, optional
            A mapping's types are checked; what it lacks takes the defaults.
        **more
            Settings by name, before those of the mapping.

        Raises
        ------
        UnknownNameError
            No such name; the known ones are listed.
        ConfigError
            An unknown setting, a wrong type or value, or settings of another class.
        """
        if isinstance(name, Stage):
            name, settings = name.name, settings or name.settings
        cls = self.get(name).config_class
        if not dataclasses.is_dataclass(settings):
            return Stage(name, from_mapping(cls, {**(settings or {}), **more}, name))
        if not isinstance(settings, cls):
            raise ConfigError(f"{name}: settings of another {self.kind} "
                              f"({type(settings).__name__})")
        if more:
            kept = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
            settings = from_mapping(cls, {**kept, **more}, name)
        return Stage(name, settings)

    def from_dict(self, value):
        """Return the `Stage` that `to_dict` stored: ``{"name": ..., "settings": {...}}``."""
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, dict) or not isinstance(value.get("name"), str):
            raise ConfigError(f"a {self.kind} needs a name: {value!r}")
        unknown = value.keys() - {"name", "settings"}
        if unknown:
            raise ConfigError(f"{self.kind} {value['name']}: unknown key {min(map(str, unknown))!r}"
                              "; known here: name, settings")
        return self.stage(value["name"], value.get("settings"))

    def names(self):
        """Return the sorted list of known names."""
        return sorted({*self._entries, *self._found()})

    def __contains__(self, name):
        return name in self._entries or name in self._found()


def _points_of(group):
    points = metadata.entry_points()
    # Python 3.9 has a mapping there.
    return points.get(group, ()) if isinstance(points, dict) else points.select(group=group)
