"""The index of a FASTA file, checked against the bytes of the file.

An index may be damaged, or belong to another file of the same name, whatever its modification time.
Each index line is therefore compared with the file: the header before the sequence, the first line,
and the bytes after the sequence. Line ends inside a sequence are checked when letters are read.

Source of the format: samtools' faidx.
"""

import re
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

import numpy as np

from mlproject.system.errors import UserError

LONGEST_HEADER = 1 << 16
LONGEST_GAP = 1 << 12
BGZF_MAGIC = b"\x1f\x8b\x08\x04"
BGZF_HEADER = 18
SPACE = ord(" ")

_line = re.compile(r"([^\t]+)\t([0-9]{1,15})\t([0-9]{1,15})\t([0-9]{1,15})\t([0-9]{1,15})\r?")
_blank = re.compile(rb"[\r\n]*")


class IndexRecord(NamedTuple):
    """One line of an index.

    Attributes:
        name: first word of the header.
        length: nt.
        offset: position of the first letter, bytes.
        letters: letters per line. The last line may be shorter.
        width: bytes per line, including the line end.
    """

    name: str
    length: int
    offset: int
    letters: int
    width: int

    @property
    def end(self) -> int:
        """Position after the last letter, bytes."""
        return self.place(self.length - 1) + 1 if self.length else self.offset

    def place(self, position: int) -> int:
        """Return the position of a letter, bytes."""
        line, column = divmod(position, self.letters)
        return self.offset + line * self.width + column


def read_index(path: Path) -> list[IndexRecord]:
    """Return the lines of an index.

    Raises:
        ValueError: the file is not an index.
    """
    records = []
    *lines, last = path.read_bytes().decode().split("\n")
    for line in [*lines, last] if last else lines:
        match = _line.fullmatch(line)
        if not match:
            raise ValueError(f"not a line of an index: {line[:40]!r}")
        records.append(IndexRecord(match[1], *map(int, match.groups()[1:])))
    if len({record.name for record in records}) != len(records):
        raise ValueError("names must be unique")
    return records


class PlainBytes:
    """An open file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, 2)

    def read(self, start: int, stop: int) -> bytes:
        self._file.seek(start)
        return self._file.read(max(stop - start, 0))


class BgzfBytes:
    """An open file compressed by bgzip. Its block headers give the block positions."""

    def __init__(self, file: BinaryIO) -> None:
        from Bio import bgzf

        self._starts, self._places = [], []
        self.size = 0
        for place, size in _blocks(file):
            self._starts.append(self.size)
            self._places.append(place)
            self.size += size
        file.seek(0)
        with _damage_as_value_error():
            self._reader = bgzf.BgzfReader(fileobj=file, mode="rb", max_cache=16)

    def read(self, start: int, stop: int) -> bytes:
        start, stop = min(start, self.size), min(stop, self.size)
        if start >= stop:
            return b""
        block = bisect_right(self._starts, start) - 1
        with _damage_as_value_error():
            self._reader.seek(self._places[block] << 16 | start - self._starts[block])
            data: bytes = self._reader.read(stop - start)
        return data


@contextmanager
def _damage_as_value_error() -> Iterator[None]:
    try:
        yield
    except (zlib.error, struct.error, RuntimeError, EOFError) as error:  # those of Bio.bgzf
        raise ValueError(str(error)) from error


def _blocks(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield the position and uncompressed size of each block that is not empty."""
    end = file.seek(0, 2)
    place = 0
    while place < end:
        file.seek(place)
        header = file.read(BGZF_HEADER)
        if len(header) < BGZF_HEADER or not header.startswith(BGZF_MAGIC) or header[12:14] != b"BC":
            raise ValueError("not a block of bgzip")
        following = place + int.from_bytes(header[16:18], "little") + 1
        file.seek(following - 4)
        size = int.from_bytes(file.read(4), "little")
        if following > end or size > 1 << 16:
            raise ValueError("a block of bgzip is cut short")
        if size:
            yield place, size
        place = following


Bytes: TypeAlias = PlainBytes | BgzfBytes


def check(records: list[IndexRecord], content: Bytes) -> None:
    """Raise a `ValueError` if `records` are not exactly the sequences of a FASTA file."""
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
        ValueError: line ends do not match the index. Complete lines are checked, unless they are
            very long.
    """
    complete = record.width <= LONGEST_GAP
    first = start // record.letters * record.letters if complete else start
    last = min(-(-end // record.letters) * record.letters, record.length) if complete else end
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


def matching_index(index: Path, content: Bytes) -> list[IndexRecord]:
    """Return the records of an index that matches its file.

    Raises:
        UserError: the index does not match.
    """
    try:
        records = read_index(index)
        check(records, content)
    except (ValueError, OSError) as error:
        fasta = index.name.removesuffix(".fai")
        raise UserError(
            f"{index} does not match {fasta} ({error}): delete it, it will be created again"
        ) from error
    return records
