"""Kill a small run at random moments of its whole life until it is done, and look at what is left.

A life begins in a folder with nothing but a data set, so that the making of the store counts. It
is cut off by SIGKILL, SIGTERM or SIGINT, some times in a row, at a moment chosen evenly over the
processor time that an undisturbed run takes, so that it does not matter what else the machine does;
then it is let go to its end. As a user would, it goes on from the newest run that has a state, else
it starts again. What must hold afterwards:

- one run is FINISHED, with the weights and metrics of the undisturbed run, each metric point once;
- after `sync` no run is RUNNING, no record of a run waits in `runs`, no half-written file is left;
- SIGTERM and SIGINT end the process within 10 s of the processor and leave no traceback.

python benchmarks/kills.py [--kills 200] [--in-a-row 4] [--seed 0] [--backend jax] [--keep FOLDER]
"""

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
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import psutil

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
MOST_SECONDS = 10.0
OPTIONS = {
    "dataset": "my.h5", "filters1": 3, "kernel1": 9, "pool1": 10, "filters2": 0, "units": 8,
    "epochs": 8, "batch_size": 50, "learning_rate": 0.01, "window": 9,
    "attributions": "saliency", "attributed": 4,
}  # fmt: skip


class Ended(NamedTuple):
    """How one process ended.

    Attributes:
        code: as `subprocess` has it.
        used: seconds of the processor that it used, as far as that was seen.
        number: the signal that met it, None if it had ended before.
        seconds: of the processor, from the signal to the end; without a signal from the start.
        stage: where the run was when the signal came.
        error: standard error.
    """

    code: int
    used: float
    number: int | None
    seconds: float
    stage: str
    error: str


class Left(NamedTuple):
    """What a finished life has left: weights by name, metric -> (step, value) points."""

    weights: dict[str, np.ndarray]
    metrics: dict[str, list[tuple[int, float]]]


def main() -> None:
    """Live as many lives as the kills need, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--in-a-row", type=int, default=4, help="kills of one life, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", default="jax", choices=("jax", "tensorflow"))
    parser.add_argument("--keep", type=Path, help="folder that keeps the lives that went wrong")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        root = Path(name)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(root / "jax")
        for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID"):
            os.environ.pop(variable, None)
        for first in (True, False):  # the first fills JAX's cache of compiled programs
            whole = root / ("first" if first else "whole")
            begin(whole)
            took = attempt(whole, options.backend, None, None)
            if took.code:
                sys.exit(f"the undisturbed run failed: {took.error}")
        wanted = left_by(whole)
        met: list[Ended] = []
        wrong: list[str] = []
        lives = 0
        while len(met) < options.kills:
            folder = root / f"life{lives}"
            begin(folder)
            count = min(options.in_a_row, options.kills - len(met))
            new, found = live(folder, options.backend, took.used, count, rng, wanted)
            met += new
            wrong += [f"life {lives}: {one}" for one in found]
            lives += 1
            print(f"{len(met)} kills, {lives} lives, {len(wrong)} wrong", file=sys.stderr)
            if found and options.keep:
                shutil.copytree(folder, options.keep / folder.name, dirs_exist_ok=True)
            shutil.rmtree(folder)
    print(table(met))
    print(f"{lives} lives of {took.used:.1f} s of the processor undisturbed, {len(wrong)} wrong")
    for line in wrong:
        print(line)
    sys.exit(bool(wrong))


def begin(folder: Path) -> None:
    """Make the folder of a life with a data set: random sequences of two classes, few logos."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    with h5py.File(folder / "my.h5", "w") as file:
        for name, count in (("train", 2000), ("valid", 200), ("test", 200)):
            file[f"{name}/codes"] = rng.integers(0, 4, (count, 60)).astype(np.uint8)
            file[f"{name}/labels"] = (rng.random((count, 2)) < 0.5).astype(np.uint8)
        file.attrs["classes"] = json.dumps(["one", "other"])


def live(
    folder: Path, backend: str, seconds: float, kills: int, rng: random.Random, wanted: Left
) -> tuple[list[Ended], list[str]]:
    """Live one life in `folder`; return the kills that met a process, and what was wrong."""
    met: list[Ended] = []
    wrong: list[str] = []
    done = False
    for number in range(kills + 1):
        last = number == kills
        kill = None if last else (rng.uniform(0, seconds), rng.choice(SIGNALS))
        for resume in [*candidates(folder), None]:
            ended = attempt(folder, backend, resume, kill)
            if ended.number is not None:
                met.append(ended)
                wrong += judge(ended)
            if ended.code == 2 and resume is not None and ended.number is None:
                continue  # no state: an earlier run may have one
            break
        if ended.number is None:
            if ended.code:
                wrong.append(f"a run that nobody disturbed ended with {ended.code}: {ended.error}")
            done = True
            break
    assert done
    return met, wrong + compare(folder, wanted)


