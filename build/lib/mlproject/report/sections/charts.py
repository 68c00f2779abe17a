"""Figures of many runs: matches and AUROC against the pool, the number of filters, each other."""

from collections.abc import Sequence

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mlproject.architectures import ARCHITECTURES, printed_name
from mlproject.draw.canvas import fitted
from mlproject.draw.style import BLUE, GREEN, GREY, INK, PALE, VERMILION, style_axes
from mlproject.report.published import DATASETS, printed
from mlproject.report.registry import figure
from mlproject.report.trials import of_dataset, trials
from mlproject.report.verdicts import ONE_DATA_SET

POOLS = ("CNN-1", "CNN-2", "CNN-4", "CNN-10", "CNN-25", "CNN-50", "CNN-100")
FILTERS = ("CNN-25", "CNN-25x60", "CNN-25x90", "CNN-25x120")
MATCHES = (
    ("conv1/match_relevant", "relevant motif", BLUE, "o"),
    ("conv1/match_jaspar", "any JASPAR motif", VERMILION, "s"),
)
AUROC = (("test_auroc", "AUROC", GREEN, "D"),)
NAMED = 12
Series = Sequence[tuple[str, str, str, str]]


@figure(
    110,
    "pool",
    "message",
    "Representation against pool size",
    "Share of first-layer filters that match a motif, and test AUROC, against the first "
    "max-pool. Points: our trials; line: their mean; band and dashes: published mean ± "
    f"standard deviation. {ONE_DATA_SET}",
)
def message_figure(counted: pandas.DataFrame) -> Figure | None:
    """Draw match fraction and AUROC against the first max-pool: points ours, bands published.

    The figure has a column for each kind of data set that has runs; None without runs.
    """
    return _against(counted, POOLS, "pool1", "First max-pool size (nt)", log=True)


@figure(
    120,
    "count",
    "filters",
    "Representation against the number of filters",
    "CNN-25 with 30, 60, 90 and 120 first-layer filters, drawn as above.",
)
def filters_figure(counted: pandas.DataFrame) -> Figure | None:
    """Draw match fraction and AUROC of CNN-25 against the number of first-layer filters."""
    return _against(counted, FILTERS, "filters1", "First-layer filters", log=False, fewest=2)


def _against(
    counted: pandas.DataFrame,
    archs: Sequence[str],
    field: str,
    label: str,
    log: bool,
    fewest: int = 1,
) -> Figure | None:
    frames = {kind: of_dataset(counted, kind)[0] for kind in DATASETS}
    kinds = [
        kind
        for kind, frame in frames.items()
        if sum(arch in set(frame["arch"]) for arch in archs) >= fewest
    ]
    if not kinds:
        return None
    if len(kinds) == 1:
        page = Figure(figsize=(7.0, 3.3), layout="constrained", facecolor="white")
        panels = page.subplots(1, 2).reshape(2, 1)
    else:
        page = Figure(figsize=(7.0, 4.8), layout="constrained", facecolor="white")
        panels = page.subplots(2, len(kinds), sharex=True, height_ratios=(1.25, 1))
    places = [float(ARCHITECTURES[arch].get(field, 30)) for arch in archs]  # type: ignore[arg-type]
    for column, kind in enumerate(kinds):
        top, bottom = panels[:, column]
        top.set_title(f"{kind} sequences", size=9, color=INK, loc="left", weight="bold")
        _series(top, frames[kind], kind, archs, places, MATCHES)
        _series(bottom, frames[kind], kind, archs, places, AUROC)
        if log:
            top.set_ylim(-0.03, 1.03)
        for axes in (top, bottom):
            if log:
                axes.set_xscale("log")
                axes.set_xlim(0.85, 118)
            axes.set_xticks(places, [f"{place:g}" for place in places])
            axes.minorticks_off()
        style_axes(
            top, label if len(kinds) == 1 else "", "" if column else "Share of filters matching"
        )
        style_axes(bottom, label, "" if column else "Test AUROC")
    _pool_ends(panels[0], log)
    page.legend(
        handles=_keys([*MATCHES, *AUROC]), loc="outside lower center", ncols=5, frameon=False,
        fontsize=7, columnspacing=1.4, handletextpad=0.5,
    )  # fmt: skip
    return page


def _pool_ends(panels: Sequence[Axes], log: bool) -> None:
    if not log:
        return
    for axes in panels:
        for x, text, side in ((0.02, "distributed", "left"), (0.98, "localist", "right")):
            axes.text(
                x, 0.72, text, transform=axes.transAxes, ha=side, size=7, style="italic", color=GREY
            )


