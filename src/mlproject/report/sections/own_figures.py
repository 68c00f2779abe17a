"""Figures of a user's data: matches and scores against each numeric parameter."""

import itertools
from collections.abc import Iterator
from typing import Any

import pandas
from matplotlib.figure import Figure

from mlproject.draw.style import BLUE, GREEN, VERMILION, style_axes
from mlproject.report.axes import DATABASES
from mlproject.report.content import Content
from mlproject.report.document import Picture
from mlproject.report.registry import section
from mlproject.report.sections.own_data import (
    METRICS,
    OwnData,
    is_known,
    own_data,
)

SHARES = (
    ("conv1/match_relevant", "relevant motif", BLUE, "o", ""),
    ("conv1/match_null_relevant", "relevant motif by chance", BLUE, "", "5 2"),
    ("conv1/match_jaspar", "any motif", VERMILION, "s", ""),
    ("conv1/match_null", "any motif by chance", VERMILION, "", "5 2"),
)
SCORES = ("test_auroc", "test_pearson")


@section(115, "own", drawn=True)
def axis_figures(content: Content) -> Iterator[Picture]:
    """Draw matches and scores against each numeric axis of each data set, by motif database."""
    for data in own_data(content.counted):
        databases = data.databases() or [""]
        for axis, (number, database) in itertools.product(data.axes, enumerate(databases, 1)):
            if figure := axis_figure(data, axis, database):
                yield Picture(
                    f"{data.anchor}_{axis}" + (f"_{DATABASES}{number}" if database else ""),
                    figure,
                    f"{data.title}: filters"
                    + (f" matched with {database}," if database else "")
                    + f" and scores by {axis}",
                    "Points: runs; line: their mean over all other parameters. Dashes: the share "
                    "that filters with shuffled columns match, which is what chance gives.",
                )


def axis_figure(data: OwnData, axis: str, database: str = "") -> Figure | None:
    """Draw shares of matching filters and the score against a numeric axis.

    Args:
        data: the runs.
        axis: the parameter.
        database: whose matches are drawn, where the runs have several; scores are of all runs.

    Returns:
        The figure; None: the axis has texts, or fewer than two values.
    """
    if not pandas.api.types.is_numeric_dtype(data.runs[axis]):
        return None
    frame = data.runs[data.runs[axis].notna()]
    places = sorted(set(frame[axis].astype(float)))
    matched = frame[frame[DATABASES] == database] if database else frame
    shares = [one for one in SHARES if is_known(matched, one[0])]
    score = next((name for name in SCORES if is_known(frame, name)), None)
    if len(places) < 2 or not (shares or score):
        return None
    page = Figure(figsize=(7.0, 3.2), layout="constrained", facecolor="white")
    top, bottom = page.subplots(1, 2)
    log = places[0] > 0 and places[-1] / places[0] > 10
    for metric, label, color, marker, dash in shares:
        _draw(top, matched, axis, metric, label, color, marker, dash)
    if score:
        _draw(bottom, frame, axis, score, METRICS[score], GREEN, "D", "")
    for axes in (top, bottom):
        if log:
            axes.set_xscale("log")
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.minorticks_off()
    top.set_ylim(-0.03, 1.03)
    top.legend(frameon=False, fontsize=7)
    style_axes(top, axis, "Share of filters matching")
    style_axes(bottom, axis, f"Test {METRICS[score]}" if score else "")
    return page


def _draw(
    axes: Any,
    frame: pandas.DataFrame,
    axis: str,
    metric: str,
    label: str,
    color: str,
    marker: str,
    dash: str,
) -> None:
    known = frame[frame[metric].notna()]
    x = known[axis].astype(float)
    if marker:
        axes.plot(
            x, known[metric], marker, color="white", markersize=4.2, markeredgecolor=color,
            markeredgewidth=1.1, linestyle="none", zorder=4,
        )  # fmt: skip
    means = known.groupby(x)[metric].mean()
    style = (0, (5, 2)) if dash else "solid"
    axes.plot(means.index, means, color=color, linewidth=1.4, linestyle=style, label=label)
