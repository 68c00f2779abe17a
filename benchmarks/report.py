"""How the cost of a report grows with the runs.

``python benchmarks/report.py``: the 155 published runs of the first paper, each of them once and
seven times with other seeds, go to a new SQLite store; then ``python -m mlproject report`` makes
the report of each store. CPU seconds of that command, and its largest memory.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from arguments import at_least

from mlproject.names import Tag
from mlproject.store import connect
from mlproject.store.exchange.folder import folders_of, read
from mlproject.store.results.recorded import parse_spec
from mlproject.store.transfer import RecordedRun, copy_run

PUBLISHED = Path(__file__).resolve().parents[1] / "docs/reproduction/koo_eddy_2019"
APART = 1_000  # between the seeds of two copies
MIB = 2**20


def copies(run: RecordedRun, count: int) -> Iterator[RecordedRun]:
    """Return the run, and others with the same results and larger seeds."""
    spec, data = parse_spec(run.tags[Tag.SPEC]), run.tags[Tag.DATASET_SHA256]
    for number in range(count):
        other = spec.model_copy(update={"seed": spec.seed + number * APART})
        tags = {
            Tag.SPEC: json.dumps(other.flat(), sort_keys=True),
            Tag.SPEC_SHA256: other.spec_sha256(data),
            Tag.TRAIN_SHA256: other.train_sha256(data),
        }
        params = run.params | {"seed": str(other.seed)}
        yield run._replace(tags=run.tags | tags, params=params)


def fill(address: str, count: int) -> int:
    """Write each published run `count` times to a new store; return the number of runs."""
    store = connect(address)
    experiment_id = store.experiment("synthetic")
    store.prepare_for_ui(experiment_id)
    runs = [one for folder in folders_of(PUBLISHED) for one in copies(read(folder), count)]
    for run in runs:
        copy_run(store, run, experiment_id, {})
    return len(runs)


def report(address: str, folder: Path) -> tuple[float, float]:
    """Make the report of a store; return its CPU seconds and its largest memory in MiB."""
    command = [sys.executable, "-m", "mlproject", "report", "--no-record", "--out", str(folder)]
    environment = os.environ | {"MLFLOW_TRACKING_URI": address, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    unit = 1 if sys.platform == "darwin" else 1024
    return used.ru_utime + used.ru_stime, used.ru_maxrss * unit / MIB


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--copies", type=at_least(1), nargs="+", default=[1, 7])
    options = parser.parse_args()
    print(f"{'runs':>6} {'CPU s':>7} {'ms a run':>9} {'memory, MiB':>12}")
    for count in options.copies:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            address = f"sqlite:///{folder}/mlflow.db"
            runs = fill(address, count)
            seconds, memory = report(address, Path(folder) / "report")
            print(f"{runs:>6} {seconds:>7.1f} {1000 * seconds / runs:>9.0f} {memory:>12,.0f}")


if __name__ == "__main__":
    main()
