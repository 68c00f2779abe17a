"""The scores of each output or class of a user's data, by setting."""

from collections.abc import Iterator
from typing import Any

from mlproject.report.content import Content
from mlproject.report.measure import measure_of
from mlproject.report.registry import section
from mlproject.report.sections.own_data import OwnData, own_data
from mlproject.report.table import Column, Table

KINDS = {
    "pearson": "Pearson",
    "spearman": "Spearman",
    "r2": "R²",
    "mse": "MSE",
    "deviance": "deviance",
    "auroc": "AUROC",
    "aupr": "AUPR",
}  # of single classes and outputs
MOST_OUTPUTS = 30


@section(16, "own", first=True)
def outputs_tables(content: Content) -> Iterator[Table]:
    """Make a table of the outputs of each data set that has several."""
    for data in own_data(content.counted):
        if table := outputs_table(data):
            yield table


def outputs_table(data: OwnData) -> Table | None:
    """Return the scores of each output or class, a row for each of each setting.

    None: there is one output, whose scores are those of the settings, or more than `MOST_OUTPUTS`.
    """
    known = {
        kind: [str(name) for name in data.runs if str(name).startswith(f"test_{kind}/")]
        for kind in KINDS
    }
    known = {
        kind: found
        for kind, columns in known.items()
        if (found := [column for column in columns if data.runs[column].notna().any()])
    }
    kinds = [*known]
    names = list(dict.fromkeys(one.partition("/")[2] for own in known.values() for one in own))
    if not 2 <= len(names) <= MOST_OUTPUTS:
        return None
    values = any(kind in kinds for kind in ("pearson", "r2"))
    rows = []
    for setting, group in data.settings():
        for name in names:
            row: dict[str, Any] = {"setting": setting, "name": name, "n": len(group)}
            row |= {kind: measure_of(group, f"test_{kind}/{name}") for kind in kinds}
            rows.append(row)
    what = "output" if values else "class"
    columns = [Column("setting", "setting"), Column("name", what), Column("n", "n", digits=0)]
    columns += [Column(kind, KINDS[kind], digits=3) for kind in kinds]
    title = f"{data.title}: scores of each {what}"
    return Table(f"{data.anchor}_outputs", title, rows, tuple(columns))
