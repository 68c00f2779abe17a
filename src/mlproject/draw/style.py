"""Colours, dashes, fonts and axes that all figures share.

Six colours stay apart under colour blindness (Okabe and Ito); with three dashes they style up to 18
classes. More classes are grey.
"""

from typing import NamedTuple

from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, PINK, VERMILION, SKY = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9",
)  # fmt: skip
COLORS = (BLUE, ORANGE, GREEN, PINK, VERMILION, SKY)
DASHES = ("", "5 2", "1.5 1.5")

# Okabe and Ito's green and blue; all four letters stay apart under red-green blindness.
LETTER_COLORS = {"A": GREEN, "C": BLUE, "G": "#EDA200", "T": "#CC3311"}
FONT = "DejaVu Sans"
SMALLEST = 6.5  # points: the smallest text that is readable on a printed page

# Text, from dark to light; axes and inactive lines; rules and baselines; grids; shaded ground.
INK, GREY, FAINT = "#1F2933", "#66727F", "#98A3AE"
PALE, RULE, GRID, BAND = "#B4BDC6", "#C5CCD3", "#E1E6EB", "#EEF2F5"
TRAIN, VALID = BLUE, VERMILION
SITE, OTHER_SITE = "#7A4FBF", "#B8BFC6"
LABEL_COLORS = {"relevant": INK, "other": GREY, "none": FAINT, "dead": FAINT}


class LineStyle(NamedTuple):
    """Colour and dash of a line (lengths in points, ``""`` = solid)."""

    color: str
    dash: str

    @property
    def pattern(self) -> str | tuple[int, tuple[float, ...]]:
        """The dash as matplotlib takes it."""
        return (0, tuple(float(part) for part in self.dash.split())) if self.dash else "solid"


def line_style(number: int) -> LineStyle:
    """Return the style of the line with this number; styles repeat after 18 lines."""
    dash = DASHES[number // len(COLORS) % len(DASHES)]
    return LineStyle(COLORS[number % len(COLORS)], dash)


def class_styles(count: int) -> list[LineStyle]:
    """Return a style for each of `count` classes."""
    if count > len(COLORS) * len(DASHES):
        return [LineStyle(PALE, "")] * count
    return [line_style(number) for number in range(count)]


def style_axes(axes: Axes, x: str, y: str, grid: bool = True) -> None:
    """Label both axes and draw spines, ticks and grid in the common style."""
    axes.set_xlabel(x, size=8.5, color=INK)
    axes.set_ylabel(y, size=8.5, color=INK)
    axes.tick_params(labelsize=8, color=PALE, labelcolor=GREY, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    if grid:
        axes.grid(color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)


def bare_axes(axes: Axes, x: tuple[float, float], y: tuple[float, float]) -> None:
    """Set the limits of axes that show neither ticks nor spines nor a background."""
    axes.set(xlim=x, ylim=y, xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.patch.set_visible(False)
