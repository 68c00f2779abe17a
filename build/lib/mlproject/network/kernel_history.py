"""The first layer's kernels after each epoch: one small file beside the state of a training.

The file grows by a record an epoch, so that an interrupted training keeps what it has. Nothing in
it has an effect on a training.
"""

import io
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlproject.sequence import LETTERS
from mlproject.system.files import atomic_file

NAME = "kernels.bin"
KEPT = np.float16
MOST_BYTES = 1 << 28


class Kernels(NamedTuple):
    """Kernels of the first convolution by epoch.

    Attributes:
        epochs: (n,) the numbers of the epochs, from 1.
        values: (n, width, 4, filters), letters A C G T.
    """

    epochs: np.ndarray
    values: np.ndarray


def first_kernel(model: Any) -> np.ndarray | None:
    """Return the kernel (width, 4, filters) of a model's first convolution that reads sequences."""
    from mlproject.network import backend  # readers of the file need no Keras

    for layer in model.layers:
        shape = tuple(getattr(getattr(layer, "kernel", None), "shape", ()))
        if len(shape) == 3 and shape[1] == len(LETTERS):
            return backend.value(layer.kernel)
    return None


def append_kernel(path: Path, model: Any, epoch: int) -> None:
    """Add the kernel after an epoch to a file; a model without such a kernel adds nothing."""
    kernel = first_kernel(model)
    if kernel is None:
        return
    header = np.array([epoch, *kernel.shape], "<u4").tobytes()
    with path.open("ab") as file:
        file.write(header + kernel.astype(KEPT).tobytes())


def read_kernels(path: Path) -> Kernels | None:
    """Return the records of a file; None if it does not exist or has none.

    Of an epoch that was trained twice, the last record counts. A record that was cut off ends the
    file.
    """
    content = path.read_bytes() if path.is_file() else b""
    found: dict[int, np.ndarray] = {}
    place, head = 0, 16
    while place + head <= len(content):
        epoch, *shape = np.frombuffer(content, "<u4", 4, place).tolist()
        size = int(np.prod(shape)) * np.dtype(KEPT).itemsize
        if place + head + size > len(content):
            break
        values = np.frombuffer(content, KEPT, size // 2, place + head)
        found[epoch] = values.reshape(shape)
        place += head + size
    if not found:
        return None
    epochs = sorted(found)
    return Kernels(np.array(epochs), np.stack([found[epoch] for epoch in epochs]))


def write_kernels(path: Path, kernels: Kernels) -> None:
    """Write kernels as a compressed ``.npz`` with ``epochs`` and ``values``."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, epochs=kernels.epochs, values=kernels.values)
    with atomic_file(path) as file:
        file.write(buffer.getvalue())


def load_kernels(path: Path) -> Kernels:
    """Read what `write_kernels` has written.

    Raises:
        ValueError: it is no such file.
    """
    with zipfile.ZipFile(path) as packed:
        if sum(one.file_size for one in packed.infolist()) > MOST_BYTES:
            raise ValueError(f"larger than {MOST_BYTES:,} bytes")
    with np.load(path, allow_pickle=False) as file:
        epochs, values = file["epochs"], file["values"]
    fits = values.ndim == 4 and values.shape[2] == len(LETTERS) and values.dtype == KEPT
    if not (fits and epochs.shape == values.shape[:1] and np.isfinite(values).all()):
        raise ValueError("`epochs` (n,) and `values` (n, width, 4, filters) do not fit")
    return Kernels(epochs.astype(int), values)
