"""Variants from VCF files, line by line. Errors name the line.

Source: The Variant Call Format Specification, VCFv4.5.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mlproject.system.errors import UserError
from mlproject.system.texts import lines

COLUMNS = 8
HEADER = "#CHROM\tPOS\tID\tREF\tALT"

_letters = re.compile(r"[ACGTNRYSWKMBDHVacgtnryswkmbdhv]+").fullmatch
_whole = re.compile(r"[0-9]{1,12}").fullmatch


class Variant(NamedTuple):
    """One record of a VCF file.

    Attributes:
        chromosome: its name.
        start: position of the first reference letter, from 0; -1 is the telomere before it.
        reference: its letters, upper case.
        alternatives: as written; letters in upper case.
    """

    chromosome: str
    start: int
    reference: str
    alternatives: tuple[str, ...]

    def sequence(self, number: int) -> str | None:
        """Return the letters of an alternative, None if it is symbolic, a breakend or missing."""
        text = self.alternatives[number]
        return text if _letters(text) else None


class VcfLine(NamedTuple):
    """One line of a VCF file: its number, from 1, its cells, and the variant if it has one."""

    number: int
    cells: list[str]
    variant: Variant | None


def read_vcf(path: Path) -> Iterator[VcfLine]:
    """Yield the lines of a VCF file, plain or compressed; those of the header without a variant.

    Raises:
        UserError: the file cannot be read or is not a VCF file. The message names file and line.
    """
    headed = False
    for number, line in lines(path):
        if line.startswith("#"):
            headed = headed or line.startswith(HEADER)
            yield VcfLine(number, [line], None)
        elif line.strip():
            where = f"{path}, line {number}"
            if not headed:
                raise UserError(f"{where}: a VCF file has a line `#CHROM POS ID REF ALT` first")
            cells = line.split("\t")
            yield VcfLine(number, cells, _variant(cells, where))
    if not headed:
        raise UserError(f"{path}: a VCF file has a line `#CHROM POS ID REF ALT`: found none")


def _variant(cells: list[str], where: str) -> Variant:
    if len(cells) < COLUMNS:
        raise UserError(f"{where}: a record has {COLUMNS} columns or more: got {len(cells)}")
    if not _whole(cells[1]):
        raise UserError(f"{where}: POS must be an integer from 0: got {cells[1][:40]!r}")
    if not _letters(cells[3]):
        raise UserError(f"{where}: REF must have letters of DNA: got {cells[3][:40]!r}")
    found = tuple(one.upper() if _letters(one) else one for one in cells[4].split(","))
    return Variant(cells[0], int(cells[1]) - 1, cells[3].upper(), found)
