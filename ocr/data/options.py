"""Types of options that several sources have."""

from collections.abc import Callable
from typing import Annotated, Literal, Union

from lm.base.settings import Range

__all__ = ["CASES", "Case", "Count", "OnError", "Paths", "Seed"]

#: What becomes of a label's letters, by name.
CASES: dict[str, Callable[[str], str]] = {"keep": str, "lower": str.lower, "upper": str.upper}

Case = Literal["keep", "lower", "upper"]
OnError = Literal["skip", "raise"]
Count = Annotated[int, Range(1)]
Seed = Annotated[int, Range(0)]
#: One or several.
Paths = Union[str, tuple[str, ...]]
