"""All published cells together, and published rows that have two interpretations."""

import math
from typing import Any, NamedTuple

import pandas

from mlproject.architectures import make_spec, printed_name
from mlproject.report.labels import label_of
from mlproject.report.measure import measure_of
from mlproject.report.published import DATASETS, SYNTHETIC, archs_of, printed
from mlproject.report.registry import table
from mlproject.report.table import Column, Table, published_column
from mlproject.report.trials import of_dataset, trials
from mlproject.report.verdicts import ONE_DATA_SET, joint, p_text

METRICS = ("test_auroc", "test_aupr", "conv1/match_jaspar", "conv1/match_relevant")
SHOWN = ("test_auroc", "conv1/match_jaspar", "conv1/match_relevant")


class RowReading(NamedTuple):
    """One interpretation of a published row.

    Attributes:
        printed: the network that the row names.
        arch: the trained network.
        options: other fields of its spec.
        text: the difference from the other interpretation.
    """

    printed: str
    arch: str
    options: dict[str, object]
    text: str


READINGS = (
    RowReading("CNN9-4", "CNN9-4", {}, "window of 9 nt, as the authors' cnn9_4.meme"),
    RowReading("CNN9-4", "CNN9-4", {"window": 19}, "window of 19 nt, as the released code"),
    RowReading("CNN9-25", "CNN9-25", {}, "window of 9 nt, as the authors' cnn9_25.meme"),
    RowReading("CNN9-25", "CNN9-25", {"window": 19}, "window of 19 nt, as the released code"),
    RowReading("CNN-50-2", "CNN-50-2", {}, "128 filters, 512 units, as printed"),
    RowReading("CNN-50-2", "CNN-50-2-released", {}, "64 filters, 96 units, as released"),
)


@table(40, "joint", first=True)
def joint_table(counted: pandas.DataFrame) -> Table | None:
    """Return whether ours are higher than published over all networks, a row for each metric.

    Args:
        counted: runs that count.

    Returns:
        The table, None without a network of two trials or more.
    """
    rows: list[dict[str, Any]] = []
    for dataset in DATASETS:
        frame, _ = of_dataset(counted, dataset)
        for metric in METRICS:
            cells = []
            for arch in archs_of(dataset):
                numbers = printed(dataset, arch, metric)
                runs = trials(frame, arch, metric).runs
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
    return Table("joint", title, rows, columns, (note, ONE_DATA_SET))


@table(41, "joint", first=True)
def readings_table(counted: pandas.DataFrame) -> Table | None:
    """Return ours under each interpretation of a row of Table 1 that has two; None without runs."""
    frame, _ = of_dataset(counted, SYNTHETIC)
    rows: list[dict[str, Any]] = []
    for one in READINGS:
        window = make_spec({"arch": one.arch, **one.options}).window
        runs = frame[(frame["arch"] == one.arch) & (frame["window"] == window)]
        runs = trials(runs, one.arch, "test_auroc").runs
        row: dict[str, Any] = {"network": printed_name(one.printed), "reading": one.text}
        row["n"] = len(runs)
        for metric in SHOWN:
            mean, sd = printed(SYNTHETIC, one.printed, metric) or (math.nan, math.nan)
            row[metric] = measure_of(runs, metric)._replace(published=mean, published_sd=sd)
        rows.append(row)
    if not any(row["n"] for row in rows):
        return None
    columns = [Column("network", "network"), Column("reading", "reading")]
    columns.append(Column("n", "n", digits=0))
    for metric in SHOWN:
        columns.append(Column(metric, "ours", label_of(metric), 3))
        columns.append(published_column(metric, label_of(metric)))
    note = (
        "The authors' repository (p-koo/learning_sequence_motifs) has motif files of CNN9-4 and "
        "CNN9-25 that are 9 nt wide, while its code cuts 19 nt, and a CNN-50-2 of 64 second-layer "
        "filters and 96 units, while the text gives 128 and 512."
    )
    title = "Rows of Table 1 that can be read in two ways"
    return Table("readings", title, rows, tuple(columns), (note,))
