"""Read the folder of a paper, and check it: each fault is one line that names the file."""

import io
import math
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import Any

import pandas
from pydantic import ValidationError

from mlproject.architectures import make_spec
from mlproject.report.papers.data import Paper, PaperTable, PublishedCell
from mlproject.report.published import PAPER
from mlproject.system.errors import UserError, nearest, short_repr
from mlproject.system.texts import decoded
from mlproject.system.yaml_file import one_line, read_yaml

FOLDER = Path(str(files("mlproject.report").joinpath("published")))
FILE = "paper.yaml"


def paper_names() -> list[str]:
    """Return the papers that a report can be about; the first one has sections of its own."""
    return [PAPER, *sorted(one.parent.name for one in FOLDER.glob(f"*/{FILE}"))]


@lru_cache
def read_paper(name: str) -> Paper:
    """Return a paper that is described by data.

    Raises:
        UserError: there is no such paper, or its file is wrong.
    """
    if name not in paper_names()[1:]:
        rule = f"unknown paper {name!r}: {nearest(name, paper_names())}"
        if name and (FOLDER / name).is_dir() and name != PAPER:
            rule = f"the paper {name!r} needs the file {FOLDER / name / FILE}"
        raise UserError(rule)
    path = FOLDER / name / FILE
    _, content = read_yaml(path, "paper")
    try:
        paper = Paper.model_validate(content)
    except ValidationError as error:
        raise UserError(one_line(f"{path}: {_first(error)}")) from error
    for table in paper.tables:
        published_cells(name, table)
    return paper


def published_cells(name: str, table: PaperTable) -> list[PublishedCell]:
    """Return the numbers of a table of the paper `name`, in the order of its file.

    Raises:
        UserError: a row is wrong, or the file.
    """
    path = FOLDER / name / table.file
    try:
        frame = pandas.read_csv(io.StringIO(decoded(path.read_bytes())))
    except (OSError, ValueError) as error:  # those of pandas are ValueErrors
        reason = getattr(error, "strerror", None) or error
        raise UserError(one_line(f"{path}: must be a readable CSV file: {reason}")) from error
    if not isinstance(frame.index, pandas.RangeIndex):
        raise UserError(f"{path}: rows must have as many fields as the header: got more")
    used = _columns(path, table)
    numbers = [one for one in (table.published, table.published_sd, table.reading_error) if one]
    for column in [*used, *table.names, *numbers]:
        if column not in frame:
            raise UserError(f"{path}: has no column `{column}`: {nearest(column, [*frame])}")
    if frame.empty:
        raise UserError(f"{path}: must have at least one row: got a header only")
    cells: dict[object, PublishedCell] = {}
    for line, row in enumerate(frame.to_dict("records"), start=2):
        try:
            cell = _cell(table, [one for one in frame if one in used], row)
        except UserError as error:
            raise UserError(f"{path}, line {line}: {error}") from error
        place = cell.metric, tuple(cell.options.items())
        if place in cells:
            raise UserError(f"{path}, line {line}: another row has the same network and metric")
        cells[place] = cell
    return [*cells.values()]


def _columns(path: Path, table: PaperTable) -> set[str]:
    """Return the columns that the texts of a table name in braces."""
    try:
        parts = [
            part
            for text in (table.metric, *table.options.values())
            for part in Formatter().parse(text)
        ]
    except ValueError as error:
        raise UserError(f"{path.with_name(FILE)}: {{column}} is not closed: {error}") from error
    found = {part for _, part, _, _ in parts if part is not None}
    if not found:
        raise UserError(
            f"{path.with_name(FILE)}: `options` or `metric` of `{table.name}` must name a column, "
            'as in `arch: "{network}"`'
        )
    return found


def _cell(table: PaperTable, columns: list[str], row: Mapping[Any, Any]) -> PublishedCell:
    labels = {name: str(row[name]) for name in columns}
    words = {name: table.names.get(name, {}).get(text, text) for name, text in labels.items()}
    own = {key: text.format_map(words) for key, text in table.options.items()}
    options = {**table.runs, **own}
    make_spec(options)
    return PublishedCell(
        labels,
        options,
        table.metric.format_map(words),
        _number(row, table.published, -math.inf),
        _number(row, table.published_sd, 0.0) if table.published_sd else math.nan,
        _number(row, table.reading_error, 0.0) if table.reading_error else 0.0,
    )


def _number(row: Mapping[Any, Any], column: str, lowest: float) -> float:
    try:
        value = float(row[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < lowest:
        at_least = "" if math.isinf(lowest) else f", {lowest:g} or more"
        raise UserError(f"`{column}` must be a number{at_least}: got {short_repr(row[column])}")
    return value


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "value_error":
        return str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "missing":
        return f"`{where}` is missing"
    if first["type"] == "extra_forbidden":
        return f"unknown key `{where}`"
    rule = first["msg"].replace("Input should be", "must be").replace("String should", "must")
    return f"`{where}` {rule}: got {short_repr(first['input'])}"
