"""Reader of MEME motif files: the minimal format, and the text that MEME's own programs print.

Source: https://meme-suite.org/meme/doc/meme-format.html
"""

import math
import re
from pathlib import Path
from typing import NamedTuple

from mlproject.system import texts
from mlproject.system.errors import UserError

DEFAULT_NSITES = 20.0
SUM_TOLERANCE = 0.02

_AFTER_ROWS = ("MOTIF", "URL", "letter-probability", "log-odds", "---", "***", "#")


class Record(NamedTuple):
    """One motif of a file: `rows` are (width, 4) probabilities A C G T that sum to 1."""

    id: str
    name: str
    rows: list[list[float]]
    nsites: float


def read(path: Path, unknown: float = DEFAULT_NSITES) -> list[Record]:
    """Read the letter-probability matrices of a MEME file.

    The file may be compressed. Rows are divided by their sum, which may be 0.02 off.

    Args:
        path: the file.
        unknown: number of sites of a motif without ``nsites=``, or with 0 or less, which means the
            same; 20 as in MEME. Files of this project have 0 for a filter without a site.

    Raises:
        UserError: not readable, no motif, another alphabet than ``ACGT``, ids that are not unique,
            or a matrix that is not one; with file and line.
    """
    records = _Reader(
        path, [line for _, line in texts.lines(path, errors="replace")], unknown
    ).records()
    if not records:
        raise UserError(f"{path}: a MEME file needs a line `MOTIF id`: found none")
    return records


class _Heading(NamedTuple):
    id: str
    name: str
    line: int


class _Reader:
    """A cursor over the lines; `number` is the last line read, counted from 1."""

    def __init__(self, path: Path, lines: list[str], unknown: float) -> None:
        self.path = path
        self.lines = lines
        self.unknown = unknown
        self.number = 0

    def records(self) -> list[Record]:
        records = []
        lines_of_ids: dict[str, int] = {}
        heading: _Heading | None = None
        while self.number < len(self.lines):
            line = self.lines[self.number]
            self.number += 1
            if line.startswith("ALPHABET"):
                self._check_alphabet(line)
            elif line.startswith("MOTIF") and line.split()[0] == "MOTIF":
                self._check_has_matrix(heading)
                heading = self._heading(line, lines_of_ids)
            elif line.startswith("letter-probability matrix") and heading:
                rows, nsites = self._matrix(line)
                records.append(Record(heading.id, heading.name, rows, nsites))
                heading = None
        self._check_has_matrix(heading)
        return records

    def _error(self, message: str, line: int = 0) -> UserError:
        return UserError(f"{self.path}, line {line or self.number}: {message}")

    def _check_alphabet(self, line: str) -> None:
        alphabet = line.removeprefix("ALPHABET").strip(' ="\t').split('"')[0]
        if alphabet not in ("ACGT", "DNA"):
            raise self._error(f"motifs of DNA need `ALPHABET= ACGT`: got {alphabet}")

    def _check_has_matrix(self, heading: _Heading | None) -> None:
        if heading:
            rule = "needs a `letter-probability matrix:`: give it, or leave the motif out"
            raise self._error(f"motif {heading.id} {rule}", heading.line)

    def _heading(self, line: str, lines_of_ids: dict[str, int]) -> _Heading:
        words = line.split()
        if len(words) < 2:
            raise self._error("a motif needs an id, `MOTIF id name`: got none")
        if words[1] in lines_of_ids:
            first = lines_of_ids[words[1]]
            raise self._error(f"ids must differ: {words[1]} is also the motif of line {first}")
        lines_of_ids[words[1]] = self.number
        name = words[2] if len(words) > 2 and words[2] != "width" else ""
        return _Heading(words[1], name, self.number)

    def _matrix(self, line: str) -> tuple[list[list[float]], float]:
        start = self.number
        fields = dict(re.findall(r"(\w+)\s*=\s*(\S+)", line))
        nsites, width, letters = (self._field(fields, key) for key in ("nsites", "w", "alength"))
        if letters not in (None, 4):
            raise self._error(f"`alength=` of DNA must be 4: got {fields['alength']}")
        rows = self._rows()
        if not rows:
            raise self._error("a matrix needs one row of 4 numbers a column: got none", start)
        if width not in (None, len(rows)):
            rule = "`w=` must be the number of rows"
            raise self._error(f"{rule}: got w= {fields['w']} and {len(rows)} rows", start)
        return rows, nsites or self.unknown

    def _field(self, fields: dict[str, str], key: str) -> float | None:
        """Return a number of a matrix's first line, None if it is unknown: absent, 0 or less."""
        if key not in fields:
            return None
        try:
            value = float(fields[key])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self._error(f"`{key}=` must be a number: got {fields[key]}")
        return value if value > 0 else None

    def _rows(self) -> list[list[float]]:
        rows: list[list[float]] = []
        while self.number < len(self.lines):
            line = self.lines[self.number]
            if line.startswith(_AFTER_ROWS) or (rows and not line.strip()):
                break
            self.number += 1
            if line.strip():
                rows.append(self._row(line.split()))
        return rows

    def _row(self, words: list[str]) -> list[float]:
        got = " ".join(words)[:60]
        try:
            row = [float(word) for word in words]
        except ValueError:
            row = []
        if len(row) != 4:
            raise self._error(f"a row must be 4 numbers, A C G T: got {got!r}")
        if min(row) < 0.0:
            raise self._error(f"probabilities must not be negative: got {got!r}")
        total = sum(row)
        if not abs(total - 1.0) <= SUM_TOLERANCE:
            raise self._error(f"a row must sum to 1: got {got!r}, which sums to {total:g}")
        return [value / total for value in row]
