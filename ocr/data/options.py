"""Options that several sources have, and their checks."""

from lm.base.errors import ConfigError

__all__ = ["CASES", "check_choice", "check_whole"]

#: What becomes of a label's letters, by name.
CASES = {"keep": str, "lower": str.lower, "upper": str.upper}


def check_choice(source, name, value, known):
    """Raise `ConfigError` unless the option `name` of `source` is one of `known`."""
    if value not in tuple(known):
        raise ConfigError(f"unknown {source} {name} {value!r}; known: {', '.join(known)}")


def check_whole(source, least, **numbers):
    """Raise `ConfigError` unless each keyword is a whole number of at least `least`."""
    for name, value in numbers.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(f"{source} {name} is {value!r}; expected a whole number of at "
                              f"least {least}")
