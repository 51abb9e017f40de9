"""Settings: frozen dataclasses filled from YAML files and ``key=value`` overrides.

Every settings class of the library is a frozen dataclass of plain values
(numbers, strings, booleans, lists, mappings, other settings). This module turns
nested mappings into them, and back, with errors that name the key.
"""

import dataclasses
import inspect
import math
import re
import types
import typing

from .errors import ConfigError

__all__ = ["from_mapping", "to_mapping", "read_yaml", "apply_overrides", "check_ranges",
           "Setting", "describe"]


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


def check_ranges(settings, where, **ranges):
    """Raise `ConfigError` where a number of a settings dataclass is not finite or out of range.

    Parameters
    ----------
    settings : dataclass
    where : str
        What the message begins with.
    **ranges
        Field -> (lowest, highest), either end included; None for a field passes. Fields that
        are not named need only be finite.
    """
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        low, high = ranges.get(field.name, (-math.inf, math.inf))
        # Whole numbers beyond these are of no use, and too large for floats.
        finite = math.isfinite(value) if isinstance(value, float) else abs(value) < 2 ** 63
        if not (finite and low <= value <= high):
            wanted = ("a finite number" if math.isinf(low) and math.isinf(high)
                      else f"at least {low:g}" if math.isinf(high)
                      else f"at most {high:g}" if math.isinf(low) else f"{low:g} to {high:g}")
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            raise ConfigError(f"{where}: {field.name} must be {wanted}, not {shown[:40]}")


class Setting(typing.NamedTuple):
    """One setting as documentation tells it.

    Attributes
    ----------
    name, type : str
    default : object
        `dataclasses.MISSING` where it must be given.
    meaning : str
        One line.
    """

    name: str
    type: str
    default: object
    meaning: str


def describe(cls):
    """Return the `Setting` of each field of a settings dataclass, from its numpydoc.

    A field that a subclass does not document has the words of the class it comes from.
    """
    told = {}
    for one in reversed(cls.__mro__):
        if dataclasses.is_dataclass(one):
            told.update(_attributes(inspect.getdoc(one) or "", one))
    found = []
    for field in dataclasses.fields(cls):
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        kind, meaning = told.get(field.name, ("", ""))
        found.append(Setting(field.name, kind or str(field.type), default, meaning))
    return found


def _attributes(doc, cls):
    """Return {name: (type, meaning)} of a docstring's section Attributes or Parameters."""
    found = {}
    if "__doc__" not in vars(cls):
        return found
    section = re.search(r"^(?:Attributes|Parameters)\n-+\n(.*?)(?=\n\w[^\n]*\n-+\n|\Z)", doc,
                        re.DOTALL | re.MULTILINE)
    for entry in re.finditer(r"^(\w[\w, ]*?)(?: *: *(.*))?\n((?:(?:    .*)?(?:\n|\Z))*)",
                             section[1] + "\n" if section else "", re.MULTILINE):
        meaning = " ".join(entry[3].split())
        for name in entry[1].split(","):
            found[name.strip()] = (entry[2] or "", meaning)
    return found
