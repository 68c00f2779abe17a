"""A page of many logos, drawn at once: all letters of one colour are a single path.

logomaker makes an object of every letter, which is right for one logo and takes half a minute for
a page of a hundred. The outlines are the same.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from mlproject.draw.logos import COLORS, FONT, heights

LINE = "#C5CCD3"
LOWEST = 0.02
SMALLEST = 6.5


class Canvas:
    """A figure measured in inches from its top left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height), facecolor="white")
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.axes.axis("off")
        self._letters: dict[str, list[Path]] = {letter: [] for letter in COLORS}
        self._lines: list[Sequence[tuple[float, float]]] = []

    def logo(self, pwm: np.ndarray, left: float, bottom: float, column: float, bits: float) -> None:
        """Draw a logo.

        Args:
            pwm: (width, 4).
            left: where its first column starts, inches.
            bottom: its baseline, inches.
            column: width of a column, inches.
            bits: height of two bits, inches.
        """
        for number, values in enumerate(heights(pwm)):
            floor = bottom
            for letter in np.argsort(values, kind="stable"):
                if values[letter] >= LOWEST:
                    height = values[letter] / 2 * bits
                    self._add("ACGT"[letter], left + number * column, floor, column * 0.96, height)
                    floor -= height

    def line(self, left: float, right: float, y: float) -> None:
        """Draw a thin horizontal line."""
        self._lines.append([(left, y), (right, y)])

    def band(self, left: float, right: float, top: float, bottom: float, color: str) -> None:
        """Shade a rectangle behind everything."""
        box = Rectangle((left, top), right - left, bottom - top, facecolor=color, linewidth=0)
        self.axes.add_patch(box).set_zorder(-1)

    def text(self, x: float, y: float, text: str, size: float, color: str, **more: Any) -> None:
        """Write, by default from `x` on and with the middle of the line at `y`."""
        self.axes.text(x, y, text, **{"size": size, "color": color, "va": "center", **more})

    def finish(self) -> Figure:
        """Return the figure with all that was drawn."""
        self.axes.add_collection(LineCollection(self._lines, colors=LINE, linewidths=0.5))
        for letter, paths in self._letters.items():
            if paths:
                whole = Path.make_compound_path(*paths)
                self.axes.add_patch(PathPatch(whole, facecolor=COLORS[letter], linewidth=0))
        return self.figure

    def _add(self, letter: str, left: float, floor: float, width: float, height: float) -> None:
        shape = _outline(letter)
        points = np.asarray(shape.vertices, float) * [width, -height] + [left, floor]
        self._letters[letter].append(Path(points, shape.codes))


@lru_cache(maxsize=4096)
def fitted(text: str, size: float, width: float, weight: str = "normal") -> str:
    """Return a text, its end replaced by an ellipsis if it is wider than `width` inches."""
    font = FontProperties(weight=weight)

    def wide(shown: str) -> float:
        return float(TextPath((0, 0), shown, size=size, prop=font).get_extents().width) / 72

    shown = text
    while len(text) > 1 and wide(shown) > width:
        text = text[:-1].rstrip(":-(")
        shown = f"{text}…"
    return shown


@lru_cache
def _outline(letter: str) -> Path:
    """Return a letter's outline in the unit square, y upwards."""
    path = TextPath((0, 0), letter, size=1, prop=FontProperties(family=FONT, weight="bold"))
    low, high = np.array(path.get_extents().get_points())
    ends = path.codes == Path.CLOSEPOLY
    points = (np.asarray(path.vertices) - low) / (high - low)
    points[ends] = 0.0
    return Path(points, path.codes)
