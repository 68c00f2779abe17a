"""Where a whole run's CPU seconds go, and how long it takes to start.

``python benchmarks/pipeline.py``: a run of CNN-25 with the full protocol and data, one thread, all
its parts; what is not training may take 60 s together. Then ``mlflow run . --env-manager local``
until its training starts, with the data already made: 20 s at most. ``--filters1 1024 --epochs 1
--parts-only`` shows what many filters cost.
"""

import argparse
import builtins
import functools
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
TRAINING, REST, IMPORTS = "training", "the rest", "imports"
LIMIT, START_LIMIT, PATIENCE = 60, 20, 300.0
PARTS = {
    "data": ["run.run.load"],
    TRAINING: ["network.trainer.train_epoch"],
    "validation": ["network.trainer.Training._validate"],
    "states saved": ["network.checkpoint.write"],
    "evaluation": ["run.stages.test"],
    "curves drawn": [f"run.stages.{one}_figure" for one in ("history", "roc", "pr", "record")],
    "baseline": ["run.run.scan_motifs"],
    "scan and alignment": [f"run.layer_reader.LayerReader.{one}" for one in ("scan", "read")],
    "planted sites": ["run.layer_reader.LayerReader._peaks", "run.layer_reader.LayerReader.truth"],
    "ablation": ["run.filters._ablate"],
    "Tomtom": ["run.layer_reader.read_layer"],
    "logos": ["run.filters.logo_figure", "run.filters.record_figure"],
    "card": ["run.run.card_data", "run.run.record_card"],
    "tracking": [
        "run.run.connect", "store.client.Store.start", "store.tracker.Tracker.flush",
        "store.tracker.Tracker.finish", "store.tracker.Tracker.beat",
    ],
    "model saved": ["store.tracker.Tracker.model"],
}  # fmt: skip


class Ledger:
    """CPU seconds (user + system) by part; a part inside another is not counted twice."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.epochs: list[float] = []
        self._open, self._since = [IMPORTS], 0.0

    def charge(self) -> None:
        """Charge what passed since the last call to the innermost open part."""
        now = time.process_time()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Charge what happens inside to `name`."""
        self.charge()
        self._open.append(name)
        before = time.process_time()
        try:
            yield
        finally:
            self.charge()
            self._open.pop()
            if name == TRAINING:
                self.epochs.append(time.process_time() - before)

    def counted(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return the function, charged to a part."""

        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            with self.part(name):
                return function(*arguments, **options)

        return call

    def count_imports(self) -> None:
        """Charge modules to the imports, wherever they are loaded for the first time."""
        load = builtins.__import__

        def call(name: str, *arguments: Any, **options: Any) -> Any:
            if name in sys.modules or self._open[-1] == IMPORTS:
                return load(name, *arguments, **options)
            with self.part(IMPORTS):
                return load(name, *arguments, **options)

        builtins.__import__ = call

    def count_parts(self) -> None:
        """Charge the functions of `PARTS`."""
        for part, names in PARTS.items():
            for name in names:
                *modules, attribute = name.split(".")
                last = modules.pop() if modules[-1][0].isupper() else None
                owner: Any = importlib.import_module(".".join(["mlproject", *modules]))
                owner = getattr(owner, last) if last else owner
                setattr(owner, attribute, self.counted(getattr(owner, attribute), part))
        training: Any = importlib.import_module("mlproject.network.training_tools")
        make = training.predictor
        training.predictor = lambda model: self.counted(make(model), "validation")


def run_here(values: dict[str, str | int], backend: str | None) -> None:
    """Run in this process and folder, and print the seconds of all parts as JSON."""
    ledger = Ledger()
    from mlproject.system.startup import prepare_keras

    prepare_keras(backend, 1)
    from mlproject.architectures import make_spec
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
    print(f"{'all but training':<20} {total - seconds[TRAINING]:>7.2f}  (limit {LIMIT})")
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
    from mlproject.architectures import make_spec
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
    first = f"{started - begun:>7.2f}  (limit {START_LIMIT}; CPU seconds till then {computed:.2f})"
    print(f"{'training starts':<20} {first}")
    print(f"{'first epoch done':<20} {ended - begun:>7.2f}")


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
    parser.add_argument("--arch", default="CNN-25")
    parser.add_argument("--epochs", type=int, default=100, help="most epochs; patience as released")
    parser.add_argument("--backend", choices=("tensorflow", "jax"), help="as `train --backend`")
    parser.add_argument("--filters1", type=int, help="instead of the network's own")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--start-only", action="store_true", help="leave the parts of a run out")
    only.add_argument("--parts-only", action="store_true", help="leave the start out")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        values = {"arch": options.arch, "epochs": options.epochs, "filters1": options.filters1}
        run_here({key: one for key, one in values.items() if one}, options.backend)
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if not options.start_only:
            breakdown(options, Path(folder))
        if not options.parts_only:
            start_up(Path(folder))


if __name__ == "__main__":
    main()
