"""Where the sequences of a FASTA file lie: its index, checked against the bytes of the file.

An index may be left over from another file of the same name, or damaged; its time says nothing. So
each of its lines is compared with the file: the header before the sequence, the first line, and
what follows the sequence. Line ends within are looked at when letters are read.

Source of the format: samtools' faidx.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

import numpy as np

from mlproject.system.errors import UserError

LONGEST_HEADER = 1 << 16
LONGEST_GAP = 1 << 12
BGZF_MAGIC = b"\x1f\x8b\x08\x04"
BGZF_HEADER = 18
SPACE = ord(" ")

_line = re.compile(r"([^\t]+)\t([0-9]{1,15})\t([0-9]{1,15})\t([0-9]{1,15})\t([0-9]{1,15})\r?")
_blank = re.compile(rb"[\r\n]*")


class Bytes(Protocol):
    """The uncompressed bytes of a file: how many, and any stretch of them."""

    size: int

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`; fewer if the file ends before."""


class IndexRecord(NamedTuple):
    """One sequence.

    Attributes:
        name: the first word of its header.
        length: nt.
        offset: where its first letter is, bytes.
        letters: a line, but for the last one, which may be shorter.
        width: bytes a line, with its end.
    """

    name: str
    length: int
    offset: int
    letters: int
    width: int

    @property
    def end(self) -> int:
        """Where its last letter ends, bytes."""
        return self.place(self.length - 1) + 1 if self.length else self.offset

    def place(self, position: int) -> int:
        """Return where a letter is, bytes."""
        line, column = divmod(position, self.letters)
        return self.offset + line * self.width + column


def read_index(path: Path) -> list[IndexRecord]:
    """Return the lines of an index.

    Raises:
        ValueError: it is none.
    """
    records = []
    *lines, last = path.read_bytes().decode().split("\n")
    for line in [*lines, last] if last else lines:
        match = _line.fullmatch(line)
        if not match:
            raise ValueError(f"no line of an index: {line[:40]!r}")
        records.append(IndexRecord(match[1], *map(int, match.groups()[1:])))
    if len({record.name for record in records}) != len(records):
        raise ValueError("names must differ")
    return records


def check(records: list[IndexRecord], content: Bytes) -> None:
    """Raise a `ValueError` if these are not the sequences of a FASTA file, all of them."""
    place = 0
    for record in sorted(records, key=lambda one: one.offset):
        _check_header(record, content, place)
        breaks = record.width - record.letters
        single = record.length <= record.letters
        if record.length and (
            not (record.letters > 0 and 0 <= breaks <= 2)
            or (single and record.letters != record.length)
            or (not breaks and record.end < content.size)
        ):
            raise ValueError(f"{record.name} has lines of {record.letters} in {record.width} bytes")
        place = record.end
        if record.length:
            first = content.read(record.offset, record.offset + record.width)
            last = content.read(record.place(record.length - 1), place)
            ends_at = len(first.rstrip(b"\r\n"))
            if ends_at != record.letters or last in (b"", b"\r", b"\n"):
                raise ValueError(f"the lines of {record.name} end elsewhere")
    rest = content.read(place, min(content.size, place + LONGEST_GAP))
    if place > content.size or place + len(rest) < content.size or not _blank.fullmatch(rest):
        raise ValueError("the last sequence ends elsewhere")


def _check_header(record: IndexRecord, content: Bytes, place: int) -> None:
    if not place < record.offset <= place + LONGEST_GAP + LONGEST_HEADER:
        raise ValueError(f"{record.name} starts elsewhere")
    before = content.read(place, record.offset)
    header = before.lstrip(b"\r\n") if place else before[max(before.find(b"\n>") + 1, 0) :]
    words = header[1:].split()
    if (
        (place and header == before)
        or not (header.startswith(b">") and header.endswith(b"\n") and header.count(b"\n") == 1)
        or not words
        or words[0] != record.name.encode()
    ):
        raise ValueError(f"the header of {record.name} is elsewhere")


def read_letters(record: IndexRecord, content: Bytes, start: int, end: int) -> bytes:
    """Return the letters from `start` to `end` of a sequence.

    Raises:
        ValueError: its lines end elsewhere than the index says. Whole lines are looked at, unless
            they are very long.
    """
    whole = record.width <= LONGEST_GAP
    first = start // record.letters * record.letters if whole else start
    last = min(-(-end // record.letters) * record.letters, record.length) if whole else end
    begin = record.place(first)
    stop = record.place(last - 1) + 1
    if last % record.letters == 0:
        stop += record.width - record.letters
    found = np.frombuffer(content.read(begin, stop), np.uint8)
    columns = (begin - record.offset + np.arange(len(found))) % record.width
    breaks = columns >= record.letters
    letters = found[~breaks]
    if len(letters) != last - first or (letters <= SPACE).any() or (found[breaks] > SPACE).any():
        raise ValueError(f"the lines of {record.name} end elsewhere")
    return letters[start - first : end - first].tobytes()


class PlainBytes:
    """An open file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, 2)

    def read(self, start: int, stop: int) -> bytes:
        self._file.seek(start)
        return self._file.read(max(stop - start, 0))


class BgzfBytes:
    """An open file that bgzip has compressed; where its blocks are, they themselves say."""

    def __init__(self, file: BinaryIO) -> None:
        from Bio import bgzf

        self._starts, self._places = [], []
        self.size = 0
        for place, size in _blocks(file):
            self._starts.append(self.size)
            self._places.append(place)
            self.size += size
        file.seek(0)
        self._reader = bgzf.BgzfReader(fileobj=file, mode="rb", max_cache=16)

    def read(self, start: int, stop: int) -> bytes:
        start, stop = min(start, self.size), min(stop, self.size)
        if start >= stop:
            return b""
        block = bisect_right(self._starts, start) - 1
        self._reader.seek(self._places[block] << 16 | start - self._starts[block])
        data: bytes = self._reader.read(stop - start)
        return data


def _blocks(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield where each block that is not empty starts, and its size without compression."""
    end = file.seek(0, 2)
    place = 0
    while place < end:
        file.seek(place)
        header = file.read(BGZF_HEADER)
        if len(header) < BGZF_HEADER or not header.startswith(BGZF_MAGIC) or header[12:14] != b"BC":
            raise ValueError("no block of bgzip")
        following = place + int.from_bytes(header[16:18], "little") + 1
        file.seek(following - 4)
        size = int.from_bytes(file.read(4), "little")
        if following > end or size > 1 << 16:
            raise ValueError("a block of bgzip is cut short")
        if size:
            yield place, size
        place = following


def fits(index: Path, content: Bytes) -> list[IndexRecord]:
    """Return the records of an index that fits its file.

    Raises:
        UserError: it does not.
    """
    try:
        records = read_index(index)
        check(records, content)
    except (ValueError, OSError) as error:
        fasta = index.name.removesuffix(".fai")
        raise UserError(
            f"{index} does not fit {fasta} ({error}): delete it, it will be made anew from the file"
        ) from error
    return records
