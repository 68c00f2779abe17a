"""A user's own data: settings as rows, paired comparisons of any two, and figures by axis."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas
from matplotlib.figure import Figure

from mlproject.draw.style import BLUE, GREEN, VERMILION, style_axes
from mlproject.fields import ATTRIBUTIONS
from mlproject.report.axes import axes_of, value_text
from mlproject.report.content import Content
from mlproject.report.document import Picture
from mlproject.report.effects import effect, holm
from mlproject.report.measure import measure_of
from mlproject.report.registry import section
from mlproject.report.table import Column, Table
from mlproject.report.trials import OTHER, dataset_kinds

METRICS = {
    "test_accuracy": "accuracy", "test_auroc": "AUROC", "test_aupr": "AUPR",
    "test_pearson": "Pearson", "test_spearman": "Spearman", "test_r2": "R²", "test_mse": "MSE",
    "test_deviance": "deviance",
    "achievable/test_r2": "R² at best", "baseline/test_r2": "R² of words",
    "baseline/test_auroc": "AUROC of motifs", "conv1/tf_site_ap": "site AP",
    "conv1/match_jaspar": "match",
    "conv1/match_null": "match by chance", "conv1/match_relevant": "relevant match",
    "conv1/match_null_relevant": "relevant by chance", "conv1/coverage": "classes found",
}  # fmt: skip
COMPARED = ("test_accuracy", "test_auroc", "test_pearson", "test_r2",
            "conv1/match_jaspar", "conv1/match_relevant")  # fmt: skip
MOST_SETTINGS = 12  # 66 pairs
SHARES = (
    ("conv1/match_relevant", "relevant motif", BLUE, "o", ""),
    ("conv1/match_null_relevant", "relevant motif by chance", BLUE, "", "5 2"),
    ("conv1/match_jaspar", "any motif", VERMILION, "s", ""),
    ("conv1/match_null", "any motif by chance", VERMILION, "", "5 2"),
)
SCORES = ("test_auroc", "test_pearson")


class OwnData(NamedTuple):
    """The runs on one data set of a user.

    Attributes:
        title: name of the data set.
        anchor: for names of tables and files.
        runs: the runs that count.
        axes: the parameters in which they differ, without the seed.
    """

    title: str
    anchor: str
    runs: pandas.DataFrame
    axes: list[str]

    def settings(self) -> list[tuple[str, pandas.DataFrame]]:
        """Return the runs of each setting with its name, in the order of the axes' values."""
        if not self.axes:
            return [(str(self.runs["arch"].iloc[0]), self.runs)]
        groups = self.runs.groupby(self.axes, dropna=False, sort=True)
        return [(_name(self.axes, group.iloc[0]), group) for _, group in groups]


def own_data(counted: pandas.DataFrame) -> list[OwnData]:
    """Return the data sets that are none of the paper's, those with most runs first."""
    frame = counted[dataset_kinds(counted) == OTHER] if len(counted) else counted
    found = []
    groups = sorted(
        (group for _, group in frame.groupby("dataset_sha256")),
        key=lambda group: (-len(group), str(group["dataset_sha256"].iloc[0])),
    )
    for number, group in enumerate(groups, 1):
        path = str(group["dataset"].iloc[0]).replace("\\", "/").rpartition("/")[2]
        found.append(OwnData(path, f"own{number}", group, axes_of(group)))
    return found


@section(15, "own", first=True)
def settings_tables(content: Content) -> Iterator[Table]:
    """Make a table of the settings of each data set, and one of their paired differences."""
    for data in own_data(content.counted):
        yield settings_table(data)
        if table := comparison_table(data):
            yield table


@section(115, "own", drawn=True)
def axis_figures(content: Content) -> Iterator[Picture]:
    """Draw matches and scores against each numeric axis of each data set."""
    for data in own_data(content.counted):
        for axis in data.axes:
            if figure := axis_figure(data, axis):
                yield Picture(
                    f"{data.anchor}_{axis}",
                    figure,
                    f"{data.title}: filters and scores by {axis}",
                    "Points: runs; line: their mean over all other parameters. Dashes: the share "
                    "that filters with shuffled columns match, which is what chance gives.",
                )


