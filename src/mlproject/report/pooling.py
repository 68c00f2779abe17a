"""Which runs stand for a network in a table: those that differ in their seed only."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas

from mlproject.architectures import make_spec, printed_name
from mlproject.data.paper import CLASSES
from mlproject.names import metric_name
from mlproject.report.published import IN_VIVO, SYNTHETIC
from mlproject.spec import GENERATED_FIELDS

OTHER = "other"
_FREE = ("seed", "layers", "dataset", "training_version")


class Pool(NamedTuple):
    """The trials of one network.

    Attributes:
        arch: the network.
        runs: one row a trial; the specs differ in the seed only.
        unlike: what their spec has other than the paper's, such as ``epochs=20``.
        left_out: sentences on runs of the network that may not be pooled with these.
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
    """Return the runs on the one data set that most runs of a kind have, and what was left out.

    Of synthetic sets, one made as the paper's comes first.
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
        f"{len(rows)} runs on another data set ({rows['dataset_sha256'].iloc[0][:12]}) are left "
        f"out: these are on {chosen['dataset_sha256'].iloc[0][:12]}."
        for rows in others
    ]
    return chosen, notes


def pool(frame: pandas.DataFrame, arch: str, metric: str) -> Pool:
    """Choose the runs that stand for a network: most like the paper's, then most, then newest.

    Args:
        frame: runs that count, on one data set.
        arch: the network.
        metric: one that they must have.
    """
    rows = frame[frame["arch"] == arch]
    rows = rows[rows[metric].notna()] if metric in rows else rows.iloc[:0]
    if rows.empty:
        return Pool(arch, rows, (), ())
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
        f"{printed_name(arch)}: {len(group)} run{'s' * (len(group) > 1)} not pooled with these, "
        f"for they have {_contrast(group.iloc[0], chosen.iloc[0])}."
        for group in others
    )
    return Pool(arch, chosen.sort_values("seed"), unlike, left_out)


def unlike_paper(row: pandas.Series) -> dict[str, object]:
    """Return the fields of a run's spec that are not those of the default protocol.

    `seed`, `layers`, `training_version` and the place of the data set do not count.
    """
    free = _FREE if row["spec"].get("dataset") == "synthetic" else (*_FREE, *GENERATED_FIELDS)
    if row["arch"] == "custom":
        return {}
    wanted = make_spec({"arch": row["arch"]}).flat()
    return {
        name: value
        for name, value in row["spec"].items()
        if name not in free and wanted.get(name) != value
    }


def varying(frame: pandas.DataFrame, free: Sequence[str] = ("seed",)) -> list[str]:
    """Return the fields of the spec, and tags, in which runs differ."""
    rows = [dict(row) for row in frame["spec"]]
    names = sorted({name for row in rows for name in row})
    found = [
        name for name in names if name not in free and len({str(row.get(name)) for row in rows}) > 1
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
