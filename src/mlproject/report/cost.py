"""What runs have cost: time on the clock and time of the processor, by network and machine."""

import math

import pandas

from mlproject.architectures import ARCHITECTURES, printed_name
from mlproject.report.table import Column, Table

TIMES = ("time/train", "time/interpret", "time/total", "time/cpu")


def cost_table(counted: pandas.DataFrame) -> Table | None:
    """Return the time that runs took, a row for each network and machine, None if unknown.

    Runs that took the weights of another one (``mlproject.weights_of``) count with what they took.
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
    order = {name: number for number, name in enumerate(ARCHITECTURES)}
    rows.sort(key=lambda row: (row["device"], row["protocol"], order.get(row["arch"], len(order))))
    rows.append(
        {"network": "all", "protocol": "", "arch": "", "backend": "", "device": ""} | _sums(frame)
    )
    columns = (
        Column("network", "network"),
        Column("protocol", "protocol"),
        Column("device", "device"),
        Column("backend", "backend"),
        Column("n", "runs", digits=0),
        Column("best_epoch", "best epoch", digits=0),
        Column("minutes", "minutes a run", digits=1),
        Column("time/train", "training", "hours", digits=2),
        Column("time/interpret", "filters", "hours", digits=2),
        Column("time/total", "in all", "hours", digits=2),
        Column("time/cpu", "processor", "hours", digits=2),
    )
    note = (
        "Hours on the clock of all runs of a row, and of the processor where they were recorded. "
        "Runs that worked beside each other on one machine each count with the time they took."
    )
    title = "What the runs took"
    return Table("cost", title, pandas.DataFrame(rows), columns, (note,))


def _sums(runs: pandas.DataFrame) -> dict[str, float]:
    hours = {
        name: float(runs[name].sum()) / 3600 if name in runs and runs[name].notna().any() else None
        for name in TIMES
    }
    known = {name: math.nan if value is None else value for name, value in hours.items()}
    best = float(runs["best_epoch"].mean()) if "best_epoch" in runs else math.nan
    mean = float(runs["time/total"].mean()) / 60
    return {"n": len(runs), "best_epoch": best, "minutes": mean, **known}
