"""Places in a genome that the headers of a FASTA file name.

Bedtools' ``getfasta`` writes ``chr1:99-300`` (from 0, end not included), followed by ``(+)`` or
``(-)`` with ``-s``, and after ``NAME::`` with ``-name``. Samtools' ``faidx`` writes
``chr1:100-300`` (from 1, end included). The length of the sequence tells which one it is.
"""

import re

import numpy as np

from mlproject.data.sequence_files import SequenceRecord
from mlproject.data.split import WINDOW

LONGEST_NAME = WINDOW["chrom"].itemsize
NOWHERE = np.zeros((), WINDOW)

_place = re.compile(r"(?:.*::)?([^\s:]+):(\d{1,15})-(\d{1,15})(?:\(([-+.])\))?").fullmatch


def place_of(record: SequenceRecord, length: int) -> np.ndarray:
    """Return where a sequence lies after it was cut or filled to `length` around its centre.

    Returns:
        A record of `WINDOW`; without a chromosome if the header names no place, if the place has
        another length than the sequence, or if letters were added before the chromosome's start.
    """
    match = _place(record.name)
    if not match or len(match[1].encode()) > LONGEST_NAME:
        return NOWHERE
    start, end = int(match[2]), int(match[3])
    count = len(record.sequence)
    if end - start + 1 == count and start > 0:
        start -= 1
    if end - start != count:
        return NOWHERE
    surplus = count - length
    before = surplus // 2 if surplus > 0 else -(-surplus // 2)
    start = end - before - length if match[4] == "-" else start + before
    if start < 0:
        return NOWHERE
    strand = (match[4] or "").encode()
    return np.array((match[1].encode(), start, start + length, strand), WINDOW)
