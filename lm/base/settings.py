"""Settings: frozen dataclasses filled from YAML files and ``key=value`` overrides.

Every settings class of the library is a frozen dataclass of plain values
(numbers, strings, booleans, lists, mappings, other settings). This module turns
nested mappings into them, and back, with errors that name the key. Types say what a
value may be: ``Literal["adam", "adamw"]``, ``Annotated[int, Range(1)]``. What the settings
mean is told from their docstrings by `lm.base.describe`.
"""

import copy
import dataclasses
import functools
import inspect
import math
import reprlib
import typing
from collections.abc import Iterable
from typing import Any, Callable, Optional

from .describe import Setting, describe, listed
from .errors import ConfigError, did_you_mean
from .kinds import Range, is_union, nested_settings, type_name
from .yaml_files import parse_yaml, read_yaml

__all__ = ["Range", "Setting", "Settings", "apply_overrides", "check_options",
           "describe", "from_mapping", "listed", "read_yaml", "setting_names", "to_mapping"]


class Settings:
    """Base of settings classes: also a value given in Python is checked by its field's type."""

    def __post_init__(self):
        kinds = _hints(type(self))
        for name in (field.name for field in dataclasses.fields(self)):
            value = _convert(getattr(self, name), kinds[name], f"{type(self).__name__}.{name}")
            object.__setattr__(self, name, value)


# Rows of files are settings, too, and evaluating annotations takes its time.
@functools.lru_cache(maxsize=256)
def _hints(cls):
    """Return the types of a settings class's fields; those of class attributes are left out."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


class _WrongType(ConfigError):
    """A value is not of the setting's type (and not: of the type, but out of its range)."""


