"""How the memory of a sweep's worker grows from cell to cell.

One worker does 20 cells of small networks, five seeds of each; the table has the memory that the
process holds (RSS) when a cell has ended, and the growth a cell from the sixth to the last.

python benchmarks/sweep_memory.py [--cells 20] [--backends jax tensorflow]
"""

import argparse
import json
import sqlite3
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
from arguments import at_least
from killing import OPTIONS, begin, workplace
from sweep_kills import Tree, cells_done

SEEDS = 5
WARM = 6  # cells until libraries have all that they keep
MIB = 2**20


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=at_least(1), default=20)
    parser.add_argument("--backends", nargs="+", default=["jax", "tensorflow"])
    options = parser.parse_args()
    shown = [1, *range(WARM, options.cells, 5), options.cells]
    print("| MiB after cell | " + " | ".join(map(str, shown)) + " | growth a cell |")
    print("|---|" + "---|" * (len(shown) + 1))
    for backend in options.backends:
        with workplace() as root:
            sizes = measure(root / "sweep", backend, options.cells)
        growth = (sizes[-1] - sizes[WARM - 1]) / max(len(sizes) - WARM, 1)
        numbers = " | ".join(f"{sizes[cell - 1]:,.0f}" for cell in shown)
        print(f"| {backend} | {numbers} | {growth:.1f} |", flush=True)


def measure(folder: Path, backend: str, cells: int) -> list[float]:
    """Return the memory of the worker after each cell, MiB."""
    begin(folder)
    filters = list(range(2, 2 + -(-cells // SEEDS)))
    axes = {"filters1": filters, "seed": {"from": 0, "to": SEEDS - 1}}
    base = {name: value for name, value in OPTIONS.items() if name != "filters1"}
    (folder / "plan.yaml").write_text(json.dumps({"base": base, "axes": axes}), encoding="utf-8")
    tree = Tree(folder, backend, workers=1)
    sizes: list[float] = []
    size = 0.0
    while tree.driver.poll() is None or len(sizes) < cells_ended(folder):
        tree.seconds()
        with suppress(psutil.Error):
            size = sum(worker.memory_info().rss for worker in tree.workers()) / MIB or size
        if len(sizes) < cells_ended(folder):
            sizes.append(size)
        time.sleep(0.1)
    if tree.driver.returncode or len(sizes) < cells:
        sys.exit(f"the sweep failed: {tree.errors.read_text(encoding='utf-8')}")
    return sizes


def cells_ended(folder: Path) -> int:
    """Return how many cells the store has as finished."""
    try:
        return len(cells_done(folder))
    except sqlite3.Error:
        return 0  # it is being made


if __name__ == "__main__":
    main()
