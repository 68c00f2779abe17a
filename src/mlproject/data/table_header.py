"""The header of a table: the names of its columns, and what separates them."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlproject.sequence import wrong_letter
from mlproject.system.errors import UserError, nearest, short_repr
from mlproject.system.texts import lines

DNA = 12
"""A name of a column that has so many letters, all of DNA, is taken for a sequence."""


def columns_of(file: Path) -> list[str]:
    """Return the columns of a table.

    Raises:
        UserError: it is no table with a header.
    """
    return read_header(file, lines(file))[0]


def read_header(file: Path, numbered: Iterator[tuple[int, str]]) -> tuple[list[str], str]:
    """Return the columns of the header, the first of the lines, and their separator.

    Raises:
        UserError: there is no header.
    """
    for number, line in numbered:
        if line.strip() and not line.startswith("##"):
            text = line.removeprefix("#")
            separator = max("\t,;", key=text.count)
            header = [cell.strip() for cell in next(csv.reader([text], delimiter=separator))]
            if any(len(cell) >= DNA and wrong_letter(cell) is None for cell in header):
                raise UserError(
                    f"{file}, line {number}: must be a header that names the columns: got a row "
                    f"with a sequence, {short_repr(line)}"
                )
            if len(header) < 2 and line.startswith("#"):
                continue
            if len(header) < 2:
                raise UserError(
                    f"{file}, line {number}: must be a header of columns, separated by tabs, "
                    f"commas or semicolons: got {short_repr(line)}"
                )
            return header, separator
    raise UserError(f"{file}: is empty")


def place_in(file: Path, header: Sequence[str], name: str) -> int:
    """Return the place of a column in the header; raise a `UserError` if it is not there once."""
    found = [place for place, column in enumerate(header) if column == name]
    if len(found) > 1:
        raise UserError(f"{file}: the header has {len(found)} columns {name!r}: rename one")
    if not found:
        raise UserError(f"{file}: no column {name!r}: {nearest(name, header)}")
    return found[0]
