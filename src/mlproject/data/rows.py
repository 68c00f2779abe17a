"""Rows of an array that stays in its file: a batch is read when it is asked for."""

import os
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from mlproject.system.errors import UserError


class StoredRows:
    """A uint8 array (n, columns) that lies in one piece in a file, indexed by rows as an array is.

    Nothing is kept in memory, and nothing is mapped: what was read does not count as the process's.
    Copies in other processes, forked or pickled, read on their own. A file that is written to, or
    replaced before such a copy opens it, is refused: its content is no longer what was checked.

    Attributes:
        path: the file.
        offset: where the array starts, bytes.
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
        return UserError(f"a data set must not change while it is used: {self.path} did")

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
        """Return the rows of a slice or of an array of row numbers, in its order."""
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
            raise TypeError("rows are chosen by a slice or by an array of row numbers")
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
"""A numpy array or `StoredRows`; Any, for most arrays are small and used as numpy's."""