def judge(ended: Ended) -> list[str]:
    """Return what is wrong with the end of a process that was asked to end."""
    name = signal.Signals(ended.number or 0).name
    wrong = []
    if "Traceback" in ended.error:
        wrong.append(f"{name} {ended.stage}: a traceback: {ended.error[-1000:]}")
    if ended.seconds > MOST_SECONDS:
        wrong.append(f"{name} {ended.stage}: {ended.seconds:.1f} s of the processor to end")
    return wrong


def attempt(
    folder: Path, backend: str, resume: str | None, kill: tuple[float, signal.Signals] | None
) -> Ended:
    """Start or resume the run; send a signal when it has used so many seconds of the processor."""
    fields = {"resume": resume} if resume else OPTIONS
    words = [word for name, value in fields.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "mlproject", "train", "--quiet", "--backend", backend]
    errors = folder / "stderr.txt"
    with errors.open("w", encoding="utf-8") as sink:
        process = subprocess.Popen(
            [*command, "--threads", "1", *words], cwd=folder, stderr=sink, stdout=sink
        )
        used, before, number, stage = 0.0, 0.0, None, ""
        while process.poll() is None:
            with suppress(psutil.Error):
                used = sum(psutil.Process(process.pid).cpu_times()[:2])
            if kill is not None and number is None and used >= kill[0]:
                number, stage, before = kill[1], stage_of(folder), used
                process.send_signal(number)
            time.sleep(0.01)
    seconds = used - before
    code = process.returncode
    met = number if number is not None and code != 0 else None
    return Ended(code, used, met, seconds, stage, errors.read_text(encoding="utf-8"))


def stage_of(folder: Path) -> str:
    """Return how far the newest run of a folder is."""
    journals = sorted(folder.glob("runs/*/journal.jsonl"), key=lambda path: path.stat().st_mtime)
    if not (folder / "mlflow.db").exists():
        return "before the store is made"
    if not journals:
        return "before the run is made, or at its end"
    text = journals[-1].read_text(encoding="utf-8", errors="replace")
    for mark, stage in (
        ('"status": "FINISHED"', "delivering the end"),
        ('"model.keras"', "card, delivery"),
        ("filters/conv1.meme", "attributions, model"),
        ("weights/best.weights.h5", "filters, Tomtom, logos, ablation"),
    ):
        if mark in text:
            return stage
    return "training, test"


def candidates(folder: Path) -> list[str]:
    """Return the runs that a user would try to resume, the newest first."""
    if not (folder / "mlflow.db").exists():
        return []
    try:
        rows = query(folder, "SELECT run_uuid FROM runs ORDER BY start_time DESC")
    except sqlite3.Error:
        return []  # half-made: the next command has to make it good
    return [str(row[0]) for row in rows]


def query(folder: Path, text: str) -> list[Any]:
    """Ask the store of a folder."""
    connection = sqlite3.connect(f"file:{folder / 'mlflow.db'}?mode=ro", uri=True)
    try:
        return connection.execute(text).fetchall()
    finally:
        connection.close()


def compare(folder: Path, wanted: Left) -> list[str]:
    """Return what a life has left that it should not have, or not left that it should."""
    command = [sys.executable, "-m", "mlproject", "sync"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    wrong = [f"sync: {done.stderr}"] if done.returncode else []
    states = Counter(str(row[0]) for row in query(folder, "SELECT status FROM runs"))
    if states["FINISHED"] != 1 or set(states) - {"FINISHED", "KILLED"}:
        wrong.append(f"runs are {dict(states)}")
    if query(folder, "PRAGMA integrity_check") != [("ok",)]:
        wrong.append("the store is damaged")
    partial = [str(path.relative_to(folder)) for path in folder.rglob("*.partial")]
    waiting = [str(path.relative_to(folder)) for path in folder.glob("runs/*")]
    wrong += [f"left: {', '.join(found)}" for found in (partial, waiting) if found]
    if states["FINISHED"] == 1:
        found = left_by(folder)
        wrong += differences(found, wanted)
    return wrong


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


def left_by(folder: Path) -> Left:
    """Read weights and metrics of the finished run of a folder."""
    ((run_id, uri),) = query(
        folder, "SELECT run_uuid, artifact_uri FROM runs WHERE status = 'FINISHED'"
    )
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

    path = folder / str(uri).removeprefix("file://") / "weights" / "best.weights.h5"
    with h5py.File(path) as file:
        file.visititems(visit)
    return Left(weights, metrics)


def table(met: list[Ended]) -> str:
    """Return kills by stage and signal, and the longest time that a process took to end."""
    names = [number.name for number in SIGNALS]
    lines = [
        "| stage | " + " | ".join(names) + " | longest end, s of the processor |",
        "|---|" + "---|" * 4,
    ]
    for stage in [*sorted({one.stage for one in met}), "all"]:
        own = [one for one in met if stage in (one.stage, "all")]
        counts = [sum(one.number == number for one in own) for number in SIGNALS]
        longest = max((one.seconds for one in own), default=0.0)
        lines.append(f"| {stage} | " + " | ".join(map(str, counts)) + f" | {longest:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
