"""HDF5 files of others: what they may hold before anything of them is read."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

GIGABYTE = 1 << 30
MOST_OBJECTS = 100_000


def require_plain(path: Path, most: int = GIGABYTE) -> None:
    """Refuse an HDF5 file that reaches beyond itself, or claims to hold more than fits.

    Args:
        path: the file.
        most: bytes that all of its arrays may have together, unpacked.

    Raises:
        ValueError: it has links to other files or within itself, data stored in other files,
            objects of Python, or arrays of more than `most` bytes.
        OSError: it cannot be opened.
    """
    size = count = 0
    with h5py.File(path, "r") as file:
        waiting: list[tuple[str, Any]] = [("", file)]
        while waiting:
            place, group = waiting.pop()
            for name in group:
                count += 1
                if count > MOST_OBJECTS:
                    raise ValueError(f"holds more than {MOST_OBJECTS:,} objects")
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"`{place}/{name}` is a link, which is not followed")
                found = group[name]
                if isinstance(found, h5py.Group):
                    waiting.append((f"{place}/{name}", found))
                elif isinstance(found, h5py.Dataset):
                    _require_own_data(f"{place}/{name}", found)
                    size += int(np.prod(found.shape or (1,), dtype=object)) * found.dtype.itemsize
                    if size > most:
                        raise ValueError(f"its arrays are larger than {most:,} bytes")


def array(file: h5py.File, name: str, dimensions: int, kinds: str) -> np.ndarray:
    """Return an array of a file.

    Args:
        file: open.
        name: of the data set.
        dimensions: that it must have.
        kinds: letters of the kinds of numbers that it may hold, as `numpy.dtype.kind`.

    Raises:
        ValueError: it is not there, or of another shape or type.
    """
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"it must have an array `{name}`")
    if found.ndim != dimensions or found.dtype.kind not in kinds:
        raise ValueError(f"`{name}` has shape {found.shape} and type {found.dtype}")
    return np.asarray(found[()])


def _require_own_data(name: str, found: h5py.Dataset) -> None:
    if found.external or found.is_virtual:
        raise ValueError(f"`{name}` is stored in another file")
    if found.dtype.kind == "O" and h5py.check_string_dtype(found.dtype) is None:
        raise ValueError(f"`{name}` holds no numbers")
