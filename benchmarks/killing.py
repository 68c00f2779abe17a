"""What the scripts that kill share: lives one after the other, what a store holds, the table."""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
PATIENCE = 3600.0  # seconds; ends what hangs, never what is slow
OPTIONS = {
    "dataset": "my.h5", "filters1": 3, "kernel1": 9, "pool1": 10, "filters2": 0, "units": 8,
    "epochs": 8, "batch_size": 50, "learning_rate": 0.01, "window": 9,
    "attributions": "saliency", "attributed": 4,
}  # fmt: skip


class Kill(NamedTuple):
    """One signal that met a process.

    Attributes:
        stage: what it met, and how far that was.
        number: of the signal.
        seconds: of the processor, from the signal to the end of what was asked to end.
    """

    stage: str
    number: int
    seconds: float


class Left(NamedTuple):
    """What a finished run has left: weights by name, metric -> (step, value) points."""

    weights: dict[str, np.ndarray]
    metrics: dict[str, list[tuple[int, float]]]


Life = Callable[[Path, int, random.Random], tuple[list[Kill], list[str]]]


def parse(description: str, kills: int) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--kills", type=int, default=kills)
    parser.add_argument("--in-a-row", type=int, default=4, help="kills of one life, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", default="jax", choices=("jax", "tensorflow"))
    parser.add_argument("--keep", type=Path, help="folder that keeps the lives that went wrong")
    parser.add_argument(
        "--log",
        type=Path,
        help="file of the lives so far: goes on with this seed's, and the table has all seeds'",
    )
    return parser.parse_args()


@contextmanager
def workplace() -> Iterator[Path]:
    """Give an empty folder, and an environment of its own for the processes to come."""
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        root = Path(name)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(root / "jax")
        os.environ["TMPDIR"] = name
        for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID"):
            os.environ.pop(variable, None)
        # A shell lets what it starts in the background ignore SIGINT; children would inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        yield root


def begin(folder: Path) -> None:
    """Make the folder of a life with a data set: random sequences of two classes, few logos."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    with h5py.File(folder / "my.h5", "w") as file:
        for name, count in (("train", 2000), ("valid", 200), ("test", 200)):
            file[f"{name}/codes"] = rng.integers(0, 4, (count, 60)).astype(np.uint8)
            file[f"{name}/labels"] = (rng.random((count, 2)) < 0.5).astype(np.uint8)
        file.attrs["classes"] = json.dumps(["one", "other"])


def live_on(options: argparse.Namespace, root: Path, live: Life, seconds: float) -> None:
    """Live as many lives as the kills need, print the table of all in the log, and exit.

    Args:
        options: of `parse`.
        root: where the lives' folders are made.
        live: lives one life in a new folder, with at most so many kills.
        seconds: of the processor that an undisturbed life takes.
    """
    log = options.log or root / "log.jsonl"
    done = [one for one in _read(log) if one["seed"] == options.seed]
    count = sum(len(one["kills"]) for one in done)
    number = len(done)
    while count < options.kills:
        folder = root / f"life{options.seed}.{number}"
        rng = random.Random(f"{options.seed}.{number}")
        kills, wrong = live(folder, min(options.in_a_row, options.kills - count), rng)
        if wrong and options.keep:
            shutil.copytree(folder, options.keep / folder.name, dirs_exist_ok=True)
        shutil.rmtree(folder)
        line = {"seed": options.seed, "life": number, "kills": kills, "wrong": wrong}
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        number += 1
        count += len(kills)
        print(f"{count} kills, {number} lives{', wrong' if wrong else ''}", file=sys.stderr)
    lives = _read(log)
    wrong = [f"life {one['seed']}.{one['life']}: {text}" for one in lives for text in one["wrong"]]
    print(table([Kill(*kill) for one in lives for kill in one["kills"]]))
    print(f"{len(lives)} lives of {seconds:.1f} s of the processor undisturbed, {len(wrong)} wrong")
    for text in wrong:
        print(text)
    sys.exit(bool(wrong))


def _read(log: Path) -> list[dict[str, Any]]:
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def query(folder: Path, text: str) -> list[Any]:
    """Ask the store of a folder."""
    connection = sqlite3.connect(f"file:{folder / 'mlflow.db'}?mode=ro", uri=True)
    try:
        return connection.execute(text).fetchall()
    finally:
        connection.close()


def check_store(folder: Path, finished: int) -> list[str]:
    """Return what is wrong after `sync`: runs by status, the store, files that are left."""
    command = [sys.executable, "-m", "mlproject", "sync"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    wrong = [f"sync: {done.stderr}"] if done.returncode else []
    states = Counter(str(row[0]) for row in query(folder, "SELECT status FROM runs"))
    if states["FINISHED"] != finished or set(states) - {"FINISHED", "KILLED"}:
        wrong.append(f"runs are {dict(states)}")
    if query(folder, "PRAGMA integrity_check") != [("ok",)]:
        wrong.append("the store is damaged")
    partial = [str(path.relative_to(folder)) for path in folder.rglob("*.partial")]
    waiting = [str(path.relative_to(folder)) for path in folder.glob("runs/*")]
    return wrong + [f"left: {', '.join(found)}" for found in (partial, waiting) if found]


def differences(found: Left, wanted: Left) -> list[str]:
    """Return how weights and metrics differ from those of the undisturbed run."""
    wrong = []
    if found.weights.keys() != wanted.weights.keys() or not all(
        np.array_equal(found.weights[name], wanted.weights[name]) for name in wanted.weights
    ):
        wrong.append("other weights")
    for name in found.metrics.keys() | wanted.metrics.keys():
        one, other = found.metrics.get(name), wanted.metrics.get(name)
        if one is None or other is None:
            wrong.append(f"metric {name}: {one} instead of {other}")
        elif [step for step, _ in one] != [step for step, _ in other]:
            wrong.append(f"metric {name} at steps {[step for step, _ in one]}")
        elif one != other and not name.startswith("time/"):
            wrong.append(f"metric {name}: {one} instead of {other}")
    return wrong


def left_by(folder: Path, run_id: str) -> Left:
    """Read weights and metrics of a finished run of a folder."""
    rows = query(
        folder,
        f"SELECT key, step, value FROM metrics WHERE run_uuid = '{run_id}' ORDER BY key, step",
    )
    metrics: dict[str, list[tuple[int, float]]] = {}
    for key, step, value in rows:
        metrics.setdefault(key, []).append((step, value))
    weights: dict[str, np.ndarray] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            weights[name] = item[()]

    ((uri,),) = query(folder, f"SELECT artifact_uri FROM runs WHERE run_uuid = '{run_id}'")
    path = folder / str(uri).removeprefix("file://") / "weights" / "best.weights.h5"
    with h5py.File(path) as file:
        file.visititems(visit)
    return Left(weights, metrics)


def table(kills: list[Kill]) -> str:
    """Return kills by stage and signal, and the longest time that a process took to end."""
    names = [number.name for number in SIGNALS]
    lines = [
        "| stage | " + " | ".join(names) + " | longest end, s of the processor |",
        "|---|" + "---|" * 4,
    ]
    for stage in [*sorted({one.stage for one in kills}), "all"]:
        own = [one for one in kills if stage in (one.stage, "all")]
        counts = [sum(one.number == number for one in own) for number in SIGNALS]
        longest = max((one.seconds for one in own), default=0.0)
        lines.append(f"| {stage} | " + " | ".join(map(str, counts)) + f" | {longest:.1f} |")
    return "\n".join(lines)
