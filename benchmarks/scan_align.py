"""CPU seconds of scan and alignment beside the forward pass: ``python benchmarks/scan_align.py``.

Activations are those of random filters behind batch norm and ReLU (about 0.3 % of the positions are
sites), and once, ``dense``, of filters that are active everywhere: the worst case.
"""

import argparse
import os
from collections.abc import Iterator
from itertools import cycle, islice

import numpy as np

from mlproject.filters.align import align
from mlproject.filters.scan import scan
from mlproject.geometry import ReceptiveField, Window

BATCH = 500
LIMIT = "2 s for 30 filters x 5,000 sequences x 200 nt"


def activations(rng: np.random.Generator, length: int, filters: int, dense: bool) -> np.ndarray:
    """Return one batch, (BATCH, length, filters) float32."""
    values = rng.normal(size=(BATCH, length, filters)).astype(np.float32)
    return 1 / (1 + np.exp(-values)) if dense else np.maximum(values - 1, 0)


def cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


def measure(filters: int, sequences: int, length: int, dense: bool = False) -> str:
    """Return one row of the table."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (sequences, length), np.uint8)
    prepared = [activations(rng, length, filters, dense) for _ in range(2)]

    def batches() -> Iterator[np.ndarray]:
        for number, batch in enumerate(islice(cycle(prepared), -(-sequences // BATCH))):
            yield batch[: min(BATCH, sequences - number * BATCH)]

    field = ReceptiveField().through(Window(19), length)
    start = cpu_seconds()
    found = scan(batches())
    scanned = cpu_seconds()
    align(found, "released", codes, field, 19)
    released = cpu_seconds()
    align(found, "paper", codes, field)
    end = cpu_seconds()
    seconds = (scanned - start, released - scanned, end - released, end - start)
    size = f"{filters} x {sequences:,} x {length:,}{' dense' if dense else ''}"
    sites = f"{len(found.released):>11,} {len(found.paper):>9,}"
    return f"{size:<26} {sites} " + " ".join(f"{value:8.2f}" for value in seconds)


if __name__ == "__main__":
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    print(f"limit: {LIMIT}; columns 4 to 7 are CPU seconds")
    columns = ("scan", "released", "paper", "all")
    heading = " ".join(f"{name:>8}" for name in columns)
    print(f"{'filters x sequences x nt':<26} {'released':>11} {'paper':>9} {heading}")
    print(measure(30, 5_000, 200))
    print(measure(128, 5_000, 200))
    print(measure(30, 23_768, 1_000))
    print(measure(30, 5_000, 200, dense=True))
