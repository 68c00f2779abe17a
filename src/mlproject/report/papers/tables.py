"""Tables and figures of a paper that is described by data, see `mlproject.report.papers.data`."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mlproject.draw.style import BLUE, VERMILION, style_axes
from mlproject.report.labels import label_of
from mlproject.report.measure import Measure, measure_of
from mlproject.report.papers.data import Paper, PaperTable, PublishedCell
from mlproject.report.papers.reading import published_cells
from mlproject.report.papers.runs import PaperRuns
from mlproject.report.table import Column, Table
from mlproject.report.verdicts import ONE_DATA_SET, compare, rounded_sd

VALUE = "value"


def paper_table(name: str, paper: Paper, table: PaperTable, runs: PaperRuns) -> Table:
    """Return a published table with our numbers beside it, a row for each published number."""
    cells = published_cells(name, table)
    rows = [_row(paper, table, cell, runs) for cell in cells]
    short = label_of(table.metric.rpartition("/")[2])
    columns = [
        *(Column(label, label) for label in cells[0].labels),
        Column("n", "n", digits=0),
        Column(VALUE, "ours", short, 3),
        Column(VALUE, "published", short, 3, "published"),
        Column(VALUE, "Δ", short, 3, "difference", signed=True),
        Column(VALUE, "verdict", short, part="verdict"),
        *(Column(metric, "ours", _heading(metric), 3) for metric in table.beside),
    ]
    return Table(
        table.name, table.title, rows, tuple(columns), (*_rules(paper, table), ONE_DATA_SET)
    )


def _heading(metric: str) -> str:
    return f"test {label_of(metric)}" if metric.startswith("test_") else label_of(metric)


def _row(paper: Paper, table: PaperTable, cell: PublishedCell, runs: PaperRuns) -> dict[str, Any]:
    found = runs.of(cell.options, cell.metric)
    values = found.get(cell.metric, pandas.Series(dtype=float))
    row: dict[str, Any] = {**cell.labels, "n": len(values)}
    row[VALUE] = _compared(paper, table, cell, values.to_numpy(float))
    row |= {metric: measure_of(found, metric) for metric in table.beside}
    options = " ".join(f"--{key} {value}" for key, value in cell.options.items())
    command = "" if len(values) else f"python -m mlproject train {options}"
    return row | {"run_ids": " ".join(found["run_id"]) if len(found) else "", "command": command}


def _compared(paper: Paper, table: PaperTable, cell: PublishedCell, values: np.ndarray) -> Measure:
    return compare(
        values,
        (cell.value, cell.sd),
        table.band,
        trials=paper.trials,
        reading=cell.error,
        median=table.statistic == "median",
        lowest_sd=rounded_sd(table.step),
    )


def _rules(paper: Paper, table: PaperTable) -> list[str]:
    """Return how ours and the published numbers are to be read."""
    trials = f"{paper.trials} trials"
    ours = f"Ours: {table.statistic} and standard deviation (n − 1) over n trials."
    if table.published_sd:
        theirs = f"Published: mean ± standard deviation over {trials} as printed."
        interval = "the 90 % interval of the difference (Welch)"
    else:
        theirs = f"Published: {table.statistic} of {trials}, read off a figure."
        error = " with 1.25 times the error of a mean" if table.statistic == "median" else ""
        interval = (
            f"the 90 % interval of our {table.statistic} (t{error}), widened by the error of "
            "reading,"
        )
    sentences = [
        f"{ours} {theirs} Verdict: `agrees` if {interval} lies within ±{table.band:g} of the "
        "published number, `differs` if it lies outside altogether, else `cannot tell`."
    ]
    if table.step:
        sentences.append(
            f"The numbers are multiples of {table.step:g}: a standard deviation counts as at least "
            f"{rounded_sd(table.step):.3f} in intervals."
        )
    return [*sentences, *table.notes]


def paper_figure(name: str, table: PaperTable, runs: PaperRuns) -> Figure | None:
    """Draw our trials beside the published numbers, None without runs.

    The last printed column that varies within a panel is the axis; the others make the panels.
    """
    cells = published_cells(name, table)
    found = [(cell, [*runs.by_seed(cell.options, cell.metric).values()]) for cell in cells]
    if not any(values for _, values in found):
        return None
    labels = [*cells[0].labels]
    axis = "activation" if "activation" in labels else labels[-1]
    others = [label for label in labels if label != axis]
    panels = list(dict.fromkeys(tuple(cell.labels[one] for one in others) for cell in cells))
    ticks = list(dict.fromkeys(cell.labels[axis] for cell in cells))
    columns = min(len(panels), 3 if len(panels) < 4 else 4)
    lines = -(-len(panels) // columns)
    page = Figure(
        figsize=(2.6 * columns + 0.6, 2.5 * lines + 0.5), layout="constrained", facecolor="white"
    )
    grid = page.subplots(lines, columns, sharey=True, squeeze=False).reshape(-1)
    for axes, panel in zip(grid, panels, strict=False):
        own = [one for one in found if tuple(one[0].labels[o] for o in others) == panel]
        _panel(axes, own, axis, ticks, " · ".join(panel))
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    grid[0].margins(y=0.05)
    grid[0].figure.supylabel(label_of(table.metric.rpartition("/")[2]), fontsize=8)
    handles = [
        Line2D([], [], color=BLUE, marker="o", linestyle="", markersize=4, label="our trials"),
        Line2D([], [], color=VERMILION, marker="_", linestyle="", markersize=11, label="published"),
    ]
    page.legend(handles=handles, loc="outside upper right", ncols=2, fontsize=7, frameon=False)
    return page


def _panel(
    axes: Axes,
    cells: Sequence[tuple[PublishedCell, list[float]]],
    axis: str,
    ticks: Sequence[str],
    title: str,
) -> None:
    """Draw one panel: our trials as points, the published number as a line with its error."""
    style_axes(axes, "", "")
    axes.set_title(title, fontsize=8, loc="left")
    used = [tick for tick in ticks if any(cell.labels[axis] == tick for cell, _ in cells)]
    for cell, values in cells:
        place = used.index(cell.labels[axis])
        error = cell.error if math.isnan(cell.sd) else cell.sd
        axes.errorbar(
            place, cell.value, yerr=error, color=VERMILION, marker="_", markersize=11,
            linewidth=1, capsize=0, zorder=2,
        )  # fmt: skip
        spread = np.linspace(-0.15, 0.15, len(values)) if len(values) > 1 else [0.0]
        axes.plot(
            place + np.array(spread[: len(values)]), values, "o", color=BLUE, markersize=3.5,
            markeredgecolor="white", markeredgewidth=0.4, zorder=3,
        )  # fmt: skip
    names = [tick.replace("_", " ") for tick in used]
    axes.set_xticks(range(len(used)), names, rotation=90, fontsize=7)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_xlim(-0.6, len(used) - 0.4)
