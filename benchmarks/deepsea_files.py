"""Files in the layout of the DeepSEA bundle, of any number of rows, for benchmarks and tests."""

from pathlib import Path

import h5py
import numpy as np
import scipy.io

COLUMNS = 919
LENGTH = 1000
BLOCK = 20_000


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
    """
    packed = {"compression": "gzip", "compression_opts": 3} if chunks else {}
    if chunks:
        chunks = (min(chunks[0], length), chunks[1], min(chunks[2], rows))
    rng = np.random.default_rng(seed)
    with h5py.File(path, "w", userblock_size=512) as file:
        x = file.create_dataset(
            f"{split}xdata", (length, 4, rows), "u1", chunks=chunks or None, **packed
        )
        labels = (min(8, columns), chunks[2]) if chunks else None
        y = file.create_dataset(f"{split}data", (columns, rows), "u1", chunks=labels, **packed)
        step = max(BLOCK // chunks[2], 1) * chunks[2] if chunks else BLOCK
        for start in range(0, rows, step):
            part = slice(start, min(start + step, rows))
            one_hot, found = random_rows(rng, part.stop - start, length, columns, positives)
            x[:, :, part], y[:, part] = one_hot, found


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
