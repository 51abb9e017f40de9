"""What settings mean, told from where they stand: types, defaults and numpydoc docstrings."""

import dataclasses
import inspect
import re
import textwrap
import typing
from collections.abc import Iterable
from typing import Any, NamedTuple

from .kinds import nested_settings, type_name

__all__ = ["Setting", "describe", "listed"]

#: The line of a numpydoc entry, ``name, name : type``, and where a section of them begins.
_ENTRY = re.compile(r"^(\w+(?:, \w+)*) *:.*$")
_SECTION = re.compile(r"^(?:Attributes|Parameters)\n-+\n", re.MULTILINE)
_HEADING = re.compile(r"^\w[\w ]*\n-+$", re.MULTILINE)


class Setting(NamedTuple):
    """One setting as documentation tells it.

    Attributes
    ----------
    name : str
        With dots where it is nested.
    type : str
        In words, with its bounds.
    default : object
        `dataclasses.MISSING` where it must be given.
    meaning : str
    """

    name: str
    type: str
    default: Any
    meaning: str


def _meanings(target):
    """Return {name: meaning} of a docstring's section Attributes or Parameters."""
    doc, found = inspect.cleandoc(target.__doc__ or ""), {}
    if section := _SECTION.search(doc):
        body = doc[section.end():]
        if heading := _HEADING.search(body):
            body = body[:heading.start()]
        names, lines = [], []
        for line in [*body.splitlines(), "end :"]:
            if line[:1].isspace() or not line:
                lines.append(line)
                continue
            found.update(dict.fromkeys(names, " ".join(" ".join(lines).split())))
            entry = _ENTRY.match(line)
            names, lines = (entry.group(1).split(", ") if entry else []), []
    return found


def _as_yaml(value):
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_as_yaml, value))}]"
    if isinstance(value, dict):
        return "{%s}" % ", ".join(f"{key}: {_as_yaml(item)}" for key, item in value.items())
    return '""' if value == "" else f"{value:g}" if isinstance(value, float) else str(value)


def describe(target: Any, prefix: str = "",
             skip: Iterable[str] = ()) -> list[Setting]:
    """Return the settings of a settings class, nested ones too, or the options of a function.

    Parameters
    ----------
    target : type, object or callable
        A dataclass, an instance of one, whose values are told instead of the defaults, or a
        function whose keyword parameters are options.
    prefix : str
        What their names begin with, such as ``"training."``.
    skip : iterable of str
        Names to leave out.
    """
    # A field that a subclass does not document has the words of the class it comes from.
    meanings = {}
    preset = dataclasses.is_dataclass(target) and not isinstance(target, type)
    values = vars(target) if preset else {}
    target = type(target) if preset else target
    for one in reversed(target.__mro__) if isinstance(target, type) else [target]:
        meanings.update(_meanings(one))
    hints = typing.get_type_hints(target, include_extras=True)
    if dataclasses.is_dataclass(target):
        found = [(f.name, f.default if f.default_factory is dataclasses.MISSING
                  else f.default_factory()) for f in dataclasses.fields(target) if f.init]
    else:
        found = [(p.name, dataclasses.MISSING if p.default is p.empty else p.default)
                 for p in inspect.signature(target).parameters.values()
                 if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    settings = []
    for name, default in found:
        if name in skip:
            continue
        kind = hints.get(name, Any)
        nested = nested_settings(kind)
        if nested:
            settings += describe(nested, f"{prefix}{name}.")
        else:
            settings.append(Setting(prefix + name, type_name(kind), values.get(name, default),
                                    meanings.get(name, "")))
    return settings


def listed(settings: Iterable[Setting], width: int = 100) -> str:
    """Return settings as text: name, default and type in one line, the meaning below."""
    rows = []
    for setting in settings:
        default = ("(required)" if setting.default is dataclasses.MISSING
                   else f"= {_as_yaml(setting.default)}")
        rows.append(f"{setting.name} {default}    {setting.type}".rstrip())
        rows += textwrap.wrap(setting.meaning, width - 4, initial_indent="    ",
                              subsequent_indent="    ")
    return "\n".join(rows)
