"""Finding lines with a small network: where their cores lie, how high they are.

The network (`ocr.models.pages.PageNetwork`, exported to ONNX) marks, a cell for four pixels, the
core of each line: the band from its baseline to half its height. Connected cells are a line.
"""

from __future__ import annotations

import functools
import math
import os
from dataclasses import dataclass

import numpy as np

from lm.base.errors import ConfigError, ModelError

from ..image.cutting import TextLine, line_of_polygon
from ..image.load import as_grey
from .finders import LineFinder

__all__ = ["LearntConfig", "LearntFinder"]

_FILE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "weights",
                     "lines", "lines.onnx")
#: Longest side at which the network sees a page, and what both sides are a multiple of.
LONGEST, MULTIPLE = 1000, 32
#: Pixels a cell.
CELL = 4
#: Least probability of a core cell, and levels at which cores that touch are cut apart.
CORE, LEVELS = 0.5, (0.65, 0.8, 0.9)
#: Where the core's middle lies above the baseline, as a share of the height above it, and how
#: high the core is.
MIDDLE, THICKNESS = 0.2, 0.6
#: How far crops reach above and below, in the mean heights there: single letters reach further.
REACH = (1.3, 1.3)


@dataclass(frozen=True)
class LearntConfig:
    """Settings of the line finder ``learnt``.

    Attributes
    ----------
    model : str
        ONNX file of ``experiments/line_finder.py``; the one that comes with the library by default.
    certainty : float
        Least mean probability of a line's core, 0..1.
    length : float
        Least length of a line, in heights above its baseline.
    threads : int
        Of one run of the network; 0 for one a core.
    """

    model: str = _FILE
    certainty: float = 0.78
    length: float = 0.5
    threads: int = 0

    def __post_init__(self):
        if not 0 <= self.certainty <= 1 or not 0 <= self.length <= 100:
            raise ConfigError("learnt: certainty must lie in 0..1, length in 0..100")
        if self.threads < 0:
            raise ConfigError("learnt: threads must not be negative")


