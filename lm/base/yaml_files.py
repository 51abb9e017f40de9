"""YAML, read so that nothing in it passes silently for something else."""

import functools
import os
from typing import Any, Union

from .errors import ConfigError, DataError
from .files import read_text

__all__ = ["parse_yaml", "read_yaml"]

#: How deep settings may be nested, and how many values there may be once aliases are written out.
_DEPTH, _VALUES = 30, 100_000
_TAGS = ("null", "bool", "int", "float", "str", "seq", "map", "merge")


@functools.cache
def _loader():
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML's plain values alone; a date is text."""

    # Dates would come as objects that no setting takes, or not exist (2026-02-30).
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}
    return Loader


class _Refused(ValueError):
    def __init__(self, node, what):
        super().__init__(f"line {node.start_mark.line + 1}: {what}")


def _check(node, depth, count):
    """Go through a node's values; raises `_Refused`."""
    count[0] += 1
    # An alias within what it names has no end.
    if depth > _DEPTH or count[0] > _VALUES:
        raise _Refused(node, "nested too deeply, or too many values")
    tag = node.tag.rpartition(":")[2]
    if tag not in _TAGS:
        raise _Refused(node, f"{node.tag!r} is no type of setting")
    if node.id == "scalar":
        if tag in ("int", "float") and len(node.value) > 100:
            raise _Refused(node, f"a number of {len(node.value)} characters")
        if "\0" in node.value:
            raise _Refused(node, "a NUL character")
    elif node.id == "sequence":
        for item in node.value:
            _check(item, depth + 1, count)
    else:
        keys = set()
        for key, value in node.value:
            key_tag = key.tag.rpartition(":")[2]
            if key_tag not in ("str", "merge"):
                raise _Refused(key, f"the key {str(key.value)[:60]!r} is no text; write it in "
                                    "quotes")
            if key_tag == "str" and key.value in keys:
                raise _Refused(key, f"the key {key.value!r} stands twice")
            keys.add(key.value)
            _check(value, depth + 1, count)


def parse_yaml(text: str) -> Any:
    """Read a YAML document of plain values.

    Raises
    ------
    ConfigError
        Not YAML; a key twice in one mapping; a tag of another type; an alias to what it stands
        in; a NUL character; nested too deeply; a number that is too long. The line is named.
    """
    import yaml

    loader = None
    try:
        loader = _loader()(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node, 0, [0])
        return loader.construct_document(node)
    except RecursionError:
        raise ConfigError("nested too deeply") from None
    except (yaml.YAMLError, ValueError, KeyError, OverflowError) as error:
        raise ConfigError(" ".join(str(error).split())) from None
    finally:
        if loader is not None:
            loader.dispose()


def read_yaml(path: Union[str, os.PathLike]) -> dict:
    """Read a YAML file that holds one mapping; `ConfigError` names the file and line."""
    try:
        value = parse_yaml(read_text(path))
    except ConfigError as error:
        raise ConfigError(f"{path}: not YAML ({error})") from None
    except DataError as error:
        raise ConfigError(str(error)) from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: expected a mapping of settings")
    return value
