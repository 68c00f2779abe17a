"""Tables beside the paper's: factors, alignments, protocols, runs, and whatever a user asks for."""

import math
from collections.abc import Sequence
from typing import Any

import pandas

from mlproject.architectures import ALIGNMENTS, ARCHITECTURES, PROTOCOLS, printed_name
from mlproject.report.paper_tables import label_of
from mlproject.report.pooling import of_dataset, pool, varying
from mlproject.report.published import SYNTHETIC, printed
from mlproject.report.table import Column, Table
from mlproject.results import address
from mlproject.store.results.conditions import check_columns
from mlproject.store.results.frame import visible
from mlproject.system.errors import UserError

PREFIX = "conv1/filters/"


def factor_tables(counted: pandas.DataFrame, kind: str) -> list[Table]:
    """Return two tables factor x network: share of trials that find it, filters a trial."""
    frame, _ = of_dataset(counted, kind)
    names = [name for name in frame.columns if str(name).startswith(PREFIX)]
    pools = [pool(frame, arch, "conv1/match_relevant") for arch in ARCHITECTURES]
    pools = [one for one in pools if not one.runs.empty]
    names = [name for name in names if any(one.runs[name].notna().any() for one in pools)]
    if not names:
        return []
    shared: list[dict[str, Any]] = []
    counts: list[dict[str, Any]] = []
    for name in names:
        factor = {"factor": name.removeprefix(PREFIX)}
        shared.append({**factor, **{o.arch: float((o.runs[name] > 0).mean()) for o in pools}})
        counts.append({**factor, **{o.arch: float(o.runs[name].mean()) for o in pools}})
    for rows, label in ((shared, "all (coverage)"), (counts, "all")):
        total = pandas.DataFrame(rows)[[one.arch for one in pools]]
        rows.append({"factor": label, **(total.mean() if rows is shared else total.sum())})
    trials = ", ".join(f"{printed_name(one.arch)} {len(one.runs)}" for one in pools)
    stem = f"factors_{kind.replace(' ', '_')}"

    def columns(digits: int) -> tuple[Column, ...]:
        shown = [Column(one.arch, printed_name(one.arch), digits=digits) for one in pools]
        return (Column("factor", "factor"), *shown)

    note = f"Trials: {trials}."
    return [
        Table(
            f"{stem}_coverage",
            f"Share of trials in which a first-layer filter matches the factor, {kind} sequences",
            pandas.DataFrame(shared),
            columns(2),
            (note,),
        ),
        Table(
            f"{stem}_filters",
            f"First-layer filters that match the factor, mean over trials, {kind} sequences",
            pandas.DataFrame(counts),
            columns(1),
            (
                note,
                "The paper: how many filters a factor has tells how easily it is found from random "
                "weights, not how important it is. A filter that matches two factors counts twice.",
            ),
        ),
    ]


def alignment_table(counted: pandas.DataFrame, kind: str = SYNTHETIC) -> Table | None:
    """Return the matches of the first layer under both alignments, a row for each network."""
    frame, _ = of_dataset(counted, kind)
    rows = []
    for arch in ARCHITECTURES:
        found = pool(frame, arch, "conv1/match_jaspar")
        if found.runs.empty or found.runs["alignment"].iloc[0] != "released":
            continue
        row: dict[str, Any] = {"network": printed_name(arch), "n": len(found.runs)}
        for metric in ("conv1/match_jaspar", "conv1/match_relevant"):
            for name, key in (("released", metric), ("paper", f"{metric}_paper")):
                values = (
                    found.runs[key].dropna() if key in found.runs else pandas.Series(dtype=float)
                )
                row |= {
                    f"{metric} {name}": values.mean() if len(values) else math.nan,
                    f"{metric} {name} sd": values.std() if len(values) > 1 else math.nan,
                }
            row[f"{metric} published"] = (printed(kind, arch, metric) or (math.nan,))[0]
        rows.append(row)
    if not rows:
        return None
    columns = [Column("network", "network"), Column("n", "n", digits=0)]
    for metric in ("conv1/match_jaspar", "conv1/match_relevant"):
        columns += [
            Column(f"{metric} {name}", name, label_of(metric), f"{metric} {name} sd", 3)
            for name in ("released", "paper")
        ]
        columns.append(Column(f"{metric} published", "published", label_of(metric), "", 3))
    note = (
        "`released`: every position above 50 % of the largest activation, weighted (the authors' "
        "code). `paper`: the best position of each sequence, if above 70 % of the largest possible "
        "activation (the text)."
    )
    return Table(
        f"alignments_{kind.replace(' ', '_')}",
        f"Matches of the first layer under both definitions of an alignment, {kind} sequences",
        pandas.DataFrame(rows),
        tuple(columns),
        (note,),
    )


