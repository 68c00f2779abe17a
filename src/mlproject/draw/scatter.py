"""Measured against predicted values, with their density: as a figure and as inline SVG."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_hex
from matplotlib.figure import Figure

from mlproject.draw.style import BLUE, GREY, INK, style_axes
from mlproject.draw.svg import Line, Scale, chart, nice_ticks
from mlproject.network.value_scores import Density, ValueScore

DARK = LinearSegmentedColormap.from_list("density", ["#D6E6F2", BLUE, "#06263D"])
COLUMNS = 3
LEVELS = 24  # colours of a density in SVG


def scatter_figure(
    rows: Sequence[ValueScore], found: Sequence[Density], units: Sequence[str]
) -> Figure:
    """Draw measured against predicted values of each output; darker: more sequences."""
    columns = min(len(found), COLUMNS)
    lines = -(-len(found) // columns)
    figure = Figure(
        figsize=(3.1 * columns + 0.4, 3.1 * lines + 0.3), layout="constrained", facecolor="white"
    )
    grid = np.atleast_1d(figure.subplots(lines, columns, squeeze=False)).ravel()
    for axes in grid[len(found) :]:
        axes.set_axis_off()
    for number, (axes, row, one) in enumerate(zip(grid, rows, found, strict=False)):
        limits = (one.low, one.high)
        shown = np.ma.masked_equal(one.counts.T, 0)
        axes.imshow(
            shown, origin="lower", extent=(*limits, *limits), cmap=DARK, aspect="equal",
            norm=LogNorm(1, max(int(one.counts.max()), 2)), interpolation="nearest", zorder=2,
        )  # fmt: skip
        axes.plot(limits, limits, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
        unit = f", {units[number]}" if units and units[number] else ""
        style_axes(axes, f"Measured{unit}", f"Predicted{unit}")
        axes.set_title(f"{one.name}: {caption(row)}", size=8.5, color=INK, loc="left")
    return figure


def scatter_charts(
    rows: Sequence[ValueScore], found: Sequence[Density], units: Sequence[str]
) -> list[Markup]:
    """Return the same as `scatter_figure` as SVG elements, one for each output."""
    charts = []
    for number, (row, one) in enumerate(zip(rows, found, strict=True)):
        ticks = nice_ticks(one.low, one.high, 5)
        unit = f", {units[number]}" if units and units[number] else ""
        x = Scale(f"Measured{unit}", one.low, one.high, ticks)
        y = Scale(f"{one.name}, predicted{unit} ({caption(row)})", one.low, one.high, ticks)
        line = np.array([[one.low, one.low], [one.high, one.high]])
        charts.append(
            chart(
                [Line(line, GREY, "measured = predicted", "4 3", 1.0)],
                x,
                y,
                f"Measured and predicted values of {one.name}",
                size=(440, 400),
                cells=_cells(one),
            )
        )
    return charts


def caption(row: ValueScore) -> str:
    """Return Pearson's correlation and R2 of an output as text."""
    if row.pearson is None or row.r2 is None:
        return "constant"
    return f"r {row.pearson:.3f}, R² {row.r2:.3f}".replace("-", "−")


def _cells(one: Density) -> list[tuple[float, float, float, float, str]]:
    """Return left, bottom, right, top and colour of each cell that holds a pair."""
    step = (one.high - one.low) / len(one.counts)
    most = np.log(max(int(one.counts.max()), 2))
    shades = [to_hex(DARK(level / (LEVELS - 1))) for level in range(LEVELS)]
    cells = []
    for x, y in np.argwhere(one.counts):
        level = round(np.log(one.counts[x, y]) / most * (LEVELS - 1))
        left, bottom = one.low + x * step, one.low + y * step
        cells.append((left, bottom, left + step, bottom + step, shades[level]))
    return cells
