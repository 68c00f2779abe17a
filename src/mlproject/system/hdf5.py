"""Reading of users' HDF5 files. All errors of h5py become a `UserError` of one line."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from mlproject.system.errors import UserError
from mlproject.system.hdf5_heaps import require_sound_heaps
from mlproject.system.interrupts import Interrupted
from mlproject.system.texts import require_file

MOST_PACKED = 2000
SLACK_BYTES = 1 << 26
MOST_OBJECTS = 100_000


@contextmanager
def hdf5_opened(path: Path, rule: str, cache_bytes: int | None = None) -> Iterator[h5py.File]:
    """Open a file for reading.

    Args:
        path: the file.
        rule: the requirement, first half of the error message.
        cache_bytes: size of the chunk cache. None: HDF5's default.

    Raises:
        UserError: the file is missing, not HDF5, damaged or cut short, when it is opened or while
            the block reads it.
    """
    try:
        require_file(path)
    except UserError as error:
        raise UserError(f"{rule}: {error}") from error
    try:
        require_sound_heaps(path)
        with h5py.File(path, "r", rdcc_nbytes=cache_bytes) as file:
            yield file
    except (UserError, Interrupted):
        raise
    except PermissionError as error:
        raise UserError(f"cannot read {path}: permission denied") from error
    except Exception as error:  # a flipped bit can raise any exception
        state = "damaged or cut short" if h5py.is_hdf5(path) else "not HDF5"
        raise UserError(f"{rule}: got {path}, which is {state}") from error


def check_size(array: h5py.Dataset) -> None:
    """Raise a `UserError` for an array whose declared size exceeds its stored data."""
    stored = array.id.get_storage_size()
    most = MOST_PACKED * stored + SLACK_BYTES if array.chunks else stored
    if math.prod(array.shape or ()) * array.dtype.itemsize > most and not array.is_virtual:
        raise UserError(f"`{array.name}` is damaged or cut short: {array.shape} does not fit in it")


def read_array(array: h5py.Dataset) -> Any:
    """Return an array of numbers or records in memory.

    Raises:
        UserError: it has another type, or less data than it declares.
    """
    if array.dtype.hasobject or array.dtype.kind not in "buifV":
        raise UserError(f"`{array.name}` must be numbers or records: got type {array.dtype}")
    check_size(array)
    return array[()]


def require_plain(file: h5py.File, most: int = 1 << 30) -> None:
    """Refuse a file that refers to other files, or whose arrays are too large.

    Args:
        file: open.
        most: largest total size of its arrays, unpacked, bytes.

    Raises:
        UserError: it has soft or external links, data stored in other files, or arrays of more than
            `most` bytes.
    """
    size = count = 0
    waiting: list[h5py.Group] = [file]
    while waiting:
        group = waiting.pop()
        for name in group:
            count += 1
            if count > MOST_OBJECTS:
                raise UserError(f"it must not hold more than {MOST_OBJECTS:,} objects")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise UserError(f"`{name}` is a link, and links are not followed")
            found = group[name]
            if isinstance(found, h5py.Group):
                waiting.append(found)
            elif isinstance(found, h5py.Dataset):
                if found.external or found.is_virtual:
                    raise UserError(f"`{name}` is stored in another file")
                size += math.prod(found.shape or ()) * found.dtype.itemsize
                if size > most:
                    raise UserError(f"its arrays must not be larger than {most:,} bytes together")
