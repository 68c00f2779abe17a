"""Cells an hour with one and two workers and with one training on two threads; the driver's share.

python benchmarks/sweep.py [--cells 4] [--epochs 5] [--sequences 25000]
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = (
    ("1 worker x 1 thread", "--workers", "1", "--threads", "1"),
    ("2 workers x 1 thread", "--workers", "2", "--threads", "1"),
    ("1 worker x 2 threads", "--workers", "1", "--threads", "2"),
)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--sequences", type=int, default=25_000)
    options = parser.parse_args()
    print(
        f"{options.cells} cells of CNN-25, {options.epochs} epochs, {options.sequences} sequences"
    )
    print(f"{'':22} {'wall s':>8} {'cells/h':>8} {'in runs s':>10} {'driver s/cell':>14}")
    for name, *arguments in SETTINGS:
        wall, inside = measure(options, arguments)
        workers = int(arguments[1])
        overhead = (wall * workers - inside) / options.cells
        rate = 3600 * options.cells / wall
        print(f"{name:22} {wall:8.1f} {rate:8.1f} {inside:10.1f} {overhead:14.2f}")


def measure(options: argparse.Namespace, arguments: list[str]) -> tuple[float, float]:
    """Return the seconds between the first run's start and the last one's end, and those in runs.

    What comes before the first run (starting workers, importing TensorFlow) is left out.
    """
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "bench.yaml"
        plan.write_text(
            f"base: {{sequences: {options.sequences}, epochs: {options.epochs}, patience: 0}}\n"
            f"axes: {{seed: {{from: 0, to: {options.cells - 1}}}}}\n"
        )
        environment = {key: os.environ[key] for key in os.environ if not key.startswith("MLFLOW")}
        command = [sys.executable, str(ROOT / "src"), "sweep", str(plan), "--quiet", *arguments]
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        return times(Path(folder) / "mlflow.db")


def times(database: Path) -> tuple[float, float]:
    """Return wall seconds from the first start to the last end of the cells, and their sum."""
    import sqlite3

    query = (
        "select start_time, end_time from runs join tags using (run_uuid) "
        "where key = 'mlproject.spec_sha256' and status = 'FINISHED'"
    )
    with sqlite3.connect(database) as connection:
        rows = connection.execute(query).fetchall()
    starts, ends = zip(*rows, strict=True)
    return (max(ends) - min(starts)) / 1000, sum(end - start for start, end in rows) / 1000


if __name__ == "__main__":
    main()
