"""A user's own data: settings as rows, paired comparisons of any two, and figures by axis."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas

from mlproject.fields import ATTRIBUTIONS
from mlproject.report.axes import DATABASES, axes_of, database_names, value_text
from mlproject.report.content import Content
from mlproject.report.effects import effect, holm
from mlproject.report.measure import measure_of
from mlproject.report.registry import section
from mlproject.report.table import Column, Table
from mlproject.report.trials import OTHER, dataset_kinds
from mlproject.system.messages import quantity

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


class OwnData(NamedTuple):
    """The runs on one data set of a user.

    Attributes:
        title: name of the data set.
        anchor: for names of tables and files.
        runs: the runs that count.
        axes: the parameters in which they differ, without the seed and the fold; `DATABASES` is
            one whenever the runs are read with several motif databases.
        folds: into how many folds the data are dealt; 0: none.
    """

    title: str
    anchor: str
    runs: pandas.DataFrame
    axes: list[str]
    folds: int = 0

    def settings(self) -> list[tuple[str, pandas.DataFrame]]:
        """Return the runs of each setting with its name, in the order of the axes' values."""
        if not self.axes:
            return [(str(self.runs["arch"].iloc[0]), self.runs)]
        groups = self.runs.groupby(self.axes, dropna=False, sort=True)
        return [(_name(self.axes, group.iloc[0]), group) for _, group in groups]

    def databases(self) -> list[str]:
        """Return the names of the motif databases if there are several, else none."""
        return sorted(set(self.runs[DATABASES])) if DATABASES in self.axes else []


def own_data(counted: pandas.DataFrame) -> list[OwnData]:
    """Return the data sets that are none of the paper's, those with most runs first.

    The folds of a data set are one.
    """
    frame = counted[dataset_kinds(counted) == OTHER] if len(counted) else counted
    found = []
    groups = sorted(
        (group for _, group in frame.groupby(_identity(frame))),
        key=lambda group: (-len(group), str(group["dataset_sha256"].iloc[0])),
    )
    for number, group in enumerate(groups, 1):
        path = str(group["dataset"].iloc[0]).replace("\\", "/").rpartition("/")[2]
        folds = _folds(group.iloc[0])
        title = f"{path}, {folds} folds" if folds else path
        named = group.assign(**{DATABASES: database_names(group)})
        others = ["fold", DATABASES, "motifs_sha256"]
        axes = axes_of(named.drop(columns=others, errors="ignore"))
        axes += [DATABASES] * (named[DATABASES].nunique() > 1)
        found.append(OwnData(title, f"own{number}", named, axes, folds))
    return found


def _folds(row: pandas.Series) -> int:
    value = row.get("folds")
    return 0 if value is None or pandas.isna(value) else int(value)


def _identity(frame: pandas.DataFrame) -> list[str]:
    """Return what names the data set of each run: its hash, or for folds what they are of."""
    return [
        f"{row['dataset']}|{_folds(row)}|{row.get('data_seed')}|{row.get('sequences')}"
        if _folds(row)
        else str(row["dataset_sha256"])
        for _, row in frame.iterrows()
    ]


def _trials(group: pandas.DataFrame, metric: str) -> dict[int, float]:
    """Return the values of a metric by seed, and by fold where there are folds."""
    fold = group["fold"].fillna(0) if "fold" in group else 0
    keys = (group["seed"].astype(int) * 1000 + fold).astype(int)
    return dict(zip(keys, group[metric].astype(float), strict=True))


@section(15, "own", first=True)
def settings_tables(content: Content) -> Iterator[Table]:
    """Make a table of the settings of each data set, and one of their paired differences."""
    for data in own_data(content.counted):
        yield settings_table(data)
        if table := comparison_table(data):
            yield table


def settings_table(data: OwnData) -> Table:
    """Return mean and standard deviation over seeds of each setting, a row each."""
    labels = METRICS | {
        f"{name}/auroc": f"{name} AUROC" for name in ATTRIBUTIONS if f"{name}/auroc" in data.runs
    }
    metrics = [name for name in labels if is_known(data.runs, name)]
    rows = []
    for _, group in data.settings():
        row: dict[str, Any] = {axis: value_text(group[axis].iloc[0]) for axis in data.axes}
        row |= {"arch": group["arch"].iloc[0]} if not data.axes else {}
        row |= {"n": len(group)}
        rows.append(row | {name: measure_of(group, name) for name in metrics})
    columns = [Column(axis, axis) for axis in data.axes or ["arch"]]
    columns += [Column("n", "n", digits=0)]
    columns += [Column(name, labels[name], digits=3) for name in metrics]
    over = "runs, seeds times folds" if data.folds else "seeds"
    notes = [f"Mean ± standard deviation over n {over} (n − 1)."]
    if "conv1/match_null" in metrics:
        notes.append("By chance: the same share for filters with shuffled columns.")
    if any(name.endswith(("/auroc", "/tf_site_ap")) for name in metrics):
        notes.append("Site AP, and AUROC of a method: filters and attributions at planted sites.")
    return Table(f"{data.anchor}_settings", f"{data.title}: settings", rows, tuple(columns),
                 tuple(notes))  # fmt: skip


def comparison_table(data: OwnData) -> Table | None:
    """Return the paired differences of any two settings; None without two that share seeds.

    The differences are paired by seed. Their p-values (paired t) are corrected by Holm for all rows
    of the table. Of very many settings the first `MOST_SETTINGS` are compared. Matches are compared
    within a motif database.
    """
    settings = data.settings()
    rows: list[dict[str, Any]] = []
    for (one, first), (other, second) in itertools.combinations(settings[:MOST_SETTINGS], 2):
        same = first[DATABASES].iloc[0] == second[DATABASES].iloc[0]
        for metric in COMPARED:
            if "/match_" in metric and not same:
                continue
            if not (is_known(first, metric) and is_known(second, metric)):
                continue
            values = [_trials(group, metric) for group in (first, second)]
            changes = {
                one: values[1][one] - values[0][one] for one in values[0] if one in values[1]
            }
            shared = {one: change for one, change in changes.items() if math.isfinite(change)}
            if shared:
                found = effect(shared)
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
        f"Holm's correction is for the {quantity(len(rows), 'row')} of this table. "
        "One seed gives no interval.",
    ]
    if data.folds:
        notes.append(
            "Runs are paired by seed and fold. Folds share training data, so that the intervals "
            "are too narrow."
        )
    if data.databases():
        notes.append("Matches with different motif databases are not compared.")
    if len(settings) > MOST_SETTINGS:
        notes.append(f"The first {MOST_SETTINGS} of {len(settings)} settings are compared.")
    return Table(f"{data.anchor}_comparisons", f"{data.title}: any two settings", rows, columns,
                 tuple(notes))  # fmt: skip


def is_known(frame: pandas.DataFrame, metric: str) -> bool:
    """Return whether a run has the metric."""
    return metric in frame and bool(frame[metric].notna().any())


def _name(axes: Sequence[str], row: pandas.Series) -> str:
    return ", ".join(f"{axis}={value_text(row[axis])}" for axis in axes)
