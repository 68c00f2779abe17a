"""The cells of a table as labels: numbers, counts, labels 0 and 1, or names of classes."""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mlproject.data.table_rows import Options, Row
from mlproject.system.errors import UserError, short_repr
from mlproject.system.messages import quantity

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
CODES = tuple(-float(one) for one in (1, 9, 99, 999, 9999, 99999))
"""Numbers that tables of other programs have where there is no value."""

LARGEST = float(np.finfo(np.float32).max)


def values_of(file: Path, rows: Sequence[Row], options: Options) -> tuple[np.ndarray, list[str]]:
    """Return the labels, (rows, outputs), and the names of their columns."""
    if options.task == "multiclass":
        names = class_names_of(file, rows, options)
        number = {name: place for place, name in enumerate(names)}
        return np.eye(len(names))[[number[row.cells[0]] for row in rows]], names
    found = np.empty((len(rows), len(options.columns)))
    for values, row in zip(found, rows, strict=True):
        for place, cell in enumerate(row.cells):
            values[place] = float(cell) if NUMBER.fullmatch(cell) else math.nan
            if not abs(values[place]) <= LARGEST or not _allowed(values[place], options.task):
                rule = {"binary": "0 or 1", "counts": "a number, 0 or more"}
                hint = "; write a point for the comma" if DECIMAL_COMMA.fullmatch(cell) else ""
                raise UserError(
                    f"{file}, line {row.line}: `{options.columns[place]}` must be "
                    f"{rule.get(options.task, 'a number')}: got {short_repr(cell)}{hint}"
                )
    return found, [*options.columns]


def suspected(values: np.ndarray, names: Sequence[str]) -> Iterator[str]:
    """Yield a sentence on each column whose lowest value may mean that there is none.

    It is one of `CODES`, several rows have it, and the other values are far above.
    """
    for name, own in zip(names, values.T, strict=True):
        least = float(own.min())
        count, rest = int((own == least).sum()), own[own > least]
        if least in CODES and count > 1 and len(rest) and rest.min() >= least / 10:
            yield (
                f"`{name}` is {least:g} in {quantity(count, 'row')}, far below all others: if it "
                "means that there is no value, write NA"
            )


def class_names_of(file: Path, rows: Sequence[Row], options: Options) -> list[str]:
    """Return the names of the classes in the column of the task ``multiclass``.

    Raises:
        UserError: they are measured values: numbers with decimals, or whole numbers of which more
            than half the rows have their own.
    """
    names = sorted({row.cells[0] for row in rows})
    if names and all(NUMBER.fullmatch(name) or DECIMAL_COMMA.fullmatch(name) for name in names):
        values = {name: float(name.replace(",", ".")) for name in names}
        decimals = [name for name in names if not values[name].is_integer()]
        if decimals or 2 < len(names) > len(rows) / 2:
            raise UserError(
                f"{file}: `{options.columns[0]}` must have names of classes with task=multiclass: "
                f"got {quantity(len(names), 'different number')} in {quantity(len(rows), 'row')}, "
                f"such as {(decimals or names)[0][:20]}; measured values take --task regression"
            )
    return names


def _allowed(value: float, task: str) -> bool:
    return (value in (0, 1)) if task == "binary" else (task != "counts" or value >= 0)
