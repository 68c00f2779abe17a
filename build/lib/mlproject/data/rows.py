"""Rows of an array that stays in its file. Each batch is read when it is used."""

import os
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from mlproject.system.errors import UserError


class StoredRows:
    """A contiguous uint8 array (n, columns) in a file, indexed by rows like a numpy array.

    The array is neither kept in memory nor mapped, so it does not add to the memory of the process.
    Copies in other processes, forked or pickled, open the file themselves. A file that has changed
    since it was checked is refused.

    Attributes:
        path: the file.
        offset: start of the array in the file, bytes.
        shape: (n, columns).
    """

    dtype = np.dtype(np.uint8)
    ndim = 2

    def __init__(self, path: Path, offset: int, shape: tuple[int, int]) -> None:
        self.path, self.offset, self.shape = Path(path).absolute(), offset, shape
        self._open()
        self._state = self._state_now()

    def _open(self) -> None:
        try:
            self._file = open(self.path, "rb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise UserError(f"cannot read {self.path}: {error.strerror or error}") from error
        self._lock = threading.Lock()
        weakref.finalize(self, self._file.close)

    def _state_now(self) -> tuple[int, ...]:
        found = os.fstat(self._file.fileno())
        return found.st_ino, found.st_size, found.st_mtime_ns

    def _require_same(self) -> None:
        if self._state_now() != self._state:
            raise self._changed()

    def _changed(self) -> UserError:
        return UserError(f"a data set must not change while it is used: {self.path} has changed")

    def __getstate__(self) -> dict[str, Any]:
        names = ("path", "offset", "shape", "_state")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()
        self._require_same()

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.shape[0] * self.shape[1]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return the rows of a slice, or of an array of row numbers in its order."""
        self._require_same()
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                found = np.empty((max(stop - start, 0), self.shape[1]), np.uint8)
                self._fill(found, start)
                return found
            rows = np.arange(start, stop, step)
        numbers = np.asarray(rows)
        if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
            raise TypeError("rows must be a slice or an array of row numbers")
        if len(numbers) and not (numbers.min() >= 0 and numbers.max() < len(self)):
            raise IndexError(f"row numbers must be from 0 to {len(self) - 1}")
        found = np.empty((len(numbers), self.shape[1]), np.uint8)
        for row, number in zip(found, numbers.tolist(), strict=True):
            self._fill(row, number)
        return found

    def __iter__(self) -> Iterator[np.ndarray]:
        for row in range(len(self)):
            yield self[row : row + 1][0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:] if dtype is None else self[:].astype(dtype)

    def _fill(self, target: np.ndarray, row: int) -> None:
        view = memoryview(target.data).cast("B") if target.size else memoryview(b"")
        position = self.offset + row * self.shape[1]
        while view:
            count = self._read_at(view, position)
            if not count:
                raise self._changed()
            view, position = view[count:], position + count

    def _read_at(self, view: memoryview, position: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [view], position)
        with self._lock:
            self._file.seek(position)
            return self._file.readinto(view) or 0


Rows: TypeAlias = Any
"""A numpy array or `StoredRows`. Any, because numpy's full interface is used on small arrays."""
