"""Figures of embedded motifs: effects, positions, copies, pairs, spacings."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlproject.draw.style import (
    GREY,
    INK,
    PALE,
    RULE,
    LineStyle,
    class_styles,
    line_style,
    style_axes,
)

Row = dict[str, Any]

CELL = 0.52  # inches
MOST_NUMBERS = 400  # cells with numbers
COLUMNS = 3
MAP = "RdBu_r"


def heat_figure(
    rows: Sequence[Row], value: str, title: str, note: str, label: Callable[[Row], str]
) -> Figure:
    """Draw a value for each label (down) and class (across); bold where the interval excludes 0.

    Args:
        rows: with ``class``, `value`, ``low`` and ``high``.
        value: name of the drawn column, logits.
        title: text above.
        note: a line below the title.
        label: gives the label of a row.
    """
    labels = list(dict.fromkeys(label(row) for row in rows))
    classes = list(dict.fromkeys(row["class"] for row in rows))
    table = np.full((len(labels), len(classes)), np.nan)
    sure = np.zeros(table.shape, bool)
    for row in rows:
        place = labels.index(label(row)), classes.index(row["class"])
        table[place] = row[value]
        sure[place] = row["low"] > 0 or row["high"] < 0
    left = 0.3 + 0.075 * max(map(len, labels))
    below = 0.35 + 0.062 * max(map(len, classes))
    width = max(left + CELL * len(classes) + 0.9, 4.2)
    height = 0.62 + 0.3 * len(labels) + below
    figure = Figure(figsize=(width, height), facecolor="white")
    box = (left / width, below / height, CELL * len(classes) / width, 0.3 * len(labels) / height)
    axes = figure.add_axes(box)
    most = float(np.nanmax(np.abs(table), initial=1e-9))
    image = axes.imshow(table, MAP, aspect="auto", vmin=-most, vmax=most)
    axes.set_xticks(range(len(classes)), classes, rotation=90, size=8, color=INK)
    axes.set_yticks(range(len(labels)), labels, size=8, color=INK)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if table.size <= MOST_NUMBERS:
        for (down, across), number in np.ndenumerate(table):
            if np.isfinite(number):
                text = f"{round(number, 1) + 0.0:.1f}".replace("-", "−")
                axes.text(
                    across, down, text, ha="center", va="center", size=6.5,
                    color="white" if abs(number) > 0.6 * most else INK,
                    weight="bold" if sure[down, across] else "normal",
                )  # fmt: skip
    scale = (left + CELL * len(classes) + 0.15) / width
    bar = figure.colorbar(image, cax=figure.add_axes((scale, box[1], 0.11 / width, box[3])))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, length=2, color=GREY, labelcolor=GREY)
    _head(figure, title, note)
    return figure


def profile_figure(
    rows: Sequence[Row],
    across: str,
    panels: str,
    title: str,
    note: str,
    x: str,
    shown: Sequence[str],
) -> Figure:
    """Draw effects against a number, a panel for each motif and a line for each class.

    Args:
        rows: with `across`, `panels`, ``class``, ``effect``, ``low`` and ``high``.
        across: name of the column on the x axis.
        panels: name of the column that makes panels.
        title: text above.
        note: a line below the title.
        x: label of the x axis.
        shown: all classes, for the colours. The classes with the three largest effects of a panel
            are named; the others are grey.
    """
    names = list(dict.fromkeys(row[panels] for row in rows))
    styles = dict(zip(shown, class_styles(len(shown)), strict=True))
    figure, grid = _grid(len(names))
    for axes, name in zip(grid, names, strict=False):
        own = [row for row in rows if row[panels] == name]
        strength = {one: max(abs(r["effect"]) for r in own if r["class"] == one) for one in shown}
        named = sorted(shown, key=lambda one: -strength[one])[:3]
        for one in sorted(shown, key=lambda one: strength[one]):
            points = [row for row in own if row["class"] == one]
            style = styles[one] if one in named else LineStyle(PALE, "")
            _line(axes, points, across, "effect", style, one if one in named else "")
        _finish(axes, name, x, "effect, logit")
    for axes in grid[len(names) :]:
        axes.set_axis_off()
    _head(figure, title, note)
    return figure


def spacing_figure(rows: Sequence[Row], title: str, note: str) -> Figure:
    """Draw interactions of pairs against their gap, a line for each orientation.

    A panel shows a pair and the class with its largest interaction.
    """
    pairs = list(dict.fromkeys((row["motif"], row["other"]) for row in rows))
    figure, grid = _grid(len(pairs))
    for axes, pair in zip(grid, pairs, strict=False):
        own = [row for row in rows if (row["motif"], row["other"]) == pair]
        best = max(own, key=lambda row: abs(row["interaction"]))["class"]
        for number, strands in enumerate(("++", "+-", "-+", "--")):
            points = [row for row in own if row["class"] == best and row["strands"] == strands]
            label = strands.replace("-", "−")
            _line(axes, points, "gap", "interaction", line_style(number), label)
        _finish(axes, f"{' and '.join(pair)}: {best}", "gap, nt", "interaction, logit")
    for axes in grid[len(pairs) :]:
        axes.set_axis_off()
    _head(figure, title, note)
    return figure


def _grid(count: int) -> tuple[Figure, list[Axes]]:
    columns = min(COLUMNS, max(count, 1))
    rows = -(-count // columns)
    figure = Figure(figsize=(max(3.0 * columns, 4.5), 2.3 * rows + 0.55), facecolor="white")
    axes = figure.subplots(rows, columns, squeeze=False)
    tall = figure.get_figheight()
    figure.subplots_adjust(
        top=1 - 0.75 / tall, bottom=0.5 / tall, hspace=0.55, wspace=0.36,
        left=0.62 / figure.get_figwidth(), right=0.98,
    )  # fmt: skip
    return figure, list(axes.ravel())


def _line(axes: Axes, points: Sequence[Row], x: str, y: str, style: Any, label: str) -> None:
    across = [row[x] for row in points]
    axes.plot(
        across, [row[y] for row in points], color=style.color, linestyle=style.pattern,
        linewidth=1.1, label=label or "_", marker="o", markersize=2,
    )  # fmt: skip
    low, high = ([row[end] for row in points] for end in ("low", "high"))
    axes.fill_between(across, low, high, color=style.color, alpha=0.15, linewidth=0)


def _finish(axes: Axes, title: str, x: str, y: str) -> None:
    style_axes(axes, x, y)
    axes.axhline(0, color=RULE, linewidth=0.7, zorder=0)
    axes.set_title(title, size=8.5, color=INK, weight="bold", loc="left", pad=4)
    axes.legend(frameon=False, fontsize=6.5, loc="best", handlelength=1.4)


def _head(figure: Figure, title: str, note: str) -> None:
    tall, wide = figure.get_figheight(), figure.get_figwidth()
    place: dict[str, Any] = {"x": 0.1 / wide, "va": "top"}
    figure.text(y=1 - 0.08 / tall, s=title, size=9.5, color=INK, weight="bold", **place)
    figure.text(y=1 - 0.27 / tall, s=note, size=7, color=GREY, **place)
