"""A check of HDF5 files before HDF5 reads them.

HDF5 keeps texts of any length in global heaps. Its library (2.0 and before) never returns from a
heap in which a gap has the size 0, as a block of zeros gives it that a power cut has left in a
file. No signal ends this.

Source: HDF5 File Format Specification 3.0, III.E, and H5HGcache.c.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

SIGNATURE = b"GCOL\x01\0\0\0"
HEADER = 16  # bytes, of a heap and of each object in it
MOST_HEAP = 1 << 24
BLOCK = 1 << 24
WHOLE, PART = 1 << 30, 1 << 26


def require_sound_heaps(path: Path) -> None:
    """Raise a `ValueError` if HDF5 would never return from a heap of a file.

    Of a file of more than 1 GiB the first and the last 64 MiB are looked through.
    """
    with path.open("rb") as file:
        for place in _heaps(file):
            file.seek(place)
            if _loops(file.read(MOST_HEAP)):
                raise ValueError(f"its heap at byte {place:,} has a gap of no size")


def _heaps(file: BinaryIO) -> Iterator[int]:
    """Yield the places of the signatures of heaps."""
    size = file.seek(0, 2)
    parts = [(0, size)] if size <= WHOLE else [(0, PART), (size - PART, size)]
    for first, stop in parts:
        for start in range(first, stop, BLOCK):
            file.seek(start)
            block = file.read(BLOCK + len(SIGNATURE) - 1)
            at = block.find(SIGNATURE)
            while at >= 0:
                yield start + at
                at = block.find(SIGNATURE, at + 1)


def _loops(heap: bytes) -> bool:
    """Return whether the objects of a heap have one that takes no space."""
    stop = min(_number(heap, 8), len(heap))
    at = HEADER
    while at + HEADER <= stop:
        is_object, size = int.from_bytes(heap[at : at + 2], "little") > 0, _number(heap, at + 8)
        taken = (HEADER + (size + 7) // 8 * 8) % 2**64 if is_object else size
        if not taken:
            return True
        at += taken
    return False


def _number(heap: bytes, at: int) -> int:
    return int.from_bytes(heap[at : at + 8], "little")
