"""Random distortions of a training line; every one can be switched off.

All geometry (translation, scale, shear, rotation, elastic warp) is folded into one
resampling. Sampling depends on the generator alone, so a sample keyed by
(seed, epoch, index) looks the same in whichever thread or process it is made.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from lm.base.settings import Range, Settings

from .preprocess import paper_of

__all__ = ["AugmentConfig", "augment", "augmented_width"]


@dataclass(frozen=True)
class AugmentConfig(Settings):
    """Strengths of the distortions; 0 switches one off.

    Attributes
    ----------
    probability : float
        Chance that a line is distorted at all.
    translate_x, translate_y : float
        Largest shift, as a share of the line's *height* (both axes: lines are far wider
        than high, so a share of the width would push words out of the picture).
    scale_x, scale_y : float
        Largest relative change of size; the canvas widens with `scale_x` and `translate_x`, so
        nothing is cut.
    shear : float
        Largest slant added, in radians (horizontal displacement per height).
    rotation : float
        Largest rotation, in degrees.
    elastic : float
        Standard deviation of the elastic displacement, as a share of the height.
    elastic_cell : float
        Distance of the elastic grid's nodes, as a share of the height.
    thickness : float
        Strength of the stroke thickening or thinning, 0..1.
    gamma : float
        Ink values are raised to a power in [1 / (1 + gamma), 1 + gamma].
    noise : float
        Standard deviation of grey noise, as a share of full ink.
    erase : float
        Mean number of blots for every ten heights of width. A blot is a box of one grey, paper
        to full ink, up to the whole height and half as wide; what it hides is read from what
        stands around it.
    """

    probability: Annotated[float, Range(0, 1)] = 0.9
    translate_x: Annotated[float, Range(0, 5)] = 0.1
    translate_y: Annotated[float, Range(0, 1)] = 0.06
    scale_x: Annotated[float, Range(0, 0.9)] = 0.15
    scale_y: Annotated[float, Range(0, 0.9)] = 0.12
    shear: Annotated[float, Range(0, 1.5)] = 0.35
    rotation: Annotated[float, Range(0, 45)] = 1.0
    elastic: Annotated[float, Range(0, 1)] = 0.025
    elastic_cell: Annotated[float, Range(above=0)] = 0.5
    thickness: Annotated[float, Range(0, 1)] = 0.7
    gamma: Annotated[float, Range(0, 10)] = 0.5
    noise: Annotated[float, Range(0, 1)] = 0.0
    erase: Annotated[float, Range(0, 10)] = 0.0


def _has_geometry(config):
    return bool(config.translate_x or config.translate_y or config.scale_x or config.scale_y
                or config.shear or config.rotation or config.elastic)


def _draw_geometry(height, width, config, rng):
    """Return (grow, squash, slant, angle, shift_x, shift_y, width of the result)."""
    grow = 1 + rng.uniform(-config.scale_x, config.scale_x)
    squash = 1 + rng.uniform(-config.scale_y, config.scale_y)
    slant = np.tan(rng.uniform(-config.shear, config.shear))
    angle = np.deg2rad(rng.uniform(-config.rotation, config.rotation))
    # A long line leaves the picture at an angle that a word would bear.
    angle *= min(1.0, 8 * height / max(width, 1))
    shift_x = rng.uniform(-config.translate_x, config.translate_x) * height
    shift_y = rng.uniform(-config.translate_y, config.translate_y) * height
    # Room for the slanted ends and the shift: no letter leaves the picture.
    room = int(np.ceil(abs(slant) * height / 2 + abs(shift_x)))
    out_width = max(1, int(round(width * grow)) + 2 * room)
    return grow, squash, slant, angle, shift_x, shift_y, out_width


def _geometry(ink, config, rng):
    """Warp by one random mesh: rows of quadrilaterals mapped back to the source."""
    # One resampling for all, elastic displacement included. scikit-image's warp does that for 261
    # lines of Copiste a second of one core, this mesh for 580 (experiments/benchmarks/loading.py
    # --distortions): 2.1 ms more a line, where two cores train a line in 31 ms and share them.
    from PIL import Image

    height, width = ink.shape
    grow, squash, slant, angle, shift_x, shift_y, out_width = _draw_geometry(
        height, width, config, rng)
    cell = max(4.0, config.elastic_cell * height)
    columns = max(1, int(round(out_width / cell)))
    rows = max(1, int(round(height / cell)))
    xs = np.linspace(0, out_width, columns + 1).round().astype(int)
    ys = np.linspace(0, height, rows + 1).round().astype(int)
    grid_x, grid_y = np.meshgrid(xs.astype(float), ys.astype(float))
    # Target -> source: undo centre, rotation, slant, scale, shift.
    dx = grid_x - out_width / 2 - shift_x
    dy = grid_y - height / 2 - shift_y
    cos, sin = np.cos(angle), np.sin(angle)
    dx, dy = cos * dx + sin * dy, -sin * dx + cos * dy
    dx = dx + slant * dy
    source_x = dx / grow + width / 2
    source_y = dy / squash + height / 2
    if config.elastic > 0:
        spread = config.elastic * height
        source_x += rng.normal(0, spread, source_x.shape)
        source_y += rng.normal(0, spread, source_y.shape)
    mesh = []
    for r in range(rows):
        for c in range(columns):
            box = (xs[c], ys[r], xs[c + 1], ys[r + 1])
            if box[0] == box[2] or box[1] == box[3]:
                continue
            corners = ((r, c), (r + 1, c), (r + 1, c + 1), (r, c + 1))
            quad = [v for i, j in corners for v in (source_x[i, j], source_y[i, j])]
            mesh.append((tuple(int(v) for v in box), quad))
    paper = int(paper_of(ink))
    image = Image.fromarray(ink - np.minimum(ink, paper))
    warped = image.transform((out_width, height), Image.MESH, mesh, Image.BILINEAR)
    return np.minimum(np.asarray(warped).astype(np.int16) + paper, 255).astype(np.uint8)


def _thickness(ink, config, rng):
    """Blend with a one-pixel dilation or erosion."""
    from PIL import Image, ImageFilter

    strength = rng.uniform(-config.thickness, config.thickness)
    image = Image.fromarray(ink)
    filtered = image.filter(ImageFilter.MaxFilter(3) if strength > 0 else ImageFilter.MinFilter(3))
    # Thinning eats faint lines quickly, so it gets half the range.
    weight = strength if strength > 0 else -strength / 2
    return np.asarray(Image.blend(image, filtered, weight))


def _erase(ink, config, rng):
    """Cover boxes, each with one grey between paper and full ink."""
    height, width = ink.shape
    ink = ink.copy()
    for _ in range(rng.poisson(config.erase * width / (10 * height))):
        tall = max(1, round(rng.uniform(0.2, 1) * height))
        wide = max(1, round(rng.uniform(0.1, 0.5) * height))
        top, left = rng.integers(height - tall + 1), rng.integers(max(1, width - wide + 1))
        # Ink is bright, and half of the blots leave bare paper.
        ink[top:top + tall, left:left + wide] = max(0, rng.integers(-256, 256))
    return ink


def augment(ink: np.ndarray, config: AugmentConfig, rng: np.random.Generator) -> np.ndarray:
    """Distort an ink-bright line.

    Parameters
    ----------
    ink : numpy.ndarray
        uint8, (height, width), ink bright on dark paper, as `prepare_line` makes it.
    config : AugmentConfig
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray
        uint8, (height, new width).
    """
    if rng.uniform() >= config.probability:
        return ink
    if _has_geometry(config):
        ink = _geometry(ink, config, rng)
    if config.thickness > 0:
        ink = _thickness(ink, config, rng)
    if config.gamma > 0:
        from skimage.exposure import adjust_gamma

        ink = adjust_gamma(ink, (1 + config.gamma) ** rng.uniform(-1, 1))
    if config.noise > 0:
        noisy = ink + rng.normal(0, 255 * config.noise, ink.shape)
        ink = np.clip(noisy, 0, 255).round().astype(np.uint8)
    if config.erase > 0:
        ink = _erase(ink, config, rng)
    return ink


def augmented_width(height: int, width: int, config: AugmentConfig,
                    rng: np.random.Generator) -> int:
    """Return the width of what `augment` makes with a generator in the same state, unmade.

    Parameters
    ----------
    height, width : int
        Of the line, in pixels.
    config : AugmentConfig
    rng : numpy.random.Generator

    Returns
    -------
    int
    """
    if rng.uniform() >= config.probability or not _has_geometry(config):
        return width
    return _draw_geometry(height, width, config, rng)[-1]
