"""The splits of a data set: sequences as codes, labels and planted sites, and blocks of them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from mlproject.data.rows import Rows
from mlproject.fields import VALUES
from mlproject.system.interrupts import check_interrupts

SPLITS = ("train", "valid", "test")

BLOCK_ROWS = 4096

_FIELDS = {"sequence": "<u4", "start": "<u4", "width": "<u2", "motif": "<u2", "strand": "i1"}
SITE = np.dtype([*_FIELDS.items()])
WINDOW = np.dtype([("chrom", "S64"), ("start", "<i8"), ("end", "<i8"), ("strand", "S1")])
"""A place in a genome, from 0, end not included; without a chromosome it is unknown.

The strand is ``-`` if the sequence is the reverse complement of the place, else empty or ``+``.
"""


class Split(NamedTuple):
    """Labelled sequences.

    Attributes:
        codes: (n, L) uint8, A C G T = 0 1 2 3, anything else 4. Large arrays stay in their file and
            are read by rows: a slice or an array of row numbers.
        labels: (n, classes) uint8, 0 or 1; of the task ``multiclass`` with one 1 a row. Large
            arrays of `train` stay in their file too. Of ``regression`` and ``counts``: float32,
            finite; counts are 0 or more.
        sites: the planted motifs as `SITE` records, None if they are unknown. `sequence` is a row
            of `codes`, `start` the first column, `motif` an index of the data set's motifs,
            `strand` 1, or -1 for the reverse complement.
    """

    codes: Rows
    labels: Rows
    sites: np.ndarray | None = None


def label_type(task: str) -> np.dtype:
    """Return the type of a task's labels: uint8, or float32 for numbers."""
    return np.dtype("<f4" if task in VALUES else "u1")


def blocks(array: Any, rows: int = BLOCK_ROWS) -> Iterator[np.ndarray]:
    """Yield an array, in memory or in a file, in blocks of `rows` rows."""
    for start in range(0, len(array), rows):
        check_interrupts()
        yield array[start : start + rows]
