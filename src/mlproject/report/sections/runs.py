"""The list of all runs, and the time that they took."""

import math

import pandas

from mlproject.architectures import network_order, printed_name
from mlproject.report.content import Content
from mlproject.report.labels import label_of
from mlproject.report.registry import section, table
from mlproject.report.table import Column, Table
from mlproject.results import address
from mlproject.store.results.frame import visible

TIMES = ("time/train", "time/interpret", "time/total", "time/cpu")
METRICS = ("test_accuracy", "test_auroc", "test_aupr", "test_pearson", "test_r2", "test_deviance",
           "conv1/match_jaspar", "conv1/match_relevant")  # fmt: skip


@table(90, "runs")
def cost_table(counted: pandas.DataFrame) -> Table | None:
    """Return the time that runs took, a row for each network and machine, None if unknown.

    Runs that reused the weights of another run (``mlproject.weights_of``) count with the time that
    they took themselves.
    """
    if "time/total" not in counted or counted.empty:
        return None
    frame = counted.assign(
        where=counted["device"].fillna("unknown"), backend=counted["backend"].fillna("unknown")
    )
    rows = []
    for (arch, protocol, backend, device), runs in frame.groupby(
        ["arch", "protocol", "backend", "where"], dropna=False, sort=False
    ):
        rows.append(
            {"network": printed_name(str(arch)), "protocol": protocol, "arch": arch}
            | {"backend": backend, "device": device}
            | _sums(runs)
        )
    rows.sort(key=lambda row: (row["device"], row["protocol"], network_order(row["arch"])))
    rows.append(
        {"network": "all", "protocol": "", "arch": "", "backend": "", "device": ""} | _sums(frame)
    )
    columns = (
        Column("network", "network"),
        Column("protocol", "protocol"),
        Column("device", "device"),
        Column("backend", "backend"),
        Column("n", "runs", digits=0),
        Column("best_epoch", "epoch of the weights", digits=0),
        Column("minutes", "minutes a run", digits=1),
        Column("time/train", "training", "hours", 2),
        Column("time/interpret", "filters", "hours", 2),
        Column("time/total", "in all", "hours", 2),
        Column("time/cpu", "processor", "hours", 2),
    )
    note = (
        "Wall-clock hours of all runs of a row, and processor hours where they were recorded. "
        "Runs that shared a machine count with their full wall-clock time."
    )
    return Table("cost", "What the runs took", rows, columns, (note,))


def _sums(runs: pandas.DataFrame) -> dict[str, float]:
    hours = {
        name: float(runs[name].sum()) / 3600
        if name in runs and runs[name].notna().any()
        else math.nan
        for name in TIMES
    }
    best = float(runs["best_epoch"].mean()) if "best_epoch" in runs else math.nan
    mean = float(runs["time/total"].mean()) / 60
    return {"n": len(runs), "best_epoch": best, "minutes": mean, **hours}


@section(91, "runs")
def all_runs(content: Content) -> list[Table]:
    """Return all runs, also those that do not count, with their addresses as text."""
    runs = content.runs
    frame = runs.copy()
    frame["network"] = [printed_name(arch or "custom") for arch in frame["arch"]]
    frame["hours"] = frame["time/total"] / 3600 if "time/total" in frame else math.nan
    frame["address"] = [address(row, content.ui) for _, row in frame.iterrows()]
    frame["when"] = [str(when)[:16] for when in frame["started"]]
    known = {name for name in METRICS if name in frame and frame[name].notna().any()}
    columns = (
        Column("network", "network"),
        Column("seed", "seed", digits=0),
        Column("dataset", "data set"),
        Column("state", "state"),
        *(Column(name, label_of(name), digits=3) for name in METRICS if name in known),
        Column("hours", "hours", digits=2),
        Column("when", "started (UTC)"),
        Column("run_id", "run id", link="address"),
        Column("address", "address in the MLflow UI"),
    )
    keys = [*dict.fromkeys([column.key for column in columns] + visible(runs))]
    rows = frame[keys].to_dict("records")
    return [Table("runs", "All runs", rows, columns, recorded=frame[keys])]
