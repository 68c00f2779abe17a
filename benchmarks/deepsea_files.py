"""Files in the layout of the DeepSEA bundle, of any number of rows, for benchmarks and tests."""

import zlib
from pathlib import Path

import h5py
import numpy as np
import scipy.io

COLUMNS = 919
LENGTH = 1000


def random_rows(
    rng: np.random.Generator, rows: int, length: int, columns: int, positives: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return one-hot (length, 4, rows) with a few N, and labels (columns, rows), uint8."""
    letters = rng.integers(0, 4, (length, rows), np.uint8)
    letters[rng.random((length, rows), np.float32) < 0.001] = 4
    one_hot = (letters[:, None] == np.arange(4, dtype=np.uint8)[:, None]).view(np.uint8)
    labels = (rng.random((columns, rows), np.float32) < positives).view(np.uint8)
    return one_hot, labels


def write_hdf5(
    path: Path,
    split: str,
    rows: int,
    *,
    chunks: tuple[int, int, int] | None = (1, 4, 8192),
    length: int = LENGTH,
    columns: int = COLUMNS,
    positives: float = 0.005,
    seed: int = 0,
    repeat: int | None = None,
) -> None:
    """Write a file as MATLAB 7.3 does: ``trainxdata`` (length, 4, rows), ``traindata``.

    Args:
        path: the file.
        split: ``train``, ``valid`` or ``test``.
        rows: number of sequences.
        chunks: of the sequences, deflated; None: neither chunked nor deflated.
        length: nt a sequence.
        columns: number of labels.
        positives: share of labels that are 1.
        seed: of the random numbers.
        repeat: the rows repeat after so many, whole chunks: quick to make, as slow to read.
    """
    chunk = min(chunks[2], rows) if chunks else 1
    block = min(repeat or rows, rows)
    one_hot, labels = random_rows(np.random.default_rng(seed), block, length, columns, positives)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in ((f"{split}xdata", one_hot), (f"{split}data", labels)):
            first = (min(chunks[0], length), 4) if chunks else ()
            own = (*(first if values is one_hot else (min(8, columns),)), chunk) if chunks else None
            packed = {"compression": "gzip", "compression_opts": 3} if chunks else {}
            array = file.create_dataset(
                name, (*values.shape[:-1], rows), "u1", chunks=own, **packed
            )
            if own and rows > block:
                _repeat_chunks(array, values, own)
                continue
            for start in range(0, rows, block):
                stop = min(start + block, rows)
                array[..., start:stop] = values[..., : stop - start]


def _repeat_chunks(array: h5py.Dataset, values: np.ndarray, chunk: tuple[int, ...]) -> None:
    """Fill an array with repetitions of `values`, each chunk deflated once."""
    assert values.shape[-1] % chunk[-1] == 0, "the repeated rows must be whole chunks"
    grid = [range(0, size, step) for size, step in zip(values.shape, chunk, strict=True)]
    for place in np.ndindex(*(len(axis) for axis in grid)):
        corner = tuple(axis[index] for axis, index in zip(grid, place, strict=True))
        part = values[tuple(slice(at, at + step) for at, step in zip(corner, chunk, strict=True))]
        full = np.zeros(chunk, np.uint8)
        full[tuple(slice(0, size) for size in part.shape)] = part
        data = zlib.compress(full.tobytes(), 3)
        for start in range(corner[-1], array.shape[-1], values.shape[-1]):
            array.id.write_direct_chunk((*corner[:-1], start), data)


def write_matlab5(
    path: Path,
    split: str,
    rows: int,
    *,
    length: int = LENGTH,
    columns: int = COLUMNS,
    positives: float = 0.005,
    compress: bool = True,
    seed: int = 1,
) -> None:
    """Write a file as MATLAB 5 does: ``validxdata`` (rows, 4, length), ``validdata``."""
    rng = np.random.default_rng(seed)
    one_hot, labels = random_rows(rng, rows, length, columns, positives)
    arrays = {f"{split}xdata": one_hot.transpose(2, 1, 0), f"{split}data": labels.T}
    scipy.io.savemat(path, arrays, do_compression=compress)