def _shown(value):
    """Return a value's repr, shortened."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 80
    try:
        return short.repr(value)
    except ValueError:  # more digits than Python prints
        return "a number of thousands of digits"


def _convert(value, kind, where):
    origin, members = typing.get_origin(kind), typing.get_args(kind)
    if kind is typing.Any or kind is inspect.Parameter.empty:
        return value
    if origin is typing.Annotated:
        value = _convert(value, members[0], where)
        for bounds in kind.__metadata__:
            if isinstance(bounds, Range) and value is not None and value not in bounds:
                raise ConfigError(f"{where} must be {bounds}, not {_shown(value)}")
        return value
    if is_union(origin):
        return _convert_union(value, members, where)
    if origin is typing.Literal:
        if not isinstance(value, (str, int)) or isinstance(value, bool) or value not in members:
            raise ConfigError(f"unknown {where} {_shown(value)}; known: "
                              + ", ".join('""' if m == "" else str(m) for m in members)
                              + did_you_mean(value, members))
        return value
    if dataclasses.is_dataclass(kind):
        return from_mapping(kind, value, where)
    if origin in (tuple, list):
        return _convert_list(value, origin, members, where)
    if kind in (dict, list, tuple) or origin is dict:
        kind = origin or kind
        if not isinstance(value, kind):
            raise _WrongType(f"{where}: expected a {_LONG[kind]}, not {_shown(value)}")
        if members:
            return {_convert(k, members[0], where): _convert(v, members[1], f"{where}.{k}")
                    for k, v in value.items()}
        return kind(value)
    return _convert_plain(value, kind, where)


_LONG = {dict: "mapping", list: "list", tuple: "list"}


def _convert_union(value, members, where):
    if value is None and type(None) in members:
        return None
    members = [m for m in members if m is not type(None)]
    wrong = None
    for member in members:
        try:
            return _convert(value, member, where)
        except _WrongType as error:
            wrong = wrong or error
    if len(members) > 1:
        expected = " or ".join(type_name(m) for m in members)
        raise _WrongType(f"{where}: expected {expected}, not {_shown(value)}")
    raise wrong


def _convert_list(value, origin, members, where):
    if isinstance(value, str) and members in ((str, ...), (str,)):
        return origin([value])
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        raise _WrongType(f"{where}: expected a list, not {_shown(value)}")
    if origin is list or (len(members) == 2 and members[1] is Ellipsis):
        members = (members[0],) * len(value)
    if len(members) != len(value):
        raise ConfigError(f"{where}: expected {len(members)} values, not {len(value)}")
    return origin(_convert(v, m, f"{where}[{i}]") for i, (v, m) in enumerate(zip(value, members)))


def _convert_plain(value, kind, where):
    if kind is float and not isinstance(value, bool):
        # YAML 1.1 reads 1e-3 as a string.
        try:
            number = float(value) if isinstance(value, (int, float, str)) else None
        except (ValueError, OverflowError):
            number = None
        if number is not None:
            if not math.isfinite(number):
                raise ConfigError(f"{where} must be finite, not {_shown(value)}")
            return number
    elif kind is int and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 2 ** 63:
            raise ConfigError(f"{where}: {_shown(value)} is too large")
        return value
    elif kind is not int and isinstance(kind, type) and isinstance(value, kind):
        return value
    raise _WrongType(f"{where}: expected {type_name(kind)}, not {_shown(value)}")


def setting_names(cls: type) -> list[str]:
    """Return the dotted names of all settings of a settings class, nested ones too."""
    hints = typing.get_type_hints(cls)
    names = []
    for field in dataclasses.fields(cls):
        if field.init:
            names.append(field.name)
            nested = nested_settings(hints[field.name])
            names += [f"{field.name}.{n}" for n in setting_names(nested)] if nested else []
    return names


def _unknown(cls, key, where):
    path = f"{where}.{key}" if where else str(key)
    names = setting_names(cls)
    # The same name in another group is what is meant more often than one spelt like it.
    same = [n for n in names if n.rpartition(".")[2] == key]
    near = f" (did you mean {same[0]!r}?)" if same else did_you_mean(key, names)
    known = ", ".join(f.name for f in dataclasses.fields(cls) if f.init)
    return ConfigError(f"unknown setting {_shown(path)}{near}; known here: {known}")


def from_mapping(cls: type, mapping: Optional[dict], where: str = "") -> Any:
    """Build the settings class `cls` from a mapping.

    Parameters
    ----------
    cls : type
        A frozen dataclass; field types are checked, also inside nested settings.
    mapping : dict or None
        Missing keys take their defaults.
    where : str
        Prefix of the key in error messages.

    Returns
    -------
    cls

    Raises
    ------
    ConfigError
        Unknown key (the nearest and the known ones are named), wrong type, a number out of its
        range or not finite, missing required key, or whatever the class itself refuses.
    """
    if dataclasses.is_dataclass(mapping) and isinstance(mapping, cls):
        return mapping
    if mapping is None:
        mapping = {}
    name = where or cls.__name__
    if not isinstance(mapping, dict):
        raise _WrongType(f"{name}: expected a mapping, not {_shown(mapping)}")
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}
    hints = _hints(cls)
    values = {}
    for key, value in mapping.items():
        if key not in fields:
            raise _unknown(cls, key, where)
        values[key] = _convert(value, hints[key], f"{where}.{key}" if where else str(key))
    for key, field in fields.items():
        if (key not in values and field.default is dataclasses.MISSING
                and field.default_factory is dataclasses.MISSING):
            raise ConfigError(f"{name}: the setting {key!r} is missing")
    return cls(**values)


def check_options(function: Callable, options: dict, what: str) -> dict:
    """Check the keyword options that a function is to be called with by its annotations.

    Parameters
    ----------
    function : callable
        Parameters without annotation take anything.
    options : dict
    what : str
        What has the options, in errors: ``"table"``.

    Returns
    -------
    dict
        The options, converted as `from_mapping` does.

    Raises
    ------
    ConfigError
        Unknown option (the nearest and the known ones are named), wrong type, number out of its
        range, required option missing.
    """
    known = inspect.signature(function).parameters
    hints = typing.get_type_hints(function, include_extras=True)
    for option in options:
        if option not in known:
            raise ConfigError(f"{what} has no option {_shown(option)}"
                              f"{did_you_mean(option, known)}; known: {', '.join(known)}")
    missing = [name for name, p in known.items() if p.default is p.empty and name not in options]
    if missing:
        raise ConfigError(f"{what} needs the option(s) {', '.join(missing)}")
    return {name: _convert(value, hints.get(name, Any), f"{what}.{name}")
            for name, value in options.items()}


def to_mapping(settings: Any) -> Any:
    """Return settings as nested plain dicts and lists, ready for YAML or JSON."""
    def plain(value):
        if dataclasses.is_dataclass(value):
            return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return value
    return plain(settings)


def apply_overrides(mapping: dict, overrides: Iterable[str]) -> dict:
    """Return a copy of `mapping` with ``"a.b=value"`` strings applied (values are YAML).

    >>> apply_overrides({"model": {"name": "small"}}, ["model.name=base", "seed=3"])
    {'model': {'name': 'base'}, 'seed': 3}
    """
    result = copy.deepcopy(mapping)
    for override in overrides:
        key, equals, text = override.partition("=")
        *parents, last = key.strip().split(".")
        if not equals or not all([*parents, last]):
            raise ConfigError(f"override {override!r} is not of the form key=value")
        try:
            value = parse_yaml(text)
        except ConfigError as error:
            raise ConfigError(f"override {override!r}: the value is not YAML ({error})") from None
        place = result
        for parent in parents:
            if place.get(parent) is None:
                place[parent] = {}
            place = place[parent]
            if not isinstance(place, dict):
                raise ConfigError(f"override {override!r}: {parent!r} is no group of settings")
        place[last] = value
    return result
