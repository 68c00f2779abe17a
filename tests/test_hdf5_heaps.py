"""Heaps of HDF5 files that HDF5's library never leaves."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from mlproject.system.errors import UserError
from mlproject.system.hdf5 import hdf5_opened
from mlproject.system.hdf5_heaps import HEADER, SIGNATURE, require_sound_heaps


@pytest.mark.parametrize("size", [0, 2**64 - HEADER])
def test_a_heap_that_hdf5_never_leaves_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs["name"] = "text"
    content = bytearray(path.read_bytes())
    heap = content.find(SIGNATURE)
    place = heap + HEADER
    if not size:
        while content[place : place + 2] != b"\0\0":  # the gap behind all texts
            place += HEADER + -(-int.from_bytes(content[place + 8 : place + 16], "little") // 8) * 8
    content[place + 8 : place + 16] = size.to_bytes(8, "little")
    require_sound_heaps(path)
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged or cut short"), hdf5_opened(path, "readable"):
        pass


def test_what_looks_like_a_heap_in_data_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.frombuffer(SIGNATURE * 1000 + b"\1" * 999, np.uint8)
    require_sound_heaps(path)
