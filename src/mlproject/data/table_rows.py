"""Rows of a table of sequences with measured values: columns, cells, and their checks."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from mlproject.data.fitting import Fit, fitted
from mlproject.data.sequence_files import SequenceRecord, checked_letters, read_sequences
from mlproject.system.errors import UserError, nearest, short_repr
from mlproject.system.texts import lines

MISSING = frozenset({"", "na", "nan", "n/a", "null", "none", ".", "-"})
Transform = Literal["none", "log2", "log1p", "standardise"]


class Options(NamedTuple):
    """How a table is read.

    Attributes:
        sequence: column of the sequences.
        columns: columns of the values; of the task ``multiclass`` one, with the names of classes.
        task: of the data set.
        units: unit of each column, () if unknown.
        transform: of the values: ``log2``; ``log1p``, log2 of 1 more; ``standardise``, mean 0 and
            standard deviation 1 in the training split.
        missing: ``refuse`` missing values, or ``drop`` their rows.
        duplicates: equal sequences in one split: their ``mean``, the ``first``, or ``refuse``.
        split: column that names the split of each row, "" if none.
        chromosome: column of chromosomes, "" if none; `valid` and `test` are then their names.
        valid: share of the validation split, or its chromosomes, comma-separated.
        test: the same of the test split.
        seed: of the random split.
        length: nt a sequence; None: that of the first one.
        fit: sequences of another length, see `mlproject.data.fasta.convert`.
        fasta: file of the sequences, if the table has their names only.
        name: column of these names.
    """

    sequence: str
    columns: tuple[str, ...]
    task: str = "regression"
    units: tuple[str, ...] = ()
    transform: Transform = "none"
    missing: Literal["refuse", "drop"] = "refuse"
    duplicates: Literal["mean", "first", "refuse"] = "mean"
    split: str = ""
    chromosome: str = ""
    valid: str = "0.1"
    test: str = "0.2"
    seed: int = 0
    length: int | None = None
    fit: Fit = "exact"
    fasta: Path | None = None
    name: str = ""


class Row(NamedTuple):
    """A row of a table: its line, its sequence, its cells of values, its split or chromosome."""

    line: int
    sequence: str
    cells: tuple[str, ...]
    group: str


def check_options(options: Options) -> None:
    """Raise a `UserError` for options that exclude each other."""
    if not options.columns or len(set(options.columns)) < len(options.columns):
        raise UserError(
            f"`columns` must name different columns of values: got {','.join(options.columns)!r}"
        )
    if options.task == "multiclass" and len(options.columns) != 1:
        raise UserError(
            f"`columns` must be one column of class names with task=multiclass: got "
            f"{','.join(options.columns)}"
        )
    if options.split and options.chromosome:
        raise UserError("`split` and `chromosome` exclude each other: got both")
    if options.transform != "none" and options.task != "regression":
        raise UserError(
            f"`transform` is for task=regression: got transform={options.transform}, "
            f"task={options.task}"
        )
    if bool(options.fasta) != bool(options.name):
        raise UserError("a FASTA file and the column of its names belong together: got one of them")


def read_rows(file: Path, options: Options) -> tuple[list[Row], int, int]:
    """Return the rows of a table, and how many lack a value or have another length."""
    numbered = lines(file)
    header, separator = _header(file, numbered)
    places = {name: _place(file, header, name) for name in _wanted(options)}
    named = _named_sequences(options.fasta) if options.fasta else None
    rows, dropped, unfit = [], 0, 0
    length = options.length
    for number, line in numbered:
        if not line.strip() or line.startswith("#"):
            continue
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]
        if len(cells) != len(header):
            raise UserError(
                f"{file}, line {number}: must have {len(header)} columns, as the header: "
                f"got {len(cells)}"
            )
        found = tuple(cells[places[name]] for name in options.columns)
        if any(cell.lower() in MISSING for cell in found):
            if options.missing == "refuse":
                lacking = next(
                    name for name, cell in zip(options.columns, found, strict=True)
                    if cell.lower() in MISSING
                )  # fmt: skip
                raise UserError(
                    f"{file}, line {number}: `{lacking}` has no value; missing=drop leaves such "
                    "rows out"
                )
            dropped += 1
            continue
        record = _record(file, number, cells, places, options, named)
        length = length or len(record.sequence)
        sequence = fitted(record, length, options.fit)
        if sequence is None:
            unfit += 1
            continue
        group = options.split or options.chromosome
        rows.append(Row(number, sequence, found, cells[places[group]] if group else ""))
    if not rows:
        raise UserError(f"{file}: holds no row with a sequence and its values")
    return rows, dropped, unfit


def _header(file: Path, numbered: Iterator[tuple[int, str]]) -> tuple[list[str], str]:
    for number, line in numbered:
        if line.strip() and not line.startswith("##"):
            text = line.removeprefix("#")
            separator = max("\t,;", key=text.count)
            header = [cell.strip() for cell in next(csv.reader([text], delimiter=separator))]
            if len(header) < 2:
                raise UserError(
                    f"{file}, line {number}: must be a header of columns, separated by tabs, "
                    f"commas or semicolons: got {short_repr(line)}"
                )
            return header, separator
    raise UserError(f"{file}: is empty")


def _wanted(options: Options) -> list[str]:
    source = options.name if options.fasta else options.sequence
    return [source, *options.columns, *filter(None, [options.split, options.chromosome])]


def _place(file: Path, header: Sequence[str], name: str) -> int:
    found = [place for place, column in enumerate(header) if column == name]
    if len(found) > 1:
        raise UserError(f"{file}: the header has {len(found)} columns {name!r}: rename one")
    if not found:
        raise UserError(f"{file}: no column {name!r}: {nearest(name, header)}")
    return found[0]


def _named_sequences(fasta: Path) -> dict[str, SequenceRecord]:
    found: dict[str, SequenceRecord] = {}
    for record in read_sequences(fasta):
        if record.name in found:
            raise UserError(f"{fasta}, line {record.line}: the name {record.name!r} comes again")
        found[record.name] = record
    return found


def _record(
    file: Path,
    number: int,
    cells: Sequence[str],
    places: Mapping[str, int],
    options: Options,
    named: Mapping[str, SequenceRecord] | None,
) -> SequenceRecord:
    """Return the sequence of a row, from the table or by its name from a FASTA file."""
    if named is not None:
        name = cells[places[options.name]]
        if name not in named:
            raise UserError(
                f"{file}, line {number}: {options.fasta} has no sequence {short_repr(name)}"
            )
        return named[name]
    text = cells[places[options.sequence]]
    if not text:
        raise UserError(f"{file}, line {number}: the sequence is empty")
    return SequenceRecord(file, number, checked_letters(file, number, text).upper())


def values_of(file: Path, rows: Sequence[Row], options: Options) -> tuple[np.ndarray, list[str]]:
    """Return the labels, (rows, outputs), and the names of their columns."""
    if options.task == "multiclass":
        names = sorted({row.cells[0] for row in rows})
        number = {name: place for place, name in enumerate(names)}
        return np.eye(len(names))[[number[row.cells[0]] for row in rows]], names
    found = np.empty((len(rows), len(options.columns)))
    for values, row in zip(found, rows, strict=True):
        for place, cell in enumerate(row.cells):
            try:
                values[place] = float(cell)
            except ValueError:
                values[place] = math.nan
            if not math.isfinite(values[place]) or not _allowed(values[place], options.task):
                rule = {"binary": "0 or 1", "counts": "a number, 0 or more"}
                raise UserError(
                    f"{file}, line {row.line}: `{options.columns[place]}` must be "
                    f"{rule.get(options.task, 'a number')}: got {short_repr(cell)}"
                )
    return found, [*options.columns]


def _allowed(value: float, task: str) -> bool:
    return (value in (0, 1)) if task == "binary" else (task != "counts" or value >= 0)
