"""How lines are found on a page: the settings."""

from dataclasses import dataclass

from lm.base.errors import ConfigError

__all__ = ["LayoutConfig"]


@dataclass(frozen=True)
class LayoutConfig:
    """How lines are found on a page. Lengths are in x-heights unless another unit is named.

    Attributes
    ----------
    max_side : int
        Pixels; larger images are scaled down to this to find the lines, not to cut them out.
    max_skew : float
        Largest angle of the page that is looked for, in degrees.
    min_x_height, max_x_height : int
        Pixels at the scale of the search; smaller writing is taken for noise.
    ascent, descent : float
        How far a line's crop reaches above and below its baseline. Ink that reaches further
        widens it. The defaults give what lines cut by baselines look like (Copiste, most of
        PAGE XML); a network trained on lines cut to their ink reads better with less.
    margin : float
        Paper left and right of the ink.
    gap : float
        Pieces of one row further apart than this are separate lines.
    min_contrast : float
        Grey levels of 255 by which ink must differ from the paper.
    rules : bool
        Ruled lines and frames are no text.
    """

    max_side: int = 2400
    max_skew: float = 15.0
    min_x_height: int = 4
    max_x_height: int = 200
    ascent: float = 2.7
    descent: float = 1.2
    margin: float = 0.6
    gap: float = 12.0
    min_contrast: float = 20.0
    rules: bool = True

    def __post_init__(self):
        if self.max_side < 100:
            raise ConfigError("layout: max_side must be at least 100 pixels")
        if not 0 <= self.max_skew <= 45:
            raise ConfigError("layout: max_skew must lie in 0..45 degrees")
        if not 1 <= self.min_x_height <= self.max_x_height:
            raise ConfigError("layout: 1 <= min_x_height <= max_x_height is needed")
        for name in ("ascent", "descent", "margin"):
            if not 0 <= getattr(self, name) <= 10:
                raise ConfigError(f"layout: {name} must lie in 0..10 x-heights")
        if self.ascent < 1:
            raise ConfigError("layout: ascent must be at least 1: letters are that high")
        if self.gap <= 0 or not 0 < self.min_contrast < 255:
            raise ConfigError("layout: gap must be positive and min_contrast lie in 0..255")
