"""The matches of the first layer under both alignments, and the networks under both protocols."""

import math
from typing import Any

import pandas

from mlproject.architectures import ALWAYS_SCORED, ARCHITECTURES, printed_name
from mlproject.report.labels import label_of
from mlproject.report.measure import Measure, measure_of
from mlproject.report.published import IN_VIVO, SYNTHETIC, printed
from mlproject.report.registry import table
from mlproject.report.table import Column, Table
from mlproject.report.trials import of_dataset, trials, trials_by_network

MATCHES = ("conv1/match_jaspar", "conv1/match_relevant")
BOTH = ("released", "paper")  # protocols of the first paper


@table(80, "protocol", SYNTHETIC)
@table(81, "protocol", IN_VIVO)
def alignment_table(counted: pandas.DataFrame, dataset: str) -> Table | None:
    """Return the matches of the first layer under both alignments, a row for each network."""
    frame, _ = of_dataset(counted, dataset)
    rows = []
    for found in trials_by_network(frame, MATCHES[0]):
        if found.runs["alignment"].iloc[0] != "released":
            continue
        row: dict[str, Any] = {"network": printed_name(found.arch), "n": len(found.runs)}
        for metric in MATCHES:
            row[f"{metric} released"] = measure_of(found.runs, metric)
            row[f"{metric} paper"] = measure_of(found.runs, f"{metric}_paper")
            row[f"{metric} published"] = (printed(dataset, found.arch, metric) or (math.nan,))[0]
        rows.append(row)
    if not rows:
        return None
    columns = [Column("network", "network"), Column("n", "n", digits=0)]
    for metric in MATCHES:
        columns += [
            Column(f"{metric} {name}", name, label_of(metric), 3)
            for name in ("released", "paper", "published")
        ]
    note = (
        "`released`: every position above 50 % of the largest activation, weighted (the authors' "
        "code). `paper`: the best position of each sequence, if above 70 % of the largest possible "
        "activation (the text)."
    )
    return Table(
        f"alignments_{dataset.replace(' ', '_')}",
        f"Matches of the first layer under both definitions of an alignment, {dataset} sequences",
        rows,
        tuple(columns),
        (note,),
    )


@table(82, "protocol")
def protocol_table(counted: pandas.DataFrame) -> Table | None:
    """Return the networks that were trained under both protocols, side by side; None if none.

    Matches are shown under both alignments, to separate the effect of training from that of the
    alignment.
    """
    frame, _ = of_dataset(counted, SYNTHETIC)
    rows = []
    for arch in ARCHITECTURES:
        both = [
            trials(frame[frame["protocol"] == protocol], arch, "test_auroc").runs
            for protocol in BOTH
        ]
        if any(runs.empty for runs in both):
            continue
        for protocol, runs in zip(BOTH, both, strict=True):
            row: dict[str, Any] = {"network": printed_name(arch), "protocol": protocol}
            row |= {"n": len(runs), "epochs": runs["best_epoch"].mean()}
            row["test_auroc"] = measure_of(runs, "test_auroc")
            for metric in MATCHES:
                for name in ALWAYS_SCORED:
                    own = name == runs["alignment"].iloc[0]
                    source = metric if own else f"{metric}_{name}"
                    row[f"{metric} {name}"] = measure_of(runs, source)
            for metric in ("test_auroc", *MATCHES):
                known = printed(SYNTHETIC, arch, metric) or (math.nan, math.nan)
                row[f"{metric} published"] = Measure(*known)
            rows.append(row)
    if not rows:
        return None
    columns = [
        Column("network", "network"),
        Column("protocol", "protocol"),
        Column("n", "n", digits=0),
        Column("epochs", "best epoch", digits=0),
        Column("test_auroc", "ours", "AUROC", 3),
        Column("test_auroc published", "published", "AUROC", 3),
    ]
    for metric in MATCHES:
        label = label_of(metric)
        columns += [
            Column(f"{metric} {name}", f"alignment {name}", label, 3) for name in ALWAYS_SCORED
        ]
        columns.append(Column(f"{metric} published", "published", label, 3))
    title = "The protocol of the released code and that of the text"
    return Table("protocols", title, rows, tuple(columns))