@functools.lru_cache(maxsize=2)
def _session(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - onnxruntime's errors share no base
        raise ModelError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None


class LearntFinder(LineFinder):
    """A small network on onnxruntime; reads pages that the classical finder does not."""

    config_class = LearntConfig
    packages = ("onnxruntime", "skimage")

    def maps(self, grey: np.ndarray) -> np.ndarray:
        """Run the network on a page at its own size.

        Parameters
        ----------
        grey : numpy.ndarray
            uint8, (height, width), `LONGEST` pixels at most.

        Returns
        -------
        numpy.ndarray
            float32, (3, height / 4, width / 4): probability of a core, height above and below
            the baseline in pixels.
        """
        height, width = grey.shape
        values = grey.astype(np.float32)
        padded = np.zeros((-(-height // MULTIPLE) * MULTIPLE, -(-width // MULTIPLE) * MULTIPLE),
                          np.float32)
        padded[:height, :width] = (values - values.mean()) / (values.std() + 8)
        maps = _session(self.config.model, self.config.threads).run(
            ["maps"], {"pages": padded[None, None]})[0]
        maps = maps[0, :, :-(-height // CELL), :-(-width // CELL)]
        return np.concatenate([1 / (1 + np.exp(-maps[:1])), CELL * np.exp(maps[1:])])

    def find(self, image: np.ndarray) -> list[TextLine]:
        """Return the lines of a page, in the order of reading."""
        grey = as_grey(image)
        small, scale = _shrunk(grey)
        maps = self.maps(small)
        found = _joined([_Found(cells, maps) for cells in _cores(maps[0], maps[1])])
        found = [line for line in found if line.certainty >= self.config.certainty
                 and line.right - line.left >= self.config.length * line.above]
        size = (grey.shape[1], grey.shape[0])
        return [line_of_polygon(line.polygon() / scale, line.baseline() / scale, order, size)
                for order, line in enumerate(_in_order(found))]


def _shrunk(grey):
    """Return the page as the network sees it, and its scale."""
    from PIL import Image

    scale = LONGEST / max(grey.shape)
    if scale >= 1:
        # Small pages are not blown up: their writing has the size it has.
        return grey, 1.0
    size = tuple(max(8, round(side * scale)) for side in grey.shape[::-1])
    return np.asarray(Image.fromarray(grey).resize(size, Image.BOX if scale < 0.5
                                                   else Image.BILINEAR)), scale


def _cores(probability, above):
    """Return the cells (rows, columns) of each core; cores that touch are cut apart."""
    from skimage.measure import label, regionprops

    cores = []
    waiting = [(region.coords, 0) for region in regionprops(label(probability >= CORE,
                                                                  connectivity=2))]
    while waiting:
        cells, level = waiting.pop()
        rows, columns = cells.T
        expected = THICKNESS * float(np.median(above[rows, columns])) / CELL
        counts = np.bincount(columns - columns.min())
        if level < len(LEVELS) and np.percentile(counts, 75) > 1.6 * expected + 1:
            sure = np.zeros(probability.shape, bool)
            sure[rows, columns] = probability[rows, columns] >= LEVELS[level]
            parts = [region.coords for region in regionprops(label(sure, connectivity=2))
                     if region.area >= 6]
            if parts:
                waiting += [(part, level + 1) for part in parts]
                continue
        cores.append((rows, columns))
    return cores


class _Found:
    """A core: its middle, column by column, and the line's heights; in pixels of the small page.

    Parameters
    ----------
    cells : tuple of numpy.ndarray
        Rows and columns.
    maps : numpy.ndarray
        As `LearntFinder.maps` returns them.
    """

    def __init__(self, cells, maps):
        rows, columns = cells
        weight = maps[0][rows, columns]
        self.cells, self.certainty = len(rows), float(weight.mean())
        self.above = float(np.median(maps[1][rows, columns]))
        self.below = float(np.median(maps[2][rows, columns]))
        first = columns.min()
        total = np.bincount(columns - first, weight)
        there = total > 0
        x = np.flatnonzero(there) + first
        middle = np.bincount(columns - first, weight * rows)[there] / total[there]
        self.x, self.y = (x + 0.5) * CELL, (middle + 0.5) * CELL + MIDDLE * self.above

    @property
    def left(self):
        """Left end of the baseline."""
        return self.x[0] - CELL / 2

    @property
    def right(self):
        """Right end of the baseline."""
        return self.x[-1] + CELL / 2

    def join(self, other):
        """Return this line and one to its right as one."""
        both = object.__new__(_Found)
        both.x, both.y = np.concatenate([self.x, other.x]), np.concatenate([self.y, other.y])
        order = np.argsort(both.x, kind="stable")
        both.x, both.y = both.x[order], both.y[order]
        share = self.cells / (self.cells + other.cells)
        for name in ("above", "below", "certainty"):
            setattr(both, name, share * getattr(self, name) + (1 - share) * getattr(other, name))
        both.cells = self.cells + other.cells
        return both

    def baseline(self):
        """Return points (N, 2) of the smoothed baseline."""
        length = self.right - self.left
        count = int(np.clip(round(length / (3 * self.above)), 1, 12)) + 1
        xs = np.linspace(self.left, self.right, count)
        if count == 2:
            slope, height = np.polyfit(self.x, self.y, 1) if len(self.x) > 3 else \
                (0.0, float(self.y.mean()))
            return np.stack([xs, slope * xs + height], 1)
        # Local lines, by least squares within a few letters.
        reach = max(1.5 * length / (count - 1), 2 * CELL)
        ys = []
        for x in xs:
            near = np.maximum(1 - np.abs(self.x - x) / reach, 1e-6)
            slope, height = np.polyfit(self.x - x, self.y, 1, w=np.sqrt(near))
            ys.append(height)
        return np.stack([xs, ys], 1)

    def polygon(self):
        """Return the outline (N, 2): the baseline, moved up and down."""
        line = self.baseline()
        pad = np.zeros_like(line)
        pad[0, 0], pad[-1, 0] = -0.15 * self.above, 0.15 * self.above
        line = line + pad
        along = line[-1] - line[0]
        normal = np.array([along[1], -along[0]]) / max(math.hypot(*along), 1e-6)
        return np.concatenate([line + REACH[0] * self.above * normal,
                               (line - REACH[1] * self.below * normal)[::-1]])


def _joined(lines):
    """Join pieces of one line: side by side, at one height, hardly apart."""
    lines = sorted(lines, key=lambda line: line.left)
    done = []
    while lines:
        line = lines.pop(0)
        for number, other in enumerate(lines):
            size = min(line.above, other.above)
            gap = other.left - line.right
            if -size < gap < 1.2 * size and \
                    abs(np.mean(other.y[:6]) - np.mean(line.y[-6:])) < 0.35 * size:
                lines[number] = line.join(other)
                break
        else:
            done.append(line)
    return done


def _in_order(lines):
    """Sort from the top down; lines beside each other from left to right, by columns."""
    return sorted(lines, key=lambda line: (float(np.median(line.y)), line.left))
