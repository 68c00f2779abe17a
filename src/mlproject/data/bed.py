"""Intervals on a genome from BED and narrowPeak files. Errors name the line."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from mlproject.data.genome import Genome
from mlproject.system.errors import UserError
from mlproject.system.texts import lines

COLUMNS = ["chrom", "start", "end", "summit"]
SUMMIT_COLUMN = 9

_whole = re.compile(r"-?[0-9]{1,18}").fullmatch
_number = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?inf|nan").fullmatch
_track_type = re.compile(r"\btype=\"?(\w+)").search
_SIGNALS = ("wiggle_0", "bedGraph", "bigWig")
_SIGNAL_NAMES = (".bedgraph", ".bdg", ".wig")
_OTHER_HEADERS = ("##fileformat=VCF", "#CHROM\tPOS\t", "##gff-version", "@HD\t", "@SQ\t")
_SUMMITS = ("narrowpeak", "bignarrowpeak")
_NO_SUMMITS = ("broadpeak", "gappedpeak", *(f"bed{columns}" for columns in range(3, 16)))


class Intervals(NamedTuple):
    """The intervals of one or several files.

    Attributes:
        table: columns ``chrom start end summit``. The summit is a position on the chromosome, the
            middle of the interval in files without summits.
        beyond: intervals that reach beyond their chromosome, cut off at its ends. Not in `table`.
        absent: chromosomes that the genome lacks -> number of their intervals.
        without_summits: the files without summits.
        empty: number of intervals of 0 nt, in no table.
    """

    table: pd.DataFrame
    beyond: pd.DataFrame
    absent: Mapping[str, int]
    without_summits: tuple[Path, ...] = ()
    empty: int = 0

    @property
    def points(self) -> int:
        """Number of intervals of 1 nt."""
        return int((self.table["end"] - self.table["start"] == 1).sum())


class _Row(NamedTuple):
    number: int
    cells: Sequence[str]


def read_intervals(path: Path, genome: Genome, *, required: bool = True) -> Intervals:
    """Return the intervals of a BED or narrowPeak file, plain or compressed.

    Column 10 is a summit in narrowPeak only. The track line gives the format, else the file name.
    If neither does, a file is narrowPeak if it has ten columns with the contents of narrowPeak: a
    score, a strand, three numbers that are not BED's thick part and colour, and an integer.

    Args:
        path: tab-separated: chromosome, start (from 0), end (not included). In narrowPeak also the
            summit, relative to the start, -1 if unknown.
        genome: the genome of the intervals.
        required: whether at least one interval must lie on the genome.

    Raises:
        UserError: no intervals, another format, or no interval on the genome. The message names
            file and line.
    """
    rows, track = _rows(path)
    if not rows:
        raise UserError(f"{path}: holds no interval")
    summits = _has_summits(path, rows, track)
    found: list[tuple[str, int, int, int]] = []
    beyond: list[tuple[str, int, int, int]] = []
    absent: Counter[str] = Counter()
    empty = 0
    problem: UserError | None = None
    for row in rows:
        where = f"{path}, line {row.number}"
        chromosome, start, end, summit = _interval(row.cells, where, summits)
        if chromosome not in genome.sizes:
            genome.refuse_other_naming(chromosome, where)
            absent[chromosome] += 1
            problem = problem or genome.lacks(chromosome, where)
        elif start == end:
            empty += 1
            problem = problem or _no_width(where, start, end)
        elif start < 0 or end > genome.sizes[chromosome]:
            size = genome.sizes[chromosome]
            low, high = np.clip((start, end), (0, 1), (size - 1, size)).tolist()
            beyond.append((chromosome, low, high, min(max(summit, 0), size - 1)))
            problem = problem or UserError(
                f"{where}: start must be from 0: got {start:,}"
                if start < 0
                else f"{where}: {chromosome} ends at {size:,} in {genome.path}: got {end:,}; "
                "is it another assembly?"
            )
        else:
            found.append((chromosome, start, end, summit))
    if required and not found and problem:
        raise problem
    without = () if summits else (path,)
    return Intervals(_table(found), _table(beyond), absent, without, empty)


def concat(parts: Sequence[Intervals]) -> Intervals:
    """Return the intervals of several files together."""
    absent = sum((Counter(part.absent) for part in parts), Counter[str]())
    table, beyond = (
        pd.concat([getattr(part, name) for part in parts], ignore_index=True)
        for name in ("table", "beyond")
    )
    without = sum((part.without_summits for part in parts), ())
    return Intervals(table, beyond, absent, without, sum(part.empty for part in parts))


def _table(rows: Sequence[tuple[str, int, int, int]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.astype(dict.fromkeys(COLUMNS[1:], "int64") | {"chrom": object})


def _rows(path: Path) -> tuple[list[_Row], str]:
    """Return the lines with intervals, and the type in the track line, "" if there is none."""
    rows, track = [], ""
    if signal := [one for one in path.suffixes if one.lower() in _SIGNAL_NAMES]:
        raise UserError(
            f"{path}: must be peaks: got a signal, {signal[0]}; if it holds peaks, call it .bed"
        )
    if ".bedpe" in (one.lower() for one in path.suffixes[-2:]):
        raise UserError(f"{path}: must be BED or narrowPeak: got pairs of intervals, BEDPE")
    for number, line in lines(path):
        if line.startswith(_OTHER_HEADERS):
            raise UserError(
                f"{path}, line {number}: must be BED or narrowPeak: got the header "
                f"{line.split()[0][:40]}"
            )
        if line.startswith("track"):
            found = _track_type(line)
            track = found[1] if found else track
            if track in _SIGNALS:
                raise UserError(f"{path}, line {number}: must be peaks: got a signal, {track}")
        elif line.startswith(">"):
            raise UserError(f"{path}, line {number}: must be BED or narrowPeak: this is FASTA")
        elif line.strip() and not line.startswith(("#", "browser")):
            rows.append(_Row(number, [cell.strip() for cell in line.split("\t")]))
    return rows, track


def _has_summits(path: Path, rows: Sequence[_Row], track: str) -> bool:
    """Return whether the file is narrowPeak."""
    for name in (track, *reversed([suffix[1:] for suffix in path.suffixes])):
        if name.lower() in _NO_SUMMITS:
            return False
        if name.lower() in _SUMMITS:
            return any(len(row.cells) > SUMMIT_COLUMN for row in rows)
    return all(len(row.cells) == SUMMIT_COLUMN + 1 for row in rows) and _looks_narrow(rows)


def _looks_narrow(rows: Sequence[_Row]) -> bool:
    def all_are(column: int, kind: Callable[[str], object]) -> bool:
        return all(kind(row.cells[column]) for row in rows)

    numbers = all_are(4, _number) and all(all_are(column, _number) for column in (6, 7, 8))
    if not (numbers and all_are(5, {"+", "-", "."}.__contains__) and all_are(9, _whole)):
        return False
    return not all(_is_thick(row.cells) for row in rows)


def _is_thick(cells: Sequence[str]) -> bool:
    """Return whether columns 7 to 9 are a part of the interval and a colour, as in BED."""
    values = [cells[column] for column in (1, 6, 7, 2, 8)]
    if not all(_whole(value) for value in values):
        return False
    *places, colour = (int(value) for value in values)
    return places == sorted(places) and colour >= 0


def _interval(cells: Sequence[str], where: str, summits: bool) -> tuple[str, int, int, int]:
    if len(cells) < 3:
        raise UserError(f"{where}: must have chromosome, start and end, tab-separated: got {cells}")
    if summits and len(cells) <= SUMMIT_COLUMN:
        raise UserError(f"{where}: narrowPeak has 10 columns: got {len(cells)}")
    numbers = [*cells[1:3], cells[SUMMIT_COLUMN] if summits else "-1"]
    for text in numbers:
        if not _whole(text):
            raise UserError(f"{where}: start, end and summit must be integers: got {text[:40]!r}")
    start, end, summit = (int(text) for text in numbers)
    if start > end:
        raise _no_width(where, start, end)
    if summit >= end - start > 0:
        raise UserError(
            f"{where}: the summit must lie in the interval: got {summit} in column 10; if "
            "the file is not narrowPeak, keep its first nine columns only"
        )
    return cells[0], start, end, start + (summit if summit >= 0 else (end - start) // 2)


def _no_width(where: str, start: int, end: int) -> UserError:
    return UserError(
        f"{where}: start must be before end (BED counts from 0, the end is not included): "
        f"got {start} to {end}"
    )
