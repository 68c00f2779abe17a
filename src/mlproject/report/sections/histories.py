"""A scan of all histories for weights that changed as no training changes them."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas

from mlproject import results
from mlproject.architectures import network_order, printed_name
from mlproject.report.content import Content
from mlproject.report.registry import section
from mlproject.report.table import Column, Table
from mlproject.system.errors import UserError
from mlproject.system.messages import quantity

NEAR, TIMES, LEAST, LEAST_WEIGHT = 3, 10.0, 0.005, 0.1
RULE = (
    "Rule: the norm of all kernels (root of the sum of squared weights) is known after each epoch, "
    "from `weights/squares/…`, or from val_loss less val_cross_entropy, which is `l2` times the "
    f"sum. An epoch is suspicious if the norm changes by more than {LEAST:.1%} and by more than "
    f"{TIMES:g} times the median change of the {2 * NEAR} epochs around it; or if the largest "
    "change of a weight of a layer in the epoch, `weights/change/…`, is above "
    f"{LEAST_WEIGHT:g} and {TIMES:g} times that median. A device that overwrites weights makes "
    "such jumps; the loss need not show them. Largest: the largest such ratio of a change above "
    f"{LEAST:.1%} or {LEAST_WEIGHT:g}."
)


@section(92, "runs")
def histories(content: Content) -> Iterable[Table | None]:
    """Return the scan of the runs that count, a row for each network; None without histories."""
    scans: list[dict[str, Any]] = []
    for _, run in content.counted.iterrows():
        try:
            ratios = scan(results.history(run, content.store), run["spec"])
        except UserError:
            continue  # counted below
        if ratios is not None:
            scans.append({"run": run, "epochs": len(ratios), "ratios": ratios})
    if not scans:
        return [None]
    return [_table(scans, len(content.counted) - len(scans))]


def scan(history: pandas.DataFrame, spec: dict[str, Any]) -> np.ndarray | None:
    """Return for each epoch by how many times a change exceeds its neighbours', see `RULE`.

    Returns:
        float64 (epochs,), 0 where no change is large; None if the norms are unknown.
    """
    norms = kernel_norms(history, spec)
    if norms is None:
        return None
    found = np.array([0.0, *jumps(norms)])
    for _, change in history.filter(like="weights/change/").items():
        values = change.to_numpy(float)
        found = np.maximum(found, _ratios(values, values > LEAST_WEIGHT))
    return found


def kernel_norms(history: pandas.DataFrame, spec: dict[str, Any]) -> np.ndarray | None:
    """Return the norm of all kernels after each epoch, float64 (epochs,), None if unknown."""
    recorded = history.filter(like="weights/squares/")
    if recorded.shape[1]:
        return np.sqrt(recorded.sum(axis=1).to_numpy(float))
    factor = float(spec.get("l2", 0.0))
    losses = ("val_loss", "val_cross_entropy")
    if not factor or "output_l2" in spec or any(name not in history for name in losses):
        return None
    sums = (history["val_loss"] - history["val_cross_entropy"]).to_numpy(float) / factor
    return np.sqrt(sums) if (sums > 0).all() else None


def jumps(norms: np.ndarray) -> np.ndarray:
    """Return for each epoch after the first by how many times its change exceeds its neighbours'.

    Args:
        norms: (epochs,).

    Returns:
        float64 (epochs - 1,), 0 where the change is at most `LEAST` of the norm, see `RULE`.
    """
    change = np.abs(np.diff(norms))
    return _ratios(change, change > LEAST * norms[:-1])


def _ratios(change: np.ndarray, large: np.ndarray) -> np.ndarray:
    """Return how many times each large change exceeds the median of its neighbours, else 0."""
    found = np.zeros(len(change))
    for number in np.flatnonzero(large):
        near = [*change[max(number - NEAR, 0) : number], *change[number + 1 : number + NEAR + 1]]
        if near:
            found[number] = change[number] / max(float(np.median(near)), 1e-12)
    return found


def _suspicion(run: pandas.Series, ratios: np.ndarray) -> str:
    epochs = ", ".join(str(number + 1) for number in np.flatnonzero(ratios > TIMES))
    return f"{run['name']}: epoch {epochs}" if epochs else ""


def _table(scans: list[dict[str, Any]], unknown: int) -> Table:
    rows = []
    for arch in sorted({one["run"]["arch"] for one in scans}, key=network_order):
        own = [one for one in scans if one["run"]["arch"] == arch]
        bad = [text for one in own if (text := _suspicion(one["run"], one["ratios"]))]
        rows.append(
            {
                "network": printed_name(arch),
                "n": len(own),
                "epochs": sum(one["epochs"] for one in own),
                "largest": max(float(one["ratios"].max(initial=0.0)) for one in own),
                "count": len(bad),
                "suspicious": "; ".join(bad) or "none",
            }
        )
    columns = (
        Column("network", "network"),
        Column("n", "runs", digits=0),
        Column("epochs", "epochs", digits=0),
        Column("largest", "largest", digits=1),
        Column("suspicious", "suspicious"),
    )
    total = sum(row["count"] for row in rows)
    runs = sum(row["n"] for row in rows)
    found = f"{total or 'none'} {'are' if total > 1 else 'is'} suspicious"
    says = f"Of {quantity(runs, 'history', 'histories')} {found}."
    text = f"{quantity(unknown, 'run')} without a readable history of the weights."
    missing = (text,) if unknown else ()
    return Table("histories", "Scan of the histories", rows, columns, (says, *missing, RULE))