def protocol_table(counted: pandas.DataFrame) -> Table | None:
    """Return the networks that were trained under both protocols, side by side; None if none.

    Matches stand under both alignments, so that training and alignment are told apart.
    """
    frame, _ = of_dataset(counted, SYNTHETIC)
    metrics = ("conv1/match_jaspar", "conv1/match_relevant")
    rows = []
    for arch in ARCHITECTURES:
        both = [
            pool(frame[frame["protocol"] == protocol], arch, "test_auroc").runs
            for protocol in PROTOCOLS
        ]
        if any(runs.empty for runs in both):
            continue
        for protocol, runs in zip(PROTOCOLS, both, strict=True):
            row: dict[str, Any] = {"network": printed_name(arch), "protocol": protocol}
            row |= {"n": len(runs), "epochs": runs["best_epoch"].mean()}
            shown = {"test_auroc": "test_auroc"}
            for metric in metrics:
                for name in ALIGNMENTS:
                    own = name == runs["alignment"].iloc[0]
                    shown[f"{metric} {name}"] = metric if own else f"{metric}_{name}"
            for key, source in shown.items():
                values = runs[source].dropna() if source in runs else pandas.Series(dtype=float)
                row[key] = values.mean() if len(values) else math.nan
                row[f"{key} sd"] = values.std() if len(values) > 1 else math.nan
            for metric in ("test_auroc", *metrics):
                mean, sd = printed(SYNTHETIC, arch, metric) or (math.nan, math.nan)
                row |= {f"{metric} published": mean, f"{metric} published sd": sd}
            rows.append(row)
    if not rows:
        return None
    columns = [
        Column("network", "network"),
        Column("protocol", "protocol"),
        Column("n", "n", digits=0),
        Column("epochs", "best epoch", digits=0),
        Column("test_auroc", "ours", "AUROC", "test_auroc sd", 3),
        Column("test_auroc published", "published", "AUROC", "test_auroc published sd", 3),
    ]
    for metric in metrics:
        label = label_of(metric)
        columns += [
            Column(f"{metric} {name}", f"alignment {name}", label, f"{metric} {name} sd", 3)
            for name in ALIGNMENTS
        ]
        spread = f"{metric} published sd"
        columns.append(Column(f"{metric} published", "published", label, spread, 3))
    title = "The protocol of the released code and that of the text"
    return Table("protocols", title, pandas.DataFrame(rows), tuple(columns))


def runs_table(runs: pandas.DataFrame, base: str) -> Table:
    """Return all runs, those that do not count among them, with their addresses as text."""
    frame = runs.copy()
    frame["network"] = [printed_name(arch or "custom") for arch in frame["arch"]]
    frame["hours"] = frame["time/total"] / 3600 if "time/total" in frame else math.nan
    frame["address"] = [address(row, base) for _, row in frame.iterrows()]
    frame["when"] = [str(when)[:16] for when in frame["started"]]
    metrics = [
        (name, label_of(name))
        for name in ("test_auroc", "test_aupr", "conv1/match_jaspar", "conv1/match_relevant")
        if name in frame
    ]
    columns = (
        Column("network", "network"),
        Column("seed", "seed", digits=0),
        Column("dataset", "data set"),
        Column("state", "state"),
        *(Column(name, label, digits=3) for name, label in metrics),
        Column("hours", "hours", digits=2),
        Column("when", "started (UTC)"),
        Column("run_id", "run id", link="address"),
        Column("address", "address in the MLflow UI"),
    )
    keys = [*dict.fromkeys([column.key for column in columns] + visible(runs))]
    return Table("runs", "All runs", frame[keys], columns)


def user_table(
    counted: pandas.DataFrame, rows: Sequence[str], columns: Sequence[str], where: str = ""
) -> Table:
    """Return a table of the user's own: mean and sd of columns over the runs of each row.

    Args:
        counted: runs that count, selected already.
        rows: columns whose values make a row.
        columns: numbers to show (others are shown where all runs of a row agree).
        where: the conditions, for the title.

    Returns:
        Runs of a row that differ in more than the seed are not pooled: the row is split by what
        differs, and a note says so.

    Raises:
        UserError: an unknown column, no run.
    """
    if counted.empty:
        raise UserError("`report --rows` needs runs that finished: found none that fit")
    known = visible(counted)
    check_columns([*rows, *columns], known)
    groups = [group for _, group in counted.groupby(list(rows), dropna=False, sort=True)]
    differing = {name for group in groups for name in varying(group)}
    keys = list(rows)
    for name in (name for name in known if name in differing and name not in rows):
        if _count(counted, [*keys, name]) > _count(counted, keys):
            keys.append(name)
    split = keys[len(rows) :]
    records = []
    for _, group in counted.groupby(keys, dropna=False, sort=False):
        record: dict[str, Any] = {key: group[key].iloc[0] for key in keys} | {"n": len(group)}
        for name in columns:
            values = group[name].dropna()
            if pandas.api.types.is_numeric_dtype(counted[name]):
                record[name] = float(values.mean()) if len(values) else math.nan
                record[f"{name} sd"] = float(values.std()) if len(values) > 1 else math.nan
            else:
                record[name] = values.iloc[0] if values.nunique() == 1 else f"{len(values)} values"
        records.append(record)
    order = {name: number for number, name in enumerate(ARCHITECTURES)}
    frame = pandas.DataFrame(records).sort_values(
        keys, key=lambda column: column.map(lambda value: _rank(value, order)), kind="stable"
    )
    shown = [Column(key, key) for key in keys] + [Column("n", "n", digits=0)]
    for name in columns:
        numeric = pandas.api.types.is_numeric_dtype(frame[name])
        shown.append(Column(name, name, "", f"{name} sd", 3) if numeric else Column(name, name))
    notes = ["Mean ± standard deviation over n trials (n − 1)."]
    if split:
        names = ", ".join(f"`{name}`" for name in split)
        notes.append(f"Rows are split by {names}, in which runs of one row would differ.")
    title = f"{', '.join(columns)} by {', '.join(rows)}" + (f" where {where}" if where else "")
    return Table("custom", title, frame.reset_index(drop=True), tuple(shown), tuple(notes))


def _count(frame: pandas.DataFrame, keys: list[str]) -> int:
    return int(frame.groupby(keys, dropna=False).ngroups)


def _rank(value: Any, order: dict[str, int]) -> tuple[int, float, str]:
    if isinstance(value, str):
        return 1, order.get(value, len(order)), value
    return 0, float(value) if value is not None and not pandas.isna(value) else math.inf, ""
