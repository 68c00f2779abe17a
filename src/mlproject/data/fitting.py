"""Sequences of one length: cut, filled up with N, left out, or refused."""

from typing import Literal

from mlproject.data.sequence_files import SequenceRecord
from mlproject.system.errors import UserError

Fit = Literal["exact", "centre", "drop"]
FITS: tuple[Fit, ...] = ("exact", "centre", "drop")


def fitted(record: SequenceRecord, length: int, fit: Fit) -> str | None:
    """Return the letters of a sequence at the wanted length, None if it is left out.

    Raises:
        UserError: another length, and `fit` is ``exact``.
    """
    surplus = len(record.sequence) - length
    if not surplus:
        return record.sequence
    if fit == "drop":
        return None
    if fit == "exact":
        raise UserError(
            f"{record.path}, line {record.line}: sequences must be equally long, {length} nt: got "
            f"{len(record.sequence)} nt; fit=centre cuts and pads, fit=drop leaves it out"
        )
    if surplus > 0:
        return record.sequence[surplus // 2 : surplus // 2 + length]
    return ("N" * (-surplus // 2) + record.sequence).ljust(length, "N")
