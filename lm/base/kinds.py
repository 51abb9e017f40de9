"""What a setting may be, told by its type."""

import dataclasses
import types
import typing
from typing import Any, Optional

__all__ = ["Range", "is_union", "nested_settings", "type_name"]


@dataclasses.dataclass(frozen=True)
class Range:
    """Bounds of a number, for ``Annotated[float, Range(0, 1)]``.

    `least` and `most` belong to the range, `above` and `below` do not.
    """

    least: Optional[float] = None
    most: Optional[float] = None
    above: Optional[float] = None
    below: Optional[float] = None

    def __contains__(self, value):
        return not ((self.least is not None and value < self.least)
                    or (self.most is not None and value > self.most)
                    or (self.above is not None and value <= self.above)
                    or (self.below is not None and value >= self.below))

    def __str__(self):
        words = (("at least", self.least), ("at most", self.most), ("above", self.above),
                 ("below", self.below))
        return " and ".join(f"{word} {bound}" for word, bound in words if bound is not None)


def type_name(kind: Any) -> str:
    """Return how a type is called in messages and lists: ``"int, at least 1"``."""
    origin, members = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return ", ".join([type_name(members[0]), *map(str, kind.__metadata__)])
    if is_union(origin):
        return " or ".join(type_name(m) for m in members)
    if origin is typing.Literal:
        return "one of " + ", ".join('""' if m == "" else str(m) for m in members)
    if origin in (tuple, list):
        return f"list of {type_name(members[0])}"
    if kind in (dict, origin) or origin is dict or dataclasses.is_dataclass(kind):
        return "mapping"
    if kind in (type(None), typing.Any):
        return "anything" if kind is typing.Any else "null"
    return str(getattr(kind, "__name__", kind))


def is_union(origin: Any) -> bool:
    return origin is typing.Union or origin is getattr(types, "UnionType", typing.Union)


def nested_settings(kind: Any) -> Optional[type]:
    """Return the settings class that a type is, or may be, if any."""
    return next((k for k in (kind, *typing.get_args(kind))
                 if isinstance(k, type) and dataclasses.is_dataclass(k)), None)
