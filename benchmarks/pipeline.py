"""Where a whole run's CPU seconds go, and how long it takes to start.

``python benchmarks/pipeline.py``: a run of CNN-25 with the full protocol and data, one thread, all
its parts; what is not training may take 20 s together. Then ``mlflow run . --env-manager local``
until its training starts, with the data already made: 8 CPU s at most. A line says whether each
limit is kept. ``--filters1 1024 --epochs 1 --parts-only`` shows what many filters cost.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from arguments import at_least
from ledger import IMPORTS, PARTS, TRAINING, Ledger

from mlproject.architectures import ARCHITECTURES, make_spec

ROOT = Path(__file__).resolve().parents[1]
REST = "the rest"
LIMIT, START_LIMIT, PATIENCE = 20, 8, 300.0


def run_here(values: dict[str, str | int], backend: str | None) -> None:
    """Run in this process and folder, and print the seconds of all parts as JSON."""
    ledger = Ledger()
    from mlproject.system.startup import prepare_keras

    prepare_keras(backend, 1)
    from mlproject.run.context import Settings
    from mlproject.run.run import run

    ledger.count_imports()
    ledger.count_parts()
    with ledger.part(REST):
        result = run(make_spec(values), Settings(quiet=True))
    ledger.charge()
    children = os.times()
    ledger.seconds["other processes"] = children.children_user + children.children_system
    import keras

    both = {"tensorflow", "jax"} <= sys.modules.keys()
    found = {
        "seconds": ledger.seconds,
        "epochs": ledger.epochs,
        "backend": keras.backend.backend() + (" (the other is loaded too)" if both else ""),
        "auroc": result.metrics["test_auroc"],
    }
    print(json.dumps(found))


def breakdown(options: argparse.Namespace, folder: Path) -> None:
    """Print the parts of a run."""
    command = [sys.executable, str(Path(__file__).resolve()), "--here", "--arch", options.arch]
    command += ["--epochs", str(options.epochs)]
    command += ["--filters1", str(options.filters1)] if options.filters1 else []
    command += ["--backend", options.backend] if options.backend else []
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True,
                          check=False)  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr)
    found = json.loads(done.stdout.splitlines()[-1])
    seconds, epochs = found["seconds"], found["epochs"]
    print(f"{options.arch} on {found['backend']}, {len(epochs)} epochs, AUROC {found['auroc']:.4f}")
    print("CPU seconds, one thread\n")
    for part in (IMPORTS, *PARTS, REST, "other processes"):
        print(f"{part:<20} {seconds.get(part, 0.0):>7.2f}")
    total = sum(seconds.values())
    print(f"{'together':<20} {total:>7.2f}")
    rest = total - seconds[TRAINING]
    print(f"{'all but training':<20} {rest:>7.2f}, {verdict(rest, LIMIT)}")
    median = sorted(epochs)[len(epochs) // 2]
    print(
        f"\nan epoch's training {median:.2f} (median); the first, which compiles, {epochs[0]:.2f}"
    )


def start_up(folder: Path) -> None:
    """Print the seconds from ``mlflow run`` to the training in `folder`, which has the data."""
    for name in ("MLproject", "conda.yaml"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.rmtree(folder / "runs", ignore_errors=True)
    from mlproject.data import load

    load(make_spec({}), folder / "data")
    command = [sys.executable, "-m", "mlflow", "run", ".", "--env-manager", "local"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    begun, log = time.perf_counter(), folder / "mlflow.log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            command, cwd=folder, env=environment() | {"PATH": path}, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        ) as process,
    ):  # fmt: skip
        try:
            started = wait(lambda: bool([*folder.glob("runs/*/artifacts/state/state.h5")]), process)
            computed = computed_by(psutil.Process(process.pid))
            text = '"train_loss"'
            journals = folder.glob("runs/*/journal.jsonl")
            journal = next(journals)
            ended = wait(lambda: text in journal.read_text(), process)
        except TimeoutError:
            sys.exit(log.read_text())
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    print("\nwall seconds after `mlflow run . --env-manager local`, data made")
    print(f"{'training starts':<20} {started - begun:>7.2f}")
    print(f"{'first epoch done':<20} {ended - begun:>7.2f}")
    print(f"CPU seconds until training starts: {computed:.2f}, {verdict(computed, START_LIMIT)}")


def verdict(seconds: float, limit: float) -> str:
    """Return whether CPU seconds keep a limit."""
    return f"{'within' if seconds <= limit else 'NOT within'} the limit of {limit:g}"


def computed_by(process: psutil.Process) -> float:
    """Return the CPU seconds of a process, of those that it has started and of theirs."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(sum(one[:4]) for one in times)


def wait(happened: Callable[[], bool], process: subprocess.Popen[bytes]) -> float:
    """Wait until something has happened and return when.

    Raises:
        TimeoutError: it did not.
    """
    until = time.perf_counter() + PATIENCE
    while not happened():
        if process.poll() is not None or time.perf_counter() > until:
            raise TimeoutError
        time.sleep(0.02)
    return time.perf_counter()


def environment() -> dict[str, str]:
    """Return ours without what names another tracking server."""
    return {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW")}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--arch", default="CNN-25", choices=ARCHITECTURES, metavar="NETWORK")
    parser.add_argument(
        "--epochs", type=at_least(1), default=100, help="most epochs; patience as released"
    )
    parser.add_argument("--backend", choices=("tensorflow", "jax"), help="as `train --backend`")
    parser.add_argument("--filters1", type=at_least(1), help="instead of the network's own")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--start-only", action="store_true", help="leave the parts of a run out")
    only.add_argument("--parts-only", action="store_true", help="leave the start out")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        values = {"arch": options.arch, "epochs": options.epochs, "filters1": options.filters1}
        run_here({key: one for key, one in values.items() if one is not None}, options.backend)
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if not options.start_only:
            breakdown(options, Path(folder))
        if not options.parts_only:
            start_up(Path(folder))


if __name__ == "__main__":
    main()
