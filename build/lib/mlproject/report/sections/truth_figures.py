"""Figures of filters and attributions against the planted sites, by pool size."""

import math

import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlproject.architectures import ARCHITECTURES
from mlproject.draw.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    VERMILION,
    LineStyle,
    line_style,
    style_axes,
)
from mlproject.fields import ATTRIBUTIONS
from mlproject.report.published import SYNTHETIC
from mlproject.report.registry import figure
from mlproject.report.sections.charts import POOLS
from mlproject.report.sections.truth import baseline_of, methods_of
from mlproject.report.trials import of_dataset, trials

LABEL = "First max-pool size (nt)"
PANELS = (
    (
        "Telling planted sites",
        "Average precision",
        (
            ("conv1/tf_site_ap", "best filter of each factor", BLUE, "o"),
            ("conv1/site_ap", "mean of all filters", VERMILION, "s"),
        ),
        ("baseline/site_ap", "the motifs themselves"),
    ),
    (
        "Where filters are active",
        "Share",
        (
            ("conv1/site_recall", "recall of sites", BLUE, "o"),
            ("conv1/site_precision", "precision", VERMILION, "s"),
        ),
        None,
    ),
    (
        "What the network needs",
        "Share of the AUROC lost",
        (("conv1/ablation_relevant", "filters that match", GREEN, "D"),),
        None,
    ),
)


@figure(
    130,
    "truth",
    "truth_filters",
    "Filters against the planted sites",
    "First-layer filters and the sites that were planted, synthetic sequences. Left: how "
    "well activations detect the sites of a filter's motif among all other places; dashed: "
    "the motif itself as a filter. Middle: positions above the threshold of the alignment. "
    "Right: of all AUROC that is lost without single filters, the share of filters that "
    "match a relevant motif. Points: trials; line: their mean.",
)
def sites_figure(counted: pandas.DataFrame) -> Figure | None:
    """Draw how well filters detect planted sites against the first max-pool.

    None for fewer than two pool sizes.
    """
    frame, _ = of_dataset(counted, SYNTHETIC)
    if sum(_has(frame, arch, "conv1/site_ap") for arch in POOLS) < 2:
        return None
    page = Figure(figsize=(7.0, 3.1), layout="constrained", facecolor="white")
    for axes, (title, label, series, ceiling) in zip(page.subplots(1, 3), PANELS, strict=True):
        axes.set_title(title, size=8.5, color=INK, loc="left", weight="bold")
        for metric, name, color, marker in series:
            _line(axes, frame, metric, name, LineStyle(color, ""), marker)
        if ceiling:
            height = baseline_of(counted, SYNTHETIC, ceiling[0])
            if not math.isnan(height):
                dashes = (0, (4, 2))
                axes.axhline(height, color=GREY, lw=1.2, linestyle=dashes, label=ceiling[1])
        _finish(axes, label)
    return page


@figure(
    131,
    "truth",
    "truth_attributions",
    "Attributions against the planted sites",
    "How well the importance of nucleotides separates planted ones from all others, by method.",
)
def methods_figure(counted: pandas.DataFrame) -> Figure | None:
    """Draw how well attributions mark planted nucleotides, against the first max-pool.

    None for fewer than two pool sizes.
    """
    frame, _ = of_dataset(counted, SYNTHETIC)
    methods = methods_of(frame)
    panels = [
        (kind, label)
        for kind, label in (("auroc", "AUROC"), ("aupr", "AUPR"))
        if any(
            sum(_has(frame, arch, f"{method}/{kind}") for arch in POOLS) > 1 for method in methods
        )
    ]
    if not panels:
        return None
    page = Figure(figsize=(7.0, 2.9), layout="constrained", facecolor="white")
    grid = page.subplots(1, len(panels), squeeze=False)[0]
    for axes, (kind, label) in zip(grid, panels, strict=True):
        for number, method in enumerate(methods):
            name = ATTRIBUTIONS.get(method, method)
            _line(axes, frame, f"{method}/{kind}", name, line_style(number), "o")
        _finish(axes, label, legend=False, unit=False)
    handles, labels = grid[0].get_legend_handles_labels()
    page.legend(handles, labels, loc="outside right center", frameon=False, fontsize=7)
    return page


def _has(frame: pandas.DataFrame, arch: str, metric: str) -> bool:
    return not trials(frame, arch, metric).runs.empty


def _line(
    axes: Axes,
    frame: pandas.DataFrame,
    metric: str,
    name: str,
    style: LineStyle,
    marker: str,
) -> None:
    """Draw a metric of all trials and a line through their means."""
    means: list[tuple[float, float]] = []
    for arch in POOLS:
        runs = trials(frame, arch, metric).runs
        if runs.empty:
            continue
        place = float(str(ARCHITECTURES[arch]["pool1"]))
        values = runs[metric].to_numpy(float)
        axes.plot(
            [place] * len(values), values, marker, color="white", markersize=3.6,
            markeredgecolor=style.color, markeredgewidth=1.0, linestyle="none", zorder=4,
        )  # fmt: skip
        means.append((place, float(values.mean())))
    if means:
        axes.plot(
            *zip(*means, strict=True), color=style.color, linewidth=1.5, linestyle=style.pattern,
            label=name, zorder=3,
        )  # fmt: skip


def _finish(axes: Axes, label: str, legend: bool = True, unit: bool = True) -> None:
    axes.set_xscale("log")
    axes.set_xlim(0.85, 118)
    places = [float(str(ARCHITECTURES[arch]["pool1"])) for arch in POOLS]
    axes.set_xticks(places, [f"{place:g}" for place in places])
    axes.minorticks_off()
    if unit:
        axes.set_ylim(-0.03, 1.03)
    style_axes(axes, LABEL, label)
    if legend:
        axes.legend(
            frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.24),
            handlelength=1.8, labelspacing=0.3,
        )  # fmt: skip
