"""The table that the user asks for with ``--rows`` and ``--columns``."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas

from mlproject.architectures import network_order
from mlproject.report.axes import DATABASES, database_names
from mlproject.report.content import Content
from mlproject.report.measure import measure
from mlproject.report.registry import section
from mlproject.report.table import Column, Table
from mlproject.report.trials import varying
from mlproject.store.results.conditions import check_columns
from mlproject.store.results.frame import visible
from mlproject.system.errors import UserError


@section(10, "custom", first=True)
def user(content: Content) -> Iterator[Table]:
    """Make the table of the user, if the request has one."""
    wanted = content.request
    if wanted.rows:
        yield user_table(content.counted, wanted.rows, wanted.columns, wanted.where)


def user_table(
    counted: pandas.DataFrame, rows: Sequence[str], columns: Sequence[str], where: str = ""
) -> Table:
    """Return mean and standard deviation of columns over the runs of each row.

    Args:
        counted: the selected runs that count.
        rows: columns whose values make a row.
        columns: numbers to show; a text is shown if all runs of a row agree in it.
        where: the conditions, for the title.

    Returns:
        The table. Runs of a row differ in the seed only: the row is split by any other difference,
        and a note names it. Where the runs have several motif databases, each row names its own.

    Raises:
        UserError: an unknown column, no run.
    """
    if counted.empty:
        raise UserError(
            "`report --rows` needs finished runs: found none that fit; widen `--where` or train"
        )
    known = visible(counted)
    check_columns([*rows, *columns], known)
    counted = counted.assign(**{DATABASES: database_names(counted)})
    groups = [group for _, group in counted.groupby(list(rows), dropna=False, sort=True)]
    differing = {name for group in groups for name in varying(group)}
    if "motifs_sha256" in differing:
        differing.add(DATABASES)
    keys = list(rows)
    for name in (name for name in known if name in differing and name not in rows):
        if _count(counted, [*keys, name]) > _count(counted, keys):
            keys.append(name)
    split = keys[len(rows) :]
    several = counted[DATABASES].nunique() > 1
    if several and DATABASES not in keys:
        keys.append(DATABASES)
    numeric = {name for name in columns if pandas.api.types.is_numeric_dtype(counted[name])}
    records = []
    for _, group in counted.groupby(keys, dropna=False, sort=False):
        record: dict[str, Any] = {key: group[key].iloc[0] for key in keys} | {"n": len(group)}
        for name in columns:
            if name in numeric:
                record[name] = measure(group[name])
            else:
                values = group[name].dropna()
                record[name] = values.iloc[0] if values.nunique() == 1 else f"{len(values)} values"
        records.append(record)
    records.sort(key=lambda record: [_rank(record[key]) for key in keys])
    shown = [Column(key, key) for key in keys] + [Column("n", "n", digits=0)]
    shown += [Column(name, name, digits=3 if name in numeric else None) for name in columns]
    notes = ["Mean ± standard deviation over n trials (n − 1)."]
    if split:
        names = ", ".join(f"`{name}`" for name in split)
        notes.append(f"Rows are split by {names}, in which runs of one row would differ.")
    if several:
        notes.append("Matches with different motif databases cannot be compared.")
    title = f"{', '.join(columns)} by {', '.join(rows)}" + (f" where {where}" if where else "")
    return Table("custom", title, records, tuple(shown), tuple(notes))


def _count(frame: pandas.DataFrame, keys: list[str]) -> int:
    return int(frame.groupby(keys, dropna=False).ngroups)


def _rank(value: Any) -> tuple[int, float, str]:
    """Return the key of a value's order: numbers, networks in the paper's order, other texts."""
    if isinstance(value, str):
        return 1, network_order(value)[0], value
    return 0, float(value) if value is not None and not pandas.isna(value) else math.inf, ""
