"""Letters of logos: one outline of each letter, one way to stack letters in a column.

All logos, tracks and inline SVG use this module. The outlines are those of logomaker's glyphs. The
letters of one colour become one path, which matplotlib draws about 20 times as fast as a patch a
letter.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from mlproject.draw.style import FONT, LETTER_COLORS
from mlproject.motifs.pwm import information
from mlproject.sequence import LETTERS
from mlproject.system.interrupts import check_interrupts

FILL = 0.96
SVG_COMMANDS = {
    Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z",
}  # fmt: skip


class PlacedLetter(NamedTuple):
    """A letter in a column of a logo, from `bottom` upwards, in the units of the heights."""

    letter: str
    column: int
    bottom: float
    height: float


def letter_heights(pwm: np.ndarray) -> np.ndarray:
    """Return the height of each letter in a logo, (width, 4), bits: probability x information."""
    return pwm * information(pwm)[:, None]


def stack_letters(heights: np.ndarray, lowest: float) -> Iterator[PlacedLetter]:
    """Stack the letters of each column, the largest on top.

    Args:
        heights: (width, 4); letters with a negative height hang below the baseline, upright.
        lowest: letters below this absolute height are left out: they cannot be seen.
    """
    shown = np.where(np.abs(heights) >= lowest, heights, 0.0)
    for column, values in enumerate(shown):
        bottom = float(values.clip(max=0.0).sum())
        for code in np.argsort(values, kind="stable"):
            height = abs(float(values[code]))
            if height:
                yield PlacedLetter(LETTERS[code], column, bottom, height)
                bottom += height


@lru_cache
def letter_outline(letter: str) -> Path:
    """Return the outline of a glyph of logomaker that fills the unit square; y points upwards."""
    from logomaker import Glyph

    axes = Figure().add_subplot()
    path = Glyph(0.5, letter, 0, 1, ax=axes, width=1, font_name=FONT).patch.get_path()
    points = np.array(path.vertices)
    points[path.codes == Path.CLOSEPOLY] = 0.0
    return Path(points, path.codes)


class LetterPaths:
    """The letters of one or more logos, collected and then drawn as one path a colour."""

    def __init__(self) -> None:
        self._paths: dict[str, list[Path]] = {letter: [] for letter in LETTER_COLORS}

    def add_logo(
        self, heights: np.ndarray, left: float, baseline: float, column: float, unit: float,
        lowest: float,
    ) -> None:  # fmt: skip
        """Add a logo.

        Args:
            heights: (width, 4).
            left: where its first column starts, in the units of the axes.
            baseline: y of its baseline.
            column: width of a column.
            unit: y of a height of 1; negative where y points downwards.
            lowest: see `stack_letters`.
        """
        check_interrupts()
        for one in stack_letters(heights, lowest):
            outline = letter_outline(one.letter)
            corner = (left + (one.column + (1 - FILL) / 2) * column, baseline + one.bottom * unit)
            points = np.asarray(outline.vertices) * (FILL * column, one.height * unit) + corner
            self._paths[one.letter].append(Path(points, outline.codes))

    def draw(self, axes: Axes) -> None:
        """Draw all letters; the limits of the axes stay."""
        for letter, paths in self._paths.items():
            if paths:
                path = Path.make_compound_path(*paths)
                axes.add_artist(PathPatch(path, facecolor=LETTER_COLORS[letter], linewidth=0))


def draw_letters(axes: Axes, heights: np.ndarray, first: float = 0.0, lowest: float = 0.01) -> None:
    """Draw letters of `heights` (columns, 4), the first column centred at x = `first`."""
    letters = LetterPaths()
    letters.add_logo(heights, first - 0.5, 0.0, 1.0, 1.0, lowest)
    letters.draw(axes)


@lru_cache
def svg_letters() -> Markup:
    """Return the hidden SVG element that defines the four letters, once for a page."""
    symbols = []
    for letter, color in LETTER_COLORS.items():
        commands = []
        for points, code in letter_outline(letter).iter_segments():
            unit = points.reshape(-1, 2) * (1, -1) + (0, 1)
            numbers = "" if code == Path.CLOSEPOLY else svg_numbers(unit.ravel(), 3)
            commands.append(SVG_COMMANDS[Path.code_type(code)] + numbers)
        symbols.append(f'<path id="{letter}" fill="{color}" d="{"".join(commands)}"/>')
    return Markup(
        '<svg width="0" height="0" class="hidden" aria-hidden="true"><defs>{}</defs></svg>'
    ).format(Markup("").join(Markup(symbol) for symbol in symbols))


def svg_numbers(values: np.ndarray | tuple[float, ...], digits: int) -> str:
    """Return numbers for an SVG attribute, without trailing zeros."""
    return " ".join(f"{value:.{digits}f}".rstrip("0").rstrip(".") or "0" for value in values)
