"""The files of the DeepSEA bundle in blocks of rows: MATLAB 7.3 (HDF5) and MATLAB 5 (a stream).

Both formats store one letter at one position contiguously for all sequences, so that single rows
cannot be read. A read takes at most `BLOCK_BYTES`, or one chunk of the file.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

import h5py
import numpy as np

from mlproject.data.matlab5 import Matrix, matrices
from mlproject.system.errors import UserError
from mlproject.system.hdf5 import check_size, hdf5_opened
from mlproject.system.progress import watched
from mlproject.system.texts import why_no_file

BLOCK_BYTES = 1 << 26
CACHE_BYTES = 1 << 24


class Tile(NamedTuple):
    """One-hot values of some positions. `values` is (positions, 4, rows of the block)."""

    positions: slice
    values: np.ndarray


class _Hdf5:
    """MATLAB 7.3 with reversed axes: ``trainxdata`` (L, 4, N), ``traindata`` (columns, N).

    Attributes:
        rows: number of sequences.
        columns: number of labels.
        length: nt per sequence.
    """

    def __init__(self, file: h5py.File, path: Path, keys: tuple[str, str]) -> None:
        _require(path, keys, {name: one.shape for name, one in file.items() if _is_array(one)})
        self._x, self._y = (file[key] for key in keys)
        self.length, letters, self.rows = self._x.shape
        self.columns = self._y.shape[0]
        _fit(path, keys, letters, (self.rows, self._y.shape[1]), self._x.shape)
        for array in (self._x, self._y):
            if array.dtype.kind not in "buif":
                raise UserError(f"{path}: {array.name} must be numbers: got {array.dtype}")
            check_size(array)

    def row_blocks(self) -> Iterator[slice]:
        """Yield the rows in blocks."""
        step = self._plan()[0]
        for start in watched(range(0, self.rows, step), "reading the bundle"):
            yield slice(start, min(start + step, self.rows))

    def _plan(self) -> tuple[int, int]:
        """Return rows and positions per tile: complete chunks, so that each is unpacked once."""
        chunk = self._x.chunks or (1, 4, 1)
        size = 4 * self._x.dtype.itemsize
        rows = BLOCK_BYTES // (self.length * size) // chunk[2] * chunk[2]
        if rows:
            return rows, self.length
        positions = BLOCK_BYTES // (chunk[2] * size) // chunk[0] * chunk[0]
        return chunk[2], max(positions, chunk[0])

    def labels(self, block: slice, columns: Sequence[int]) -> np.ndarray:
        """Return the labels of a block, (rows, columns)."""
        band = self._y.chunks[0] if self._y.chunks else 1
        found = np.empty((len(columns), block.stop - block.start), self._y.dtype)
        for number in sorted({column // band for column in columns}):
            own = [place for place, column in enumerate(columns) if column // band == number]
            first = min(columns[place] for place in own)
            values = self._y[first : max(columns[place] for place in own) + 1, block]
            for place in own:
                found[place] = values[columns[place] - first]
        return found.T

    def tiles(self, block: slice) -> Iterator[Tile]:
        """Yield the sequences of a block in tiles, from the first position to the last."""
        step = self._plan()[1]
        for start in range(0, self.length, step):
            positions = slice(start, min(start + step, self.length))
            yield Tile(positions, self._x[positions, :, block])


class _Stream:
    """MATLAB 5: ``validxdata`` (N, 4, L), ``validdata`` (N, columns), N running fastest.

    All rows are one block, because such a matrix has less than 2 GiB.
    """

    def __init__(self, path: Path, keys: tuple[str, str]) -> None:
        self._path, self._keys = path, keys
        with matrices(path) as found:
            shapes = {name: one.shape for name, one in found.items()}
        _require(path, keys, shapes)
        self.rows, letters, self.length = shapes[keys[0]]
        self.columns = shapes[keys[1]][1]
        _fit(path, keys, letters, (self.rows, shapes[keys[1]][0]), shapes[keys[0]])

    @contextmanager
    def _matrix(self, key: str) -> Iterator[Matrix]:
        with matrices(self._path) as found:
            yield found[key]

    def row_blocks(self) -> Iterator[slice]:
        """Yield the rows in blocks."""
        yield slice(0, self.rows)

    def labels(self, block: slice, columns: Sequence[int]) -> np.ndarray:
        """Return the labels of a block, (rows, columns)."""
        found: np.ndarray | None = None
        with self._matrix(self._keys[1]) as matrix:
            passed = 0
            for column in sorted(columns):
                matrix.skip((column - passed) * self.rows)
                values = matrix.read(self.rows)
                if found is None:
                    found = np.empty((len(columns), self.rows), values.dtype)
                found[columns.index(column)] = values
                passed = column + 1
        assert found is not None
        return found.T

    def tiles(self, block: slice) -> Iterator[Tile]:
        """Yield the sequences of a block in tiles, from the first position to the last."""
        step = max(BLOCK_BYTES // (4 * self.rows), 1)
        with self._matrix(self._keys[0]) as matrix:
            for start in range(0, self.length, step):
                positions = slice(start, min(start + step, self.length))
                shape = (positions.stop - positions.start, 4, self.rows)
                yield Tile(positions, matrix.read(int(np.prod(shape))).reshape(shape))


Bundle: TypeAlias = _Hdf5 | _Stream
"""One file of the bundle."""


@contextmanager
def open_bundle(path: Path, split: str) -> Iterator[Bundle]:
    """Open a file of the bundle, MATLAB 7.3 or 5.

    Args:
        path: the file.
        split: ``train``, ``valid`` or ``test``. Arrays of train: ``trainxdata``, ``traindata``.

    Raises:
        UserError: the file is missing, has another format, is cut short, or lacks arrays of
            matching shapes. It may be raised during reading.
    """
    keys = (f"{split}xdata", f"{split}data")
    if found := why_no_file(path):
        raise UserError(f"the bundle needs train.mat, valid.mat and test.mat: got {path}, {found}")
    if not h5py.is_hdf5(path):
        yield _Stream(path, keys)
        return
    rule = f"the bundle needs readable {split}.mat"
    with hdf5_opened(path, rule, CACHE_BYTES) as file:
        yield _Hdf5(file, path, keys)


def _is_array(item: object) -> bool:
    return isinstance(item, h5py.Dataset)


def _require(path: Path, keys: tuple[str, str], shapes: dict[str, tuple[int, ...]]) -> None:
    if len(shapes.get(keys[0], ())) != 3 or len(shapes.get(keys[1], ())) != 2:
        found = ", ".join(f"{name} {shape}" for name, shape in sorted(shapes.items())[:8])
        raise UserError(
            f"{path}: must hold `{keys[0]}` with 3 axes and `{keys[1]}` with 2: "
            f"found {found or 'nothing'}"
        )


def _fit(
    path: Path, keys: tuple[str, str], letters: int, rows: tuple[int, int], shape: tuple[int, ...]
) -> None:
    if letters != 4:
        raise UserError(f"{path}: the middle axis of `{keys[0]}` must be 4 letters: got {shape}")
    if rows[0] != rows[1]:
        raise UserError(
            f"{path}: `{keys[0]}` and `{keys[1]}` must have equal numbers of rows: "
            f"got {rows[0]} and {rows[1]}"
        )
    if not all(shape):
        raise UserError(f"{path}: `{keys[0]}` must hold sequences: got {shape}")