def settings_table(data: OwnData) -> Table:
    """Return mean and standard deviation over seeds of each setting, a row each."""
    labels = METRICS | {
        f"{name}/auroc": f"{name} AUROC" for name in ATTRIBUTIONS if f"{name}/auroc" in data.runs
    }
    metrics = [name for name in labels if _known(data.runs, name)]
    rows = []
    for _, group in data.settings():
        row: dict[str, Any] = {axis: value_text(group[axis].iloc[0]) for axis in data.axes}
        row |= {"arch": group["arch"].iloc[0]} if not data.axes else {}
        row |= {"n": len(group)}
        rows.append(row | {name: measure_of(group, name) for name in metrics})
    columns = [Column(axis, axis) for axis in data.axes or ["arch"]]
    columns += [Column("n", "n", digits=0)]
    columns += [Column(name, labels[name], digits=3) for name in metrics]
    notes = ["Mean ± standard deviation over n seeds (n − 1)."]
    if "conv1/match_null" in metrics:
        notes.append("By chance: the same share for filters with shuffled columns.")
    if any(name.endswith(("/auroc", "/tf_site_ap")) for name in metrics):
        notes.append("Site AP, and AUROC of a method: filters and attributions at planted sites.")
    return Table(f"{data.anchor}_settings", f"{data.title}: settings", rows, tuple(columns),
                 tuple(notes))  # fmt: skip


def comparison_table(data: OwnData) -> Table | None:
    """Return the paired differences of any two settings; None without two that share seeds.

    The differences are paired by seed. Their p-values (paired t) are corrected by Holm for all rows
    of the table. Of very many settings the first `MOST_SETTINGS` are compared.
    """
    settings = data.settings()
    rows: list[dict[str, Any]] = []
    for (one, first), (other, second) in itertools.combinations(settings[:MOST_SETTINGS], 2):
        for metric in COMPARED:
            if not (_known(first, metric) and _known(second, metric)):
                continue
            values = [
                dict(zip(group["seed"], group[metric], strict=True)) for group in (first, second)
            ]
            shared = [
                seed for seed in values[0] if seed in values[1]
                and math.isfinite(values[0][seed]) and math.isfinite(values[1][seed])
            ]  # fmt: skip
            if shared:
                found = effect({int(s): float(values[1][s] - values[0][s]) for s in shared})
                rows.append(
                    {"metric": METRICS[metric], "one": one, "other": other, "n": len(shared)}
                    | {"difference": found.size, "low": found.low, "high": found.high}
                    | {"p": found.p}
                )
    if not rows:
        return None
    for row, corrected in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["holm"] = corrected
    columns = (
        Column("metric", "metric"), Column("one", "setting"), Column("other", "compared with it"),
        Column("n", "seeds", digits=0), Column("difference", "difference", digits=3, signed=True),
        Column("low", "from", digits=3, signed=True), Column("high", "to", digits=3, signed=True),
        Column("p", "p", digits=4), Column("holm", "p (Holm)", digits=4),
    )  # fmt: skip
    notes = [
        "The second setting less the first, paired by seed, with the 95 % interval (paired t). "
        f"Holm's correction is for the {len(rows)} rows of this table. One seed gives no interval.",
    ]
    if len(settings) > MOST_SETTINGS:
        notes.append(f"The first {MOST_SETTINGS} of {len(settings)} settings are compared.")
    return Table(f"{data.anchor}_comparisons", f"{data.title}: any two settings", rows, columns,
                 tuple(notes))  # fmt: skip


def axis_figure(data: OwnData, axis: str) -> Figure | None:
    """Draw shares of matching filters and the score against a numeric axis.

    None: the axis has texts, or fewer than two values.
    """
    if not pandas.api.types.is_numeric_dtype(data.runs[axis]):
        return None
    frame = data.runs[data.runs[axis].notna()]
    places = sorted(set(frame[axis].astype(float)))
    shares = [one for one in SHARES if _known(frame, one[0])]
    score = next((name for name in SCORES if _known(frame, name)), None)
    if len(places) < 2 or not (shares or score):
        return None
    page = Figure(figsize=(7.0, 3.2), layout="constrained", facecolor="white")
    top, bottom = page.subplots(1, 2)
    log = places[0] > 0 and places[-1] / places[0] > 10
    for metric, label, color, marker, dash in shares:
        _draw(top, frame, axis, metric, label, color, marker, dash)
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


def _known(frame: pandas.DataFrame, metric: str) -> bool:
    return metric in frame and bool(frame[metric].notna().any())


def _name(axes: Sequence[str], row: pandas.Series) -> str:
    return ", ".join(f"{axis}={value_text(row[axis])}" for axis in axes)
