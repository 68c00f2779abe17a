"""Which first-layer filters match which factor, by network."""

from typing import Any

import pandas

from mlproject.architectures import printed_name
from mlproject.report.published import IN_VIVO, SYNTHETIC
from mlproject.report.registry import table
from mlproject.report.table import Column, Table
from mlproject.report.trials import of_dataset, trials_by_network

PREFIX = "conv1/filters/"


@table(60, "factors", SYNTHETIC)
@table(61, "factors", IN_VIVO)
def factor_tables(counted: pandas.DataFrame, dataset: str) -> list[Table]:
    """Return two tables factor x network: share of trials that find it, filters a trial."""
    frame, _ = of_dataset(counted, dataset)
    found = trials_by_network(frame, "conv1/match_relevant")
    names = [
        name
        for name in frame.columns
        if str(name).startswith(PREFIX) and any(one.runs[name].notna().any() for one in found)
    ]
    if not names:
        return []
    shares: list[dict[str, Any]] = []
    counts: list[dict[str, Any]] = []
    for name in names:
        factor = {"factor": name.removeprefix(PREFIX)}
        shares.append({**factor, **{o.arch: float((o.runs[name] > 0).mean()) for o in found}})
        counts.append({**factor, **{o.arch: float(o.runs[name].mean()) for o in found}})
    for rows, label in ((shares, "all (coverage)"), (counts, "all")):
        values = pandas.DataFrame(rows)[[one.arch for one in found]]
        rows.append({"factor": label, **(values.mean() if rows is shares else values.sum())})
    trials = ", ".join(f"{printed_name(one.arch)} {len(one.runs)}" for one in found)
    stem = f"factors_{dataset.replace(' ', '_')}"

    def columns(digits: int) -> tuple[Column, ...]:
        shown = [Column(one.arch, printed_name(one.arch), digits=digits) for one in found]
        return (Column("factor", "factor"), *shown)

    note = f"Trials: {trials}."
    return [
        Table(
            f"{stem}_coverage",
            f"Share of trials in which a first-layer filter matches the factor, {dataset} "
            "sequences",
            shares,
            columns(2),
            (note,),
        ),
        Table(
            f"{stem}_filters",
            f"First-layer filters that match the factor, mean over trials, {dataset} sequences",
            counts,
            columns(1),
            (
                note,
                "The paper: the number of filters of a factor shows how easily training finds it "
                "from random weights, not how important it is. A filter that matches two factors "
                "counts twice.",
            ),
        ),
    ]
