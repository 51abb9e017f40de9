"""Settings: frozen dataclasses filled from YAML files and ``key=value`` overrides.

Every settings class of the library is a frozen dataclass of plain values
(numbers, strings, booleans, lists, mappings, other settings). This module turns
nested mappings into them, and back, with errors that name the key.
"""

import dataclasses
import types
import typing

from .errors import ConfigError

__all__ = ["from_mapping", "to_mapping", "read_yaml", "apply_overrides"]


def _convert(value, kind, where):
    origin = typing.get_origin(kind)
    if origin is typing.Union or origin is getattr(types, "UnionType", typing.Union):
        members = typing.get_args(kind)
        if value is None and type(None) in members:
            return None
        errors = []
        for member in members:
            if member is type(None):
                continue
            try:
                return _convert(value, member, where)
            except ConfigError as error:
                errors.append(str(error))
        raise ConfigError(errors[0])
    if dataclasses.is_dataclass(kind):
        return from_mapping(kind, value, where)
    if origin is tuple:
        if isinstance(value, str) or not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where}: expected a list, not {value!r}")
        members = typing.get_args(kind)
        if len(members) == 2 and members[1] is Ellipsis:
            members = (members[0],) * len(value)
        if len(members) != len(value):
            raise ConfigError(f"{where}: expected {len(members)} values, not {len(value)}")
        return tuple(_convert(v, m, f"{where}[{i}]")
                     for i, (v, m) in enumerate(zip(value, members)))
    if kind is dict:
        if not isinstance(value, dict):
            raise ConfigError(f"{where}: expected a mapping, not {value!r}")
        return dict(value)
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str):
        # YAML 1.1 reads 1e-3 as a string.
        try:
            return float(value)
        except ValueError:
            pass
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind in (str, bool) and isinstance(value, kind):
        return value
    if kind is typing.Any:
        return value
    raise ConfigError(f"{where}: expected {getattr(kind, '__name__', kind)}, not {value!r}")


def from_mapping(cls, mapping, where=""):
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
        Unknown key (the known ones are listed), wrong type, missing required key,
        or whatever the class itself refuses.
    """
    if dataclasses.is_dataclass(mapping) and isinstance(mapping, cls):
        return mapping
    if mapping is None:
        mapping = {}
    name = where or cls.__name__
    if not isinstance(mapping, dict):
        raise ConfigError(f"{name}: expected a mapping, not {mapping!r}")
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in mapping.items():
        path = f"{where}.{key}" if where else str(key)
        if key not in fields:
            raise ConfigError(f"unknown setting {path!r}; known here: {', '.join(fields)}")
        values[key] = _convert(value, hints[key], path)
    for key, field in fields.items():
        if (key not in values and field.default is dataclasses.MISSING
                and field.default_factory is dataclasses.MISSING):
            raise ConfigError(f"{name}: the setting {key!r} is missing")
    return cls(**values)


def to_mapping(settings):
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


def read_yaml(path):
    """Read a YAML file that holds one mapping; `ConfigError` names the file and line."""
    import yaml

    try:
        with open(path, encoding="utf-8") as source:
            value = yaml.safe_load(source)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: expected a mapping of settings")
    return value


def apply_overrides(mapping, overrides):
    """Return a copy of `mapping` with ``"a.b=value"`` strings applied (values are YAML).

    >>> apply_overrides({"model": {"name": "small"}}, ["model.name=base", "seed=3"])
    {'model': {'name': 'base'}, 'seed': 3}
    """
    import copy

    import yaml

    result = copy.deepcopy(mapping)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"override {override!r} is not of the form key=value")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"override {override!r}: the value is not YAML") from None
        place = result
        *parents, last = key.strip().split(".")
        for parent in parents:
            if place.get(parent) is None:
                place[parent] = {}
            place = place[parent]
            if not isinstance(place, dict):
                raise ConfigError(f"override {override!r}: {parent!r} is no group of settings")
        place[last] = value
    return result
