"""Kill a small run at random moments of its whole life until it is done, and look at what is left.

A life begins in a folder with nothing but a data set, so that the making of the store counts. It
is cut off by SIGKILL, SIGTERM or SIGINT, some times in a row, at a moment chosen evenly over the
processor time that an undisturbed run takes, so that it does not matter what else the machine does;
then it is let go to its end. As a user would, it goes on from the newest run that has a state, else
it starts again. What must hold afterwards:

- one run is FINISHED, with the weights and metrics of the undisturbed run, each metric point once;
- after `sync` no run is RUNNING, no record of a run waits in `runs`, no half-written file is left;
- SIGTERM and SIGINT end the process within 10 s of the processor and leave no traceback.

python benchmarks/kills.py [--kills 200] [--in-a-row 4] [--seed 0] [--backend jax]
    [--keep FOLDER] [--log FILE]
"""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil
from killing import (
    OPTIONS,
    SIGNALS,
    Kill,
    Left,
    begin,
    check_store,
    differences,
    left_by,
    live_on,
    parse,
    query,
    workplace,
)

MOST_SECONDS = 10.0


class Ended(NamedTuple):
    """How one process ended.

    Attributes:
        code: as `subprocess` has it.
        used: seconds of the processor that it used, as far as that was seen.
        kill: the signal that met it, None if it had ended before.
        error: standard error.
    """

    code: int
    used: float
    kill: Kill | None
    error: str


def main() -> None:
    """Live as many lives as the kills need, and print the table."""
    options = parse(__doc__, kills=200)
    with workplace() as root:
        for first in (True, False):  # the first fills JAX's cache of compiled programs
            whole = root / ("first" if first else "whole")
            begin(whole)
            took = attempt(whole, options.backend, None, None)
            if took.code:
                sys.exit(f"the undisturbed run failed: {took.error}")
        wanted = finished(whole)

        def life(folder: Path, kills: int, rng: random.Random) -> tuple[list[Kill], list[str]]:
            return live(folder, options.backend, took.used, kills, rng, wanted)

        live_on(options, root, life, took.used)


def live(
    folder: Path, backend: str, seconds: float, kills: int, rng: random.Random, wanted: Left
) -> tuple[list[Kill], list[str]]:
    """Live one life in `folder`; return the kills that met a process, and what was wrong."""
    begin(folder)
    met: list[Kill] = []
    wrong: list[str] = []
    for number in range(kills + 1):
        kill = (rng.uniform(0, seconds), rng.choice(SIGNALS)) if number < kills else None
        for resume in [*candidates(folder), None]:
            ended = attempt(folder, backend, resume, kill)
            if ended.kill is not None:
                met.append(ended.kill)
                wrong += judge(ended.kill, ended.error)
            if ended.code == 2 and resume is not None and ended.kill is None:
                continue  # no state that can be used: an earlier run may have one
            break
        if ended.kill is None and ended.code:
            wrong.append(f"a run that nobody disturbed ended with {ended.code}: {ended.error}")
        if ended.kill is None or "FINISHED" in states(folder).values():
            break
    return met, wrong + compare(folder, wanted) if met else wrong


def judge(kill: Kill, error: str) -> list[str]:
    """Return what is wrong with the end of a process that was asked to end."""
    name = f"{signal.Signals(kill.number).name} {kill.stage}"
    wrong = []
    if "Traceback" in error:
        wrong.append(f"{name}: a traceback: {error[-1000:]}")
    if kill.seconds > MOST_SECONDS:
        wrong.append(f"{name}: {kill.seconds:.1f} s of the processor to end")
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
    code = process.returncode
    met = Kill(stage, number, used - before) if number is not None and code != 0 else None
    return Ended(code, used, met, errors.read_text(encoding="utf-8"))


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
    """Return the runs that a user would try to resume, the newest first: they left a state."""
    left = [folder / "runs" / run_id for run_id in states(folder)]
    return [
        one.name
        for one in left
        if any(one.glob("artifacts/state/*.h5"))
        or (
            (one / "journal.jsonl").exists() and '"FINISHED"' in (one / "journal.jsonl").read_text()
        )
    ]


def states(folder: Path) -> dict[str, str]:
    """Return the status of each run in the store of a folder, the newest first."""
    if not (folder / "mlflow.db").exists():
        return {}
    try:
        return dict(query(folder, "SELECT run_uuid, status FROM runs ORDER BY start_time DESC"))
    except sqlite3.Error:
        return {}  # half-made: the next command has to make it good


def compare(folder: Path, wanted: Left) -> list[str]:
    """Return what a life has left that it should not have, or not left that it should."""
    if wrong := check_store(folder, finished=1):
        return wrong
    return differences(finished(folder), wanted)


def finished(folder: Path) -> Left:
    """Return what the one finished run of a folder has left."""
    ((run_id,),) = query(folder, "SELECT run_uuid FROM runs WHERE status = 'FINISHED'")
    return left_by(folder, run_id)


if __name__ == "__main__":
    main()
