"""Cells an hour with one and two workers and with one training on two threads; what lies between.

Between two runs on a worker: what the worker does after the one (of it, to forget the model), the
driver (from the end of a task to the begin of the next), and the worker before the next run.

python benchmarks/sweep.py [--cells 4] [--epochs 5] [--sequences 25000] [--settings 3]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from arguments import at_least

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = (
    ("1 worker x 1 thread", 1, 1),
    ("2 workers x 1 thread", 2, 1),
    ("1 worker x 2 threads", 1, 2),
)
RECORD = """
import json, sys, time
from pathlib import Path
from mlproject.sweeps import run_plan as command
from mlproject.sweeps.workers import Workers
from mlproject.sweeps.options import SweepOptions
submit, result, submitted, told = Workers.submit, Workers.result, {{}}, []

def timed_submit(self, task):
    submitted[task.token] = time.time()
    submit(self, task)

def timed_result(self, token):
    outcome = result(self, token)
    told.append({{"submitted": submitted[token], "heard": time.time(), "run": outcome["run_id"],
                 **outcome["times"]}})
    return outcome

Workers.submit, Workers.result = timed_submit, timed_result
if __name__ == "__main__":
    options = SweepOptions(Path.cwd(), workers={workers}, threads={threads}, quiet=True)
    done = command.run_plan(Path("bench.yaml"), options)
    Path("told.json").write_text(json.dumps(told))
    sys.exit(not done)
"""


class Gap(NamedTuple):
    """Seconds between two runs of a worker, by who needs them."""

    after: float
    clean_up: float
    driver: float
    before: float


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=at_least(1), default=4)
    parser.add_argument("--epochs", type=at_least(1), default=5)
    parser.add_argument("--sequences", type=at_least(1), default=25_000)
    parser.add_argument(
        "--settings", type=at_least(1), default=len(SETTINGS), help="how many of them"
    )
    options = parser.parse_args()
    print(
        f"{options.cells} cells of CNN-25, {options.epochs} epochs, {options.sequences} sequences"
    )
    names = ("cells/h", "between s", "after", "clean-up", "driver", "before")
    print(f"{'':22} " + " ".join(f"{name:>9}" for name in names))
    for name, workers, threads in SETTINGS[: options.settings]:
        rate, gaps = measure(options, workers, threads)
        parts = [mean(part) for part in zip(*gaps, strict=True)] if gaps else []
        numbers = [f"{rate:9.1f}"] + [f"{number:9.3f}" for number in [sum(parts), *parts]]
        print(f"{name:22} " + " ".join(numbers))
        for gap in gaps if workers == 1 else []:
            print(f"{'':42} " + " ".join(f"{number:9.3f}" for number in gap))


def measure(options: argparse.Namespace, workers: int, threads: int) -> tuple[float, list[Gap]]:
    """Return cells an hour, from the first run's start to the last one's end, and the gaps.

    What comes before the first run (starting workers, importing TensorFlow) is left out.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "bench.yaml").write_text(
            f"base: {{sequences: {options.sequences}, epochs: {options.epochs}, patience: 0}}\n"
            f"axes: {{seed: {{from: 0, to: {options.cells - 1}}}}}\n"
        )
        environment = {key: os.environ[key] for key in os.environ if not key.startswith("MLFLOW")}
        code = RECORD.format(workers=workers, threads=threads)
        (place / "record.py").write_text(code)
        command = [sys.executable, "record.py"]
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        runs = times(place / "mlflow.db")
        told = json.loads((place / "told.json").read_text())
        starts, ends = zip(*runs.values(), strict=True)
        return 3600 * len(runs) / (max(ends) - min(starts)), gaps_of(told, runs, workers)


def gaps_of(
    told: list[dict[str, Any]], runs: dict[str, tuple[float, float]], workers: int
) -> list[Gap]:
    """Return what lies between runs: with several workers, a cell follows the last that ended."""
    told = sorted(told, key=lambda one: one["begun"])
    gaps = []
    for number, later in enumerate(told[workers:], workers):
        earlier = max(
            (one for one in told[:number] if one["heard"] <= later["submitted"]),
            key=lambda one: one["heard"],
        )
        after = earlier["ended"] - runs[earlier["run"]][1] - earlier["clean_up"]
        before = runs[later["run"]][0] - later["begun"]
        gaps.append(Gap(after, earlier["clean_up"], later["begun"] - earlier["ended"], before))
    return gaps


def times(database: Path) -> dict[str, tuple[float, float]]:
    """Return when each finished cell's run started and ended, seconds since 1970."""
    import sqlite3

    query = (
        "select run_uuid, start_time, end_time from runs join tags using (run_uuid) "
        "where key = 'mlproject.spec_sha256' and status = 'FINISHED'"
    )
    with sqlite3.connect(database) as connection:
        rows = connection.execute(query).fetchall()
    return {run_id: (start / 1000, end / 1000) for run_id, start, end in rows}


if __name__ == "__main__":
    main()
