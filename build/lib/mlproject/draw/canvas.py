"""A page of many logos, measured in inches."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

from mlproject.draw.letters import LetterPaths, letter_heights
from mlproject.draw.style import RULE

LOWEST = 0.02


class Canvas:
    """A figure measured in inches from its top left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height), facecolor="white")
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.axes.axis("off")
        self._letters = LetterPaths()
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
        self._letters.add_logo(letter_heights(pwm), left, bottom, column, -bits / 2, LOWEST)

    def line(self, left: float, right: float, y: float) -> None:
        """Draw a thin horizontal line."""
        self._lines.append([(left, y), (right, y)])

    def band(self, left: float, right: float, top: float, bottom: float, color: str) -> None:
        """Shade a rectangle behind everything."""
        box = Rectangle((left, top), right - left, bottom - top, facecolor=color, linewidth=0)
        self.axes.add_patch(box).set_zorder(-1)

    def text(self, x: float, y: float, text: str, size: float, color: str, **more: Any) -> None:
        """Write a text that starts at `x` and is centred on the height `y`."""
        self.axes.text(x, y, text, **{"size": size, "color": color, "va": "center", **more})

    def finish(self) -> Figure:
        """Draw the collected letters and lines and return the figure."""
        self.axes.add_collection(LineCollection(self._lines, colors=RULE, linewidths=0.5))
        self._letters.draw(self.axes)
        return self.figure


@lru_cache(maxsize=4096)
def fitted(text: str, size: float, width: float, weight: str = "normal") -> str:
    """Return a text; an ellipsis replaces its end if the text is wider than `width` inches."""
    font = FontProperties(weight=weight)

    def inches(shown: str) -> float:
        return float(TextPath((0, 0), shown, size=size, prop=font).get_extents().width) / 72

    shown = text
    while len(text) > 1 and inches(shown) > width:
        text = text[:-1].rstrip(":-(")
        shown = f"{text}…"
    return shown
