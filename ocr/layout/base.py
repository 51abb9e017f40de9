"""How lines are found on a page: the settings."""

from dataclasses import dataclass
from typing import Annotated

from lm.base.errors import ConfigError
from lm.base.settings import Range, Settings

__all__ = ["LayoutConfig"]


@dataclass(frozen=True)
class LayoutConfig(Settings):
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

    max_side: Annotated[int, Range(100)] = 2400
    max_skew: Annotated[float, Range(0, 45)] = 15.0
    min_x_height: Annotated[int, Range(1)] = 4
    max_x_height: int = 200
    # Letters are as high as an x.
    ascent: Annotated[float, Range(1, 10)] = 2.7
    descent: Annotated[float, Range(0, 10)] = 1.2
    margin: Annotated[float, Range(0, 10)] = 0.6
    gap: Annotated[float, Range(above=0)] = 12.0
    min_contrast: Annotated[float, Range(above=0, below=255)] = 20.0
    rules: bool = True

    def __post_init__(self):
        super().__post_init__()
        if self.min_x_height > self.max_x_height:
            raise ConfigError("layout: max_x_height must be at least min_x_height")
