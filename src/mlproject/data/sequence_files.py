"""Sequences in text files: FASTA and DeepBind's tab-separated ``.seq``, plain or compressed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mlproject.sequence import LETTERS, wrong_letter
from mlproject.system.errors import UserError
from mlproject.system.messages import quantity
from mlproject.system.texts import lines


class SequenceRecord(NamedTuple):
    """One sequence.

    Attributes:
        path: the file.
        line: number of its first line, from 1.
        sequence: the letters, in upper case.
        bound: False if the file calls it not bound. In FASTA always True.
        name: first word of the header of a FASTA file, else "".
    """

    path: Path
    line: int
    sequence: str
    bound: bool = True
    name: str = ""


def read_sequences(path: Path) -> Iterator[SequenceRecord]:
    """Yield the sequences of a file.

    Letters may be upper or lower case. N and the other ambiguous IUPAC letters are allowed.

    Raises:
        UserError: no sequences, another format, letters of RNA or protein, an empty sequence. The
            message names file and line.
    """
    found = False
    numbered = lines(path)
    for number, line in numbered:
        if line.strip():
            header = line.split("\t")
            if "seq" in header and "Bound" in header:
                parsed = _table(path, numbered, header)
            elif line.startswith(">"):
                parsed = _fasta(path, number, line, numbered)
            else:
                raise UserError(
                    f"{path}, line {number}: a FASTA file starts with '>', DeepBind's with a "
                    f"header that names seq and Bound: got {line[:40]!r}"
                )
            for record in parsed:
                found = True
                yield record
    if not found:
        raise UserError(f"{path}: holds no sequence")


def _fasta(
    path: Path, start: int, header: str, numbered: Iterator[tuple[int, str]]
) -> Iterator[SequenceRecord]:
    parts: list[str] = []
    for number, line in numbered:
        if line.startswith(">"):
            yield _record(path, start, "".join(parts), name=_name(header))
            start, header, parts = number, line, []
        elif text := line.strip():
            parts.append(checked_letters(path, number, text))
    yield _record(path, start, "".join(parts), name=_name(header))


def _name(header: str) -> str:
    return (header[1:].split() or [""])[0]


def _table(
    path: Path, numbered: Iterator[tuple[int, str]], header: list[str]
) -> Iterator[SequenceRecord]:
    sequence, bound = header.index("seq"), header.index("Bound")
    for number, line in numbered:
        if not line.strip():
            continue
        cells = line.split("\t")
        check_width(path, number, cells, header)
        if cells[bound] not in ("0", "1"):
            raise UserError(f"{path}, line {number}: Bound must be 0 or 1: got {cells[bound]!r}")
        text = checked_letters(path, number, cells[sequence].strip())
        yield _record(path, number, text, cells[bound] == "1")


def check_width(path: Path, number: int, cells: Sequence[str], header: Sequence[str]) -> None:
    """Raise a `UserError` if a line of a table has not as many cells as its header."""
    if len(cells) != len(header):
        raise UserError(
            f"{path}, line {number}: must have {quantity(len(header), 'column')}, as the "
            f"header: got {len(cells)}"
        )


def _record(
    path: Path, line: int, sequence: str, bound: bool = True, name: str = ""
) -> SequenceRecord:
    if not sequence:
        raise UserError(f"{path}, line {line}: the sequence is empty")
    return SequenceRecord(path, line, sequence.upper(), bound, name)


def checked_letters(path: Path, number: int, text: str) -> str:
    """Return the letters of a line.

    Raises:
        UserError: a letter that is not DNA.
    """
    position = wrong_letter(text)
    if position is None:
        return text
    hint = "this is RNA: write T for U" if text[position] in "Uu" else "is it DNA?"
    raise UserError(
        f"{path}, line {number}: must have the letters {LETTERS}, N or IUPAC's: "
        f"got {text[position]!r} at position {position + 1}; {hint}"
    )
