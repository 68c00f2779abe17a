"""Printed cells taken together, and printed cells of which there is more than one reading."""

from typing import Any, NamedTuple

import pandas

from mlproject.architectures import make_spec, printed_name
from mlproject.report.paper_tables import label_of
from mlproject.report.pooling import of_dataset, pool
from mlproject.report.published import DATASETS, SYNTHETIC, archs_of, printed
from mlproject.report.table import Column, Table
from mlproject.report.verdicts import ONE_DATA_SET, joint, p_text

METRICS = ("test_auroc", "test_aupr", "conv1/match_jaspar", "conv1/match_relevant")
SHOWN = ("test_auroc", "conv1/match_jaspar", "conv1/match_relevant")


class Reading(NamedTuple):
    """One way to read a printed row.

    Attributes:
        printed: the network that the row names.
        arch: the network that is trained.
        options: what its spec has besides.
        text: what distinguishes this reading.
    """

    printed: str
    arch: str
    options: dict[str, object]
    text: str


READINGS = (
    Reading("CNN9-4", "CNN9-4", {}, "window of 9 nt, as the authors' cnn9_4.meme"),
    Reading("CNN9-4", "CNN9-4", {"window": 19}, "window of 19 nt, as the released code"),
    Reading("CNN9-25", "CNN9-25", {}, "window of 9 nt, as the authors' cnn9_25.meme"),
    Reading("CNN9-25", "CNN9-25", {"window": 19}, "window of 19 nt, as the released code"),
    Reading("CNN-50-2", "CNN-50-2", {}, "128 filters, 512 units, as printed"),
    Reading("CNN-50-2", "CNN-50-2-released", {}, "64 filters, 96 units, as released"),
)


def joint_table(counted: pandas.DataFrame) -> Table | None:
    """Return whether ours lie higher than printed over all networks, a row a metric; None if none.

    Args:
        counted: runs that count.
    """
    rows: list[dict[str, Any]] = []
    for dataset in DATASETS:
        frame, _ = of_dataset(counted, dataset)
        for metric in METRICS:
            cells = []
            for arch in archs_of(dataset):
                numbers = printed(dataset, arch, metric)
                runs = pool(frame, arch, metric).runs
                if numbers and len(runs) > 1:
                    cells.append((runs[metric].to_numpy(float), numbers))
            if cells:
                found = joint(cells)
                rows.append(
                    {"dataset": dataset, "metric": label_of(metric), **found._asdict()}
                    | {"p shown": p_text(found.p)}
                )
    if not rows:
        return None
    columns = (
        Column("metric", "metric"),
        Column("dataset", "sequences"),
        Column("cells", "networks", digits=0),
        Column("positive", "ours higher", digits=0),
        Column("negative", "ours lower", digits=0),
        Column("z", "Stouffer's z", digits=1, signed=True),
        Column("p shown", "p"),
    )
    note = (
        "Over all networks with two trials or more: the sign of ours less published, and the Welch "
        "t test of each cell as a standard normal value, summed and divided by the root of the "
        "number of cells (Stouffer). Cells that each agree can differ together."
    )
    title = "All cells together: do ours lie higher or lower than the published?"
    return Table("joint", title, pandas.DataFrame(rows), columns, (note, ONE_DATA_SET))


def readings_table(counted: pandas.DataFrame) -> Table | None:
    """Return ours under each reading of the rows of Table 1 that have two; None without runs."""
    frame, _ = of_dataset(counted, SYNTHETIC)
    rows: list[dict[str, Any]] = []
    for one in READINGS:
        window = make_spec({"arch": one.arch, **one.options}).window
        runs = frame[(frame["arch"] == one.arch) & (frame["window"] == window)]
        runs = pool(runs, one.arch, "test_auroc").runs
        row: dict[str, Any] = {"network": printed_name(one.printed), "reading": one.text}
        row["n"] = len(runs)
        for metric in SHOWN:
            values = runs[metric].dropna() if metric in runs else pandas.Series(dtype=float)
            row[metric] = float(values.mean()) if len(values) else None
            row[f"{metric} sd"] = float(values.std()) if len(values) > 1 else None
            mean, sd = printed(SYNTHETIC, one.printed, metric) or (None, None)
            row |= {f"{metric} published": mean, f"{metric} published sd": sd}
        rows.append(row)
    if not any(row["n"] for row in rows):
        return None
    columns = [Column("network", "network"), Column("reading", "reading")]
    columns.append(Column("n", "n", digits=0))
    for metric in SHOWN:
        label = label_of(metric)
        columns.append(Column(metric, "ours", label, f"{metric} sd", 3))
        spread = f"{metric} published sd"
        columns.append(Column(f"{metric} published", "published", label, spread, 3))
    note = (
        "The authors' repository (p-koo/learning_sequence_motifs) has motif files of CNN9-4 and "
        "CNN9-25 that are 9 nt wide, while its code cuts 19 nt, and a CNN-50-2 of 64 second-layer "
        "filters and 96 units, while the text gives 128 and 512."
    )
    return Table(
        "readings",
        "Rows of Table 1 that can be read in two ways",
        pandas.DataFrame(rows).astype({name: float for row in rows[:1] for name in _numbers(row)}),
        tuple(columns),
        (note,),
    )


def _numbers(row: dict[str, Any]) -> list[str]:
    return [name for name in row if name not in ("network", "reading", "n")]
