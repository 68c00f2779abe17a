"""MEME motif files: the minimal format, and for reading also the text output of MEME's programs.

Source: https://meme-suite.org/meme/doc/meme-format.html
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from mlproject.motifs.pwm import Motif, round_rows
from mlproject.system import texts
from mlproject.system.errors import UserError
from mlproject.system.files import atomic_file
from mlproject.system.messages import quantity

DEFAULT_NSITES = 20.0
SUM_TOLERANCE = 0.02

_AFTER_ROWS = ("MOTIF", "URL", "letter-probability", "log-odds", "---", "***", "#")


def read_meme(path: str | Path, unknown: float = DEFAULT_NSITES) -> tuple[Motif, ...]:
    """Read the letter-probability matrices of a MEME file, plain or compressed.

    Rows may sum to 1 within 0.02. They are divided by their sum.

    Args:
        path: the file.
        unknown: number of sites of a motif without ``nsites=``, or with 0 or less, which also means
            unknown. MEME's default is 20. This project writes 0 for a filter without sites.

    Raises:
        UserError: the file cannot be read, has no motif, another alphabet than ``ACGT``, an id
            twice, or an invalid matrix. The message names file and line.
    """
    path = Path(path)
    lines = [line for _, line in texts.lines(path, errors="replace")]
    motifs = tuple(_Reader(path, lines, unknown).motifs())
    if not motifs:
        raise UserError(f"{path}: a MEME file needs a line `MOTIF id`: found none")
    return motifs


def write_meme(path: str | Path | TextIO, motifs: Sequence[Motif], decimals: int = 6) -> None:
    """Write motifs in minimal MEME format, rows summing to 1. A path is written atomically.

    Args:
        path: a path, or a text file open for writing.
        motifs: spaces in names become ``_``, because the format does not allow them.
        decimals: digits of each probability.

    Raises:
        UserError: an id that is empty, occurs twice or has a space; a file that cannot be written.
    """
    text = _meme_text(motifs, decimals)
    if isinstance(path, str | Path):
        with atomic_file(Path(path)) as file:
            file.write(text.encode())
    else:
        path.write(text)


class _Heading(NamedTuple):
    id: str
    name: str
    line: int


class _Reader:
    """A cursor over the lines. `number` is the last line that was read, counted from 1."""

    def __init__(self, path: Path, lines: list[str], unknown: float) -> None:
        self.path = path
        self.lines = lines
        self.unknown = unknown
        self.number = 0

    def motifs(self) -> list[Motif]:
        motifs = []
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
            elif line.startswith("letter-probability matrix"):
                if heading is None:
                    raise self._error("a matrix needs a line `MOTIF id` before it: got none")
                rows, nsites = self._matrix(line)
                motifs.append(Motif(heading.id, heading.name, np.array(rows), nsites))
                heading = None
        self._check_has_matrix(heading)
        return motifs

    def _error(self, message: str, line: int = 0) -> UserError:
        return UserError(f"{self.path}, line {line or self.number}: {message}")

    def _check_alphabet(self, line: str) -> None:
        alphabet = line.removeprefix("ALPHABET").strip(' ="\t').split('"')[0]
        if alphabet not in ("ACGT", "DNA"):
            raise self._error(f"DNA motifs need `ALPHABET= ACGT`: got {alphabet}")

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
            raise self._error(f"ids must differ: {words[1]} is also the id in line {first}")
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
            raise self._error("a matrix needs one row of 4 numbers per column: got none", start)
        if width not in (None, len(rows)):
            rule = "`w=` must be the number of rows"
            raise self._error(
                f"{rule}: got w= {fields['w']} and {quantity(len(rows), 'row')}", start
            )
        return rows, nsites or self.unknown

    def _field(self, fields: dict[str, str], key: str) -> float | None:
        """Return a number of a matrix's first line; None if it is absent, 0 or negative."""
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
            raise self._error(f"a row must have 4 numbers, A C G T: got {got!r}")
        if min(row) < 0.0:
            raise self._error(f"probabilities must not be negative: got {got!r}")
        total = sum(row)
        if not abs(total - 1.0) <= SUM_TOLERANCE:
            raise self._error(f"a row must sum to 1: got {got!r}, which sums to {total:g}")
        return [value / total for value in row]


def _meme_text(motifs: Sequence[Motif], decimals: int) -> str:
    lines = ["MEME version 4", "", "ALPHABET= ACGT", "", "strands: + -", ""]
    lines += ["Background letter frequencies", "A 0.25 C 0.25 G 0.25 T 0.25", ""]
    seen: set[str] = set()
    for motif in motifs:
        if len(motif.id.split()) != 1 or motif.id in seen:
            raise UserError(f"a MEME file needs unique ids without spaces: got {motif.id!r}")
        seen.add(motif.id)
        lines.append(f"MOTIF {motif.id} {'_'.join(motif.name.split())}".rstrip())
        size = f"alength= 4 w= {motif.width} nsites= {motif.nsites:.15g} E= 0"
        lines.append(f"letter-probability matrix: {size}")
        rows = round_rows(motif.pwm, decimals)
        lines += [" ".join(f"{value:.{decimals}f}" for value in row) for row in rows]
        lines.append("")
    return "\n".join(lines)
