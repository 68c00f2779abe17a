"""Rows of a table of sequences with measured values: columns, cells, and their checks."""

import csv
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

from mlproject.data.fitting import Fit, fitted
from mlproject.data.sequence_files import (
    SequenceRecord,
    check_width,
    checked_letters,
    read_sequences,
)
from mlproject.data.table_header import place_in, read_header
from mlproject.fields import VALUES
from mlproject.system.errors import UserError, short_repr
from mlproject.system.memory import Room
from mlproject.system.texts import LONGEST_LINE, lines

MISSING = frozenset({"", "na", "nan", "n/a", "#n/a", "null", "none", ".", "-"})

Transform = Literal["none", "log2", "log1p", "standardise"]

csv.field_size_limit(LONGEST_LINE)  # sequences may exceed 131,072 nt, the default


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
        fasta: files of the sequences, if the table has their names only.
        name: column of these names; "" with `fasta`: the first one.
        each: whether each sequence of `fasta` has one row; `missing` rules those without.
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
    fasta: tuple[Path, ...] = ()
    name: str = ""
    each: bool = False


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
    if options.units and options.task not in VALUES:
        raise UserError(
            "`units` are for task=regression and task=counts: got "
            f"units={','.join(options.units)}, task={options.task}"
        )
    if bool(options.fasta) < bool(options.name):
        raise UserError("`name`, a column of names, needs `fasta`, the file with these sequences")


class ReadRows(NamedTuple):
    """The rows of a table, and how many lack a value, have another length, begin with ``#``."""

    rows: list[Row]
    dropped: int
    unfit: int
    commented: int


def read_rows(file: Path, options: Options) -> ReadRows:
    """Return the rows of a table. Lines that begin with ``#`` are comments.

    Raises:
        UserError: a column or a row that breaks a rule of `Options`, or no row.
    """
    numbered = lines(file)
    header, separator = read_header(file, numbered)
    source = (options.name or header[0]) if options.fasta else options.sequence
    wanted = [source, *options.columns, *filter(None, [options.split, options.chromosome])]
    places = {name: place_in(file, header, name) for name in wanted}
    named = _named_sequences(options.fasta) if options.fasta else None
    lines_of: dict[str, int] = {}
    rows: list[Row] = []
    dropped = unfit = commented = 0
    length = options.length
    room = Room("sequences", "take fewer or shorter ones, or a smaller `length`")
    for number, line in numbered:
        if not line.strip():
            continue
        if line.startswith("#"):
            commented += line.count(separator) == len(header) - 1
            continue
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]
        check_width(file, number, cells, header)
        if options.each:
            _check_once(file, number, cells[places[source]], lines_of)
        found = tuple(cells[places[name]] for name in options.columns)
        lacking = [name for name in (source, *options.columns) if _missing(cells[places[name]])]
        if lacking:
            if options.missing == "refuse":
                raise UserError(
                    f"{file}, line {number}: `{lacking[0]}` has no value; missing=drop leaves such "
                    "rows out"
                )
            dropped += 1
            continue
        record = _record(file, number, cells[places[source]], options, named)
        length = length or len(record.sequence)
        room.require((len(rows) + 1) * length)
        sequence = fitted(record, length, options.fit)
        if sequence is None:
            unfit += 1
            continue
        group = options.split or options.chromosome
        rows.append(Row(number, sequence, found, cells[places[group]] if group else ""))
    if options.each and named is not None:
        dropped += _without_row(file, named, lines_of, options)
    if not rows:
        raise UserError(f"{file}: holds no row with a sequence and its values")
    return ReadRows(rows, dropped, unfit, commented)


def _missing(cell: str) -> bool:
    return cell.lower() in MISSING


def _check_once(file: Path, number: int, name: str, known: dict[str, int]) -> None:
    if name in known:
        raise UserError(
            f"{file}, line {number}: the sequence {short_repr(name)} has a row already, line "
            f"{known[name]}: give each sequence one row"
        )
    known[name] = number


def _without_row(
    file: Path, named: Mapping[str, SequenceRecord], known: Mapping[str, int], options: Options
) -> int:
    """Return the number of sequences without a row; refuse them unless ``missing=drop``."""
    without = [record for name, record in named.items() if name not in known]
    if without and options.missing == "refuse":
        first = without[0]
        raise UserError(
            f"{first.path}, line {first.line}: {file} has no row for {short_repr(first.name)}, "
            f"one of {len(without):,}; missing=drop leaves such sequences out"
        )
    return len(without)


def _named_sequences(files: Sequence[Path]) -> dict[str, SequenceRecord]:
    found: dict[str, SequenceRecord] = {}
    for record in chain.from_iterable(map(read_sequences, files)):
        if record.name in found:
            raise UserError(
                f"{record.path}, line {record.line}: the name {record.name!r} comes again"
            )
        found[record.name] = record
    return found


def _record(
    file: Path,
    number: int,
    text: str,
    options: Options,
    named: Mapping[str, SequenceRecord] | None,
) -> SequenceRecord:
    """Return the sequence of a row, from the table or by its name from a FASTA file."""
    if named is not None:
        if text not in named:
            files = ", ".join(map(str, options.fasta))
            raise UserError(f"{file}, line {number}: {files} has no sequence {short_repr(text)}")
        return named[text]
    return SequenceRecord(file, number, checked_letters(file, number, text).upper())
