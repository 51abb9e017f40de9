"""Line finders by name: what tells where the lines of a page are."""

from dataclasses import replace
from typing import Any, Optional, Union

import numpy as np

from lm.base.errors import ConfigError
from lm.base.plugins import Plugin, Registry, Stage, missing_packages

from ..image.cutting import TextLine
from .base import LayoutConfig
from .find import find_lines

__all__ = ["LINE_FINDERS", "ClassicalFinder", "LineFinder", "build_finder",
           "can_find_lines", "finder_stage"]

#: Line finders by name; each entry is a `LineFinder` subclass, called with its settings.
LINE_FINDERS = Registry("line finder", "ocr.line_finders")


class LineFinder(Plugin):
    """Base of line finders; subclasses give `config_class` and `find`.

    Parameters
    ----------
    config : dataclass
        An instance of `config_class`.
    """

    def __init__(self, config):
        self.config = config

    def find(self, image: np.ndarray) -> list[TextLine]:
        """Return the lines of a page, in reading order.

        Parameters
        ----------
        image : numpy.ndarray
            Grey, uint8, (height, width); `ocr.layout.line_of_polygon` makes a `TextLine`.
        """
        raise NotImplementedError

    def quick(self, side: int) -> "LineFinder":
        """Return a faster finder for pictures of about `side` pixels; this one by default."""
        return self


class ClassicalFinder(LineFinder):
    """Even lighting, ink, skew, rows of ink: no training, no network."""

    config_class = LayoutConfig
    packages = ("skimage",)

    def find(self, image):
        """Return the lines of a page; see `find_lines`."""
        return find_lines(image, self.config)

    def quick(self, side):
        """Return a finder that looks at pages scaled down to `side` pixels."""
        return type(self)(replace(self.config, max_side=min(self.config.max_side, side)))


def finder_stage(name: Union[str, Stage] = "classical", settings: Any = None, **more) -> Stage:
    """Return a line finder's name with its settings; see `Registry.stage`."""
    return LINE_FINDERS.stage(name, settings, **more)


def can_find_lines(finder: Union[str, Stage, LineFinder] = "classical") -> bool:
    """Return whether all that a line finder needs is installed."""
    if isinstance(finder, LineFinder):
        return True
    stage = finder_stage(finder)
    return not missing_packages(LINE_FINDERS.get(stage.name).needs(stage.settings))


def build_finder(name: Union[str, Stage] = "classical", settings: Optional[Any] = None
                 ) -> LineFinder:
    """Build a line finder.

    Raises
    ------
    UnknownNameError
        No such finder; the message lists the known ones.
    ConfigError
        An unknown setting, a wrong type or value, or a package is missing.
    """
    stage = finder_stage(name, settings)
    cls = LINE_FINDERS.get(stage.name)
    if packages := missing_packages(cls.needs(stage.settings)):
        raise ConfigError(f"the line finder {stage.name} needs packages that are not installed: "
                          f"{packages}")
    return cls(stage.settings)
