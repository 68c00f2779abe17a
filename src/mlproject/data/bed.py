"""Intervals on a genome: BED and narrowPeak files, with the line of whatever is wrong."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mlproject.data.genome import Genome
from mlproject.data.sources import lines
from mlproject.errors import UserError

SUMMIT_COLUMN = 9


def read_intervals(path: Path, genome: Genome) -> pd.DataFrame:
    """Return the intervals of a BED or narrowPeak file, plain or gzipped.

    Args:
        path: tab-separated: chromosome, start (from 0), end (not included); in column 10, if there
            is one, the summit counted from the start, -1 if unknown.
        genome: that the intervals lie on.

    Returns:
        Columns ``chrom start end summit``; the summit is a position on the chromosome, the middle
        of the interval if the file has none.

    Raises:
        UserError: a file without intervals, one that is not of this form, or does not fit the
            genome. With file and line.
    """
    rows = []
    for number, line in lines(path):
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        rows.append(_interval(line.split("\t"), f"{path}, line {number}", genome))
    if not rows:
        raise UserError(f"{path}: holds no interval")
    return pd.DataFrame(rows, columns=["chrom", "start", "end", "summit"])


def _interval(cells: Sequence[str], where: str, genome: Genome) -> tuple[str, int, int, int]:
    if len(cells) < 3:
        raise UserError(f"{where}: needs chromosome, start and end, tab-separated: got {cells}")
    chromosome = cells[0]
    try:
        start, end = int(cells[1]), int(cells[2])
        summit = int(cells[SUMMIT_COLUMN]) if len(cells) > SUMMIT_COLUMN else -1
    except ValueError as error:
        raise UserError(f"{where}: start, end and summit must be whole numbers: {error}") from error
    size = genome.require(chromosome, where)
    if not 0 <= start < end:
        raise UserError(
            f"{where}: start must be from 0 and before end (BED counts from 0, the end is not "
            f"included): got {start} to {end}"
        )
    if end > size:
        raise UserError(
            f"{where}: {chromosome} ends at {size:,} in {genome.path}: got {end:,}; "
            "is it another assembly?"
        )
    if summit >= end - start:
        raise UserError(f"{where}: the summit must lie in the interval: got {summit}")
    return chromosome, start, end, start + (summit if summit >= 0 else (end - start) // 2)