def _series(
    axes: Axes,
    frame: pandas.DataFrame,
    kind: str,
    archs: Sequence[str],
    places: Sequence[float],
    series: Series,
) -> None:
    for metric, _, color, marker in series:
        theirs = [printed(kind, arch, metric) for arch in archs]
        known = [(place, *pair) for place, pair in zip(places, theirs, strict=True) if pair]
        if known:
            x, mean, sd = np.array(known).T
            axes.fill_between(x, mean - sd, mean + sd, color=color, alpha=0.20, linewidth=0)
            axes.plot(x, mean, color=color, linewidth=0.8, linestyle=(0, (4, 2)), alpha=0.8)
        means = []
        for arch, place in zip(archs, places, strict=True):
            runs = trials(frame, arch, metric).runs
            if runs.empty:
                continue
            values = runs[metric].to_numpy(float)
            axes.plot(
                [place] * len(values), values, marker, color="white", markersize=4.2,
                markeredgecolor=color, markeredgewidth=1.1, linestyle="none", zorder=4,
            )  # fmt: skip
            means.append((place, values.mean()))
        if len(means) > 1:
            axes.plot(*zip(*means, strict=True), color=color, linewidth=1.5, zorder=3)


def _keys(series: Series) -> list[Line2D | Patch]:
    keys: list[Line2D | Patch] = [
        Line2D(
            [], [], color=color, marker=marker, markerfacecolor="white", markersize=4.5,
            linewidth=1.5, label=label,
        )
        for _, label, color, marker in series
    ]  # fmt: skip
    ours = Line2D([], [], color=GREY, marker="o", markerfacecolor="white", markersize=4.5)
    ours.set(linestyle="none", label="our trials, line: mean")
    return [*keys, ours, Patch(facecolor=GREY, alpha=0.3, label="published ± sd")]


@figure(
    140,
    "pareto",
    "pareto",
    "Accuracy and interpretability",
    "Each run on the data set that most runs have; no run beats the front in both.",
)
def pareto_figure(counted: pandas.DataFrame) -> Figure | None:
    """Draw every run's AUROC against its relevant matches, and name the networks of the front.

    Of several data sets, the one with most runs is drawn. The figure shows validation numbers
    (which a search optimises) if all runs have them, else test numbers. None for fewer than three
    runs.
    """
    choices = (
        ("best_val_auroc", "val_conv1/match_relevant", "validation"),
        ("test_auroc", "conv1/match_relevant", "test"),
    )
    usable = [one for one in choices if set(one[:2]) <= set(counted)]
    if not usable:
        return None
    complete = [one for one in usable if counted[list(one[:2])].notna().all(axis=None)]
    x, y, split = (complete or usable[-1:])[0]
    frame = counted[counted[[x, y]].notna().all(axis=1)]
    if len(frame):
        most = frame["dataset_sha256"].value_counts().index[0]
        frame = frame[frame["dataset_sha256"] == most]
    if len(frame) < 3:
        return None
    points = frame[[x, y]].to_numpy(float)
    front = pareto(points)
    page = Figure(figsize=(7.0, 3.9), layout="constrained", facecolor="white")
    axes, key = page.subplots(1, 2, width_ratios=(2.1, 1))
    axes.plot(*points[~front].T, "o", color=PALE, markersize=4, label="runs")
    numbers = sorted(np.flatnonzero(front), key=lambda number: tuple(points[number]))
    best = points[numbers]
    axes.plot(*best.T, "o-", color=BLUE, markersize=5, linewidth=1.2, label="Pareto front")
    for number, point in enumerate(best[:NAMED], 1):
        axes.annotate(
            str(number), point, (4, 4), textcoords="offset points", size=7, color=INK, weight="bold"
        )
    style_axes(axes, f"AUROC ({split})", f"Share of filters matching a relevant motif ({split})")
    axes.margins(0.08)
    axes.legend(frameon=False, fontsize=7.5, loc="lower left")
    _front_key(key, [frame.iloc[int(number)] for number in numbers], best)
    return page


def _front_key(axes: Axes, rows: Sequence[pandas.Series], points: np.ndarray) -> None:
    """List the numbered points of the front, from left to right, with their two values."""
    axes.axis("off")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.text(0, 1.0, "The front, from left to right", size=7.5, weight="bold", color=INK)
    step = 0.98 / max(min(len(points), NAMED) + 1, 8)
    place = 1.0
    if len(points) > NAMED:
        axes.text(0, 0, f"and {len(points) - NAMED} more", size=6.5, color=GREY)
    for number, (row, (x, y)) in enumerate(list(zip(rows, points, strict=True))[:NAMED], 1):
        name = str(row["name"]) if row["arch"] == "custom" else printed_name(row["arch"])
        parts = [one for one in name.split(" · ") if not one.startswith(("trial ", "seed "))]
        place -= step
        axes.text(
            0,
            place,
            fitted(f"{number}  {', '.join(parts)}", 6.5, 2.1),
            size=6.5,
            color=INK,
            va="top",
        )
        axes.text(0, place - 0.036, f"AUROC {x:.4f}, share {y:.3f}", size=6.5, color=GREY, va="top")


def pareto(points: np.ndarray) -> np.ndarray:
    """Return which of (N, 2) points no other point dominates (larger is better), (N,)."""
    beaten = [
        bool(((points >= one).all(axis=1) & (points > one).any(axis=1)).any()) for one in points
    ]
    return ~np.array(beaten, bool)
