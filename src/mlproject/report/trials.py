"""The trials of a network: runs that differ in their seed only."""

from typing import NamedTuple

import pandas

from mlproject.architectures import ARCHITECTURES, base_arch, make_spec, printed_name
from mlproject.data.paper import CLASSES
from mlproject.names import metric_name
from mlproject.report.published import IN_VIVO, SYNTHETIC
from mlproject.spec import GENERATED_FIELDS
from mlproject.system.messages import quantity

OTHER = "other"
_FREE = ("seed", "layers", "dataset", "training_version")


class Trials(NamedTuple):
    """The trials of one network.

    Attributes:
        arch: the network.
        runs: one row a trial; the specs differ in the seed only.
        unlike: fields that differ from the paper's, such as ``epochs=20``.
        left_out: sentences on runs of the network that are no trials of the same spec.
    """

    arch: str
    runs: pandas.DataFrame
    unlike: tuple[str, ...]
    left_out: tuple[str, ...]


def dataset_kinds(frame: pandas.DataFrame) -> pandas.Series:
    """Return for each run `SYNTHETIC`, `IN_VIVO` (the paper's 12 classes), or `OTHER`."""
    names = [f"test_auroc/{metric_name(name)}" for name in CLASSES]
    kinds = pandas.Series(OTHER, index=frame.index, dtype=object)
    if all(name in frame for name in names):
        classes = frame.filter(like="test_auroc/").notna().sum(axis=1)
        kinds[frame[names].notna().all(axis=1) & (classes == len(names))] = IN_VIVO
    generated = frame["dataset"] == "synthetic"
    hashes = frame["dataset_sha256"][generated]
    kinds[generated | frame["dataset_sha256"].isin(hashes)] = SYNTHETIC
    return kinds


def of_dataset(counted: pandas.DataFrame, kind: str) -> tuple[pandas.DataFrame, list[str]]:
    """Return the runs on one data set of a kind, and sentences on the runs left out.

    The data set is the one with most runs; a synthetic one made as in the paper takes precedence.
    """
    frame = counted[dataset_kinds(counted) == kind]
    if frame.empty:
        return frame, []
    default = make_spec({}).flat()

    def rank(rows: pandas.DataFrame) -> tuple[int, int]:
        fields = GENERATED_FIELDS if kind == SYNTHETIC else ()
        spec = rows["spec"].iloc[0]
        return sum(spec.get(name, default[name]) != default[name] for name in fields), -len(rows)

    groups = [rows for _, rows in frame.groupby("dataset_sha256", sort=False)]
    chosen, *others = sorted(groups, key=rank)
    notes = [
        f"Left out: {quantity(len(rows), 'run')} on the data set "
        f"{rows['dataset_sha256'].iloc[0][:12]}; this table is of "
        f"{chosen['dataset_sha256'].iloc[0][:12]}."
        for rows in others
    ]
    return chosen, notes


def trials(frame: pandas.DataFrame, arch: str, metric: str) -> Trials:
    """Choose the trials of a network: nearest to the paper's protocol, then most, then newest.

    Args:
        frame: runs that count, on one data set.
        arch: the network.
        metric: that the runs must have.
    """
    rows = frame[frame["arch"] == arch]
    rows = rows[rows[metric].notna()] if metric in rows else rows.iloc[:0]
    if rows.empty:
        return Trials(arch, rows, (), ())
    groups = [group for _, group in rows.groupby("replicates", sort=False)]
    chosen, *others = sorted(
        groups,
        key=lambda group: (
            len(unlike_paper(group.iloc[0])),
            -len(group),
            -group["started"].max().timestamp(),
        ),
    )
    unlike = tuple(f"{name}={value}" for name, value in unlike_paper(chosen.iloc[0]).items())
    left_out = tuple(
        f"{printed_name(arch)}: {quantity(len(group), 'run')} left out, with "
        f"{_contrast(group.iloc[0], chosen.iloc[0])}."
        for group in others
    )
    return Trials(arch, chosen.sort_values("seed"), unlike, left_out)


def unlike_paper(row: pandas.Series) -> dict[str, object]:
    """Return the fields of a run's spec that differ from the default protocol.

    The fields `seed`, `layers`, `training_version` and `dataset` are ignored.
    """
    free = _FREE if row["spec"].get("dataset") == "synthetic" else (*_FREE, *GENERATED_FIELDS)
    arch = base_arch(str(row["arch"]))
    if arch not in ARCHITECTURES:
        return {}
    wanted = make_spec({"arch": arch}).flat()
    return {
        name: value
        for name, value in row["spec"].items()
        if name not in free and wanted.get(name) != value
    }


def varying(frame: pandas.DataFrame) -> list[str]:
    """Return the names of the spec's fields, without the seed, and of the tags that differ."""
    rows = [dict(row) for row in frame["spec"]]
    names = sorted({name for row in rows for name in row})
    found = [
        name for name in names if name != "seed" and len({str(row.get(name)) for row in rows}) > 1
    ]
    tags = ("dataset_sha256", "metric_version")
    if "dataset" in found and frame["dataset_sha256"].nunique() == 1:
        found.remove("dataset")
    return found + [name for name in tags if frame[name].nunique(dropna=False) > 1]


def _contrast(one: pandas.Series, other: pandas.Series) -> str:
    names = sorted(set(one["spec"]) | set(other["spec"]))
    parts = [
        f"{name}={one['spec'].get(name)} instead of {other['spec'].get(name)}"
        for name in names
        if name not in ("seed", "dataset") and one["spec"].get(name) != other["spec"].get(name)
    ]
    if one["metric_version"] != other["metric_version"]:
        parts.append(f"metric version {one['metric_version']} instead of {other['metric_version']}")
    if one["dataset_sha256"] != other["dataset_sha256"]:
        parts.append("another data set")
    return ", ".join(parts)


def trials_by_network(frame: pandas.DataFrame, *metrics: str) -> list[Trials]:
    """Return the trials of all networks that have any of some metrics, in the paper's order.

    Of several metrics, the one that most trials have selects the trials.
    """
    found = []
    for arch in ARCHITECTURES:
        choices = [trials(frame, arch, metric) for metric in metrics]
        best = max(choices, key=lambda one: len(one.runs), default=None)
        if best and not best.runs.empty:
            found.append(best)
    return found
