"""MATLAB 5 files (up to ``-v7``), read as a stream, so that matrices need not fit in memory.

`scipy.io.loadmat` reads complete arrays only. This reader gives the columns of numeric matrices,
plain or compressed, one after another.

Source: MAT-File Format, MathWorks, level 5.
"""

import io
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from mlproject.system.errors import UserError

HEADER = 128
CHUNK = 1 << 16
MATRIX, COMPRESSED = 14, 15
NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
NUMERIC_CLASSES = range(6, 16)
COMPLEX = 0x08


class Matrix:
    """A matrix in a file, which can be read once, from its start.

    Attributes:
        shape: as in MATLAB. The first axis varies fastest.
    """

    def __init__(self, stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.shape, self._stream, self._dtype = shape, stream, dtype

    def read(self, count: int) -> np.ndarray:
        """Return the next `count` numbers."""
        return np.frombuffer(_exactly(self._stream, count * self._dtype.itemsize), self._dtype)

    def skip(self, count: int) -> None:
        """Skip the next `count` numbers."""
        left = count * self._dtype.itemsize
        while left:
            left -= len(_exactly(self._stream, min(left, 1 << 22)))


@contextmanager
def matrices(path: Path) -> Iterator[dict[str, Matrix]]:
    """Open the numeric matrices of a MATLAB 5 file by name.

    Raises:
        UserError: the file is missing, has another format or is cut short. It may be raised during
            reading.
    """
    try:
        with path.open("rb") as file:
            yield _directory(file)
    except (EOFError, zlib.error, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"{path}: must be a MATLAB 5 file: got another format, or it is damaged or cut short"
        ) from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def _directory(file: IO[bytes]) -> dict[str, Matrix]:
    header = _exactly(file, HEADER)
    order = {b"IM": "<", b"MI": ">"}.get(header[126:])
    if order is None:
        raise ValueError("no byte order mark")
    found = {}
    end = file.seek(0, io.SEEK_END)
    position = HEADER
    while position < end:
        file.seek(position)
        kind, size = np.frombuffer(_exactly(file, 8), f"{order}u4").tolist()
        start, position = position + 8, position + 8 + size
        if position > end:
            raise EOFError
        if kind == COMPRESSED:
            stream: IO[bytes] = io.BufferedReader(_Inflated(file, start, size), CHUNK)
            kind, _ = np.frombuffer(_exactly(stream, 8), f"{order}u4").tolist()
        else:
            stream = io.BufferedReader(_Part(file, start, size), CHUNK)
        if kind == MATRIX and (named := _matrix(stream, order)):
            found[named[0]] = named[1]
    return found


def _matrix(stream: IO[bytes], order: str) -> tuple[str, Matrix] | None:
    """Read the header of a matrix; None if it has no numbers, or complex ones."""
    flags = int(np.frombuffer(_element(stream, order)[1][:4], f"{order}u4")[0])
    shape = np.frombuffer(_element(stream, order)[1], f"{order}i4").tolist()
    name = _element(stream, order)[1].decode("ascii")
    if (flags & 0xFF) not in NUMERIC_CLASSES or (flags >> 8) & COMPLEX:
        return None
    kind, size, small = _tag(stream, order)
    dtype = np.dtype(f"{order}{NUMBERS[kind]}") if kind in NUMBERS else None
    if dtype is None or size != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name} has numbers of type {kind}, {size} bytes")
    if small:
        stream = io.BytesIO(_exactly(stream, 4))
    return name, Matrix(stream, tuple(shape), dtype)


def _tag(stream: IO[bytes], order: str) -> tuple[int, int, bool]:
    """Return type and size of an element, and whether the tag's last 4 bytes hold its data."""
    first = int(np.frombuffer(_exactly(stream, 4), f"{order}u4")[0])
    if first >> 16:
        return first & 0xFFFF, first >> 16, True
    return first, int(np.frombuffer(_exactly(stream, 4), f"{order}u4")[0]), False


def _element(stream: IO[bytes], order: str) -> tuple[int, bytes]:
    kind, size, small = _tag(stream, order)
    padded = 4 if small else -(-size // 8) * 8
    return kind, _exactly(stream, padded)[:size]


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


class _Part(io.RawIOBase):
    """At most `size` bytes of a file from `start` on, with a separate position."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        self._file, self._position, self._end = file, start, start + size

    def readable(self) -> bool:
        return True

    def readinto(self, target: "memoryview") -> int:  # type: ignore[override]
        self._file.seek(self._position)
        data = self._file.read(min(len(target), self._end - self._position))
        self._position += len(data)
        target[: len(data)] = data
        return len(data)


class _Inflated(io.RawIOBase):
    """The decompressed content of a zlib stream in a file."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        self._part = io.BufferedReader(_Part(file, start, size), CHUNK)
        self._zlib = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, target: "memoryview") -> int:  # type: ignore[override]
        while not self._zlib.eof:
            waiting = self._zlib.unconsumed_tail or self._part.read(CHUNK)
            if not waiting:
                raise EOFError
            data = self._zlib.decompress(waiting, len(target))
            if data:
                target[: len(data)] = data
                return len(data)
        return 0
