"""CPU seconds to make the synthetic data and write them: ``python benchmarks/data_generation.py``.

The median of several runs after a first one, which reads JASPAR.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path

from mlproject.data import make_synthetic, read
from mlproject.data.synthetic import generate

RUNS = 5
LIMIT = "3 s to generate and write 25,000 x 200"


def cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


def measure(path: Path, sequences: int, length: int) -> tuple[float, float, float]:
    """Return CPU seconds to generate, to generate and write, and to read."""
    marks = [cpu_seconds()]
    generate(0, sequences, length)
    marks.append(cpu_seconds())
    make_synthetic(path, 0, sequences, length)
    marks.append(cpu_seconds())
    read(path)
    marks.append(cpu_seconds())
    return marks[1] - marks[0], marks[2] - marks[1], marks[3] - marks[2]


if __name__ == "__main__":
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "synthetic.h5"
        first = measure(path, 1000, 200)[0]
        print(f"limit: {LIMIT}; first use of JASPAR: {first:.2f} s")
        print(f"{'sequences x nt':<16} {'generate':>9} {'and write':>9} {'read':>9} {'MB':>7}")
        for sequences, length in ((25_000, 200), (25_000, 1_000), (270_000, 200)):
            runs = [measure(path, sequences, length) for _ in range(RUNS)]
            medians = [statistics.median(values) for values in zip(*runs, strict=True)]
            seconds = " ".join(f"{value:9.2f}" for value in medians)
            print(f"{f'{sequences:,} x {length:,}':<16} {seconds} {path.stat().st_size / 1e6:7.1f}")
