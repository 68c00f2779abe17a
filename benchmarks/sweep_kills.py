"""Kill a small sweep at random moments until it is done, and look at what is left.

A life begins in a folder with nothing but a data set and a plan: four cells, of which two can take
the weights of the others. The driver or one of its two workers is hit by SIGKILL, SIGTERM or
SIGINT, some times in a life; the time between two signals is chosen evenly up to the processor time
of the whole undisturbed sweep. When the driver has ended before all is done, the same command is
given again at once, while workers of the one before may still be there. What must hold afterwards:

- every cell is FINISHED exactly once, with the weights and metrics of the undisturbed sweep, each
  metric point once; the parent run is FINISHED;
- after `sync` no run is RUNNING, no record of a run waits in `runs`, no half-written file is left;
- workers end by themselves when their driver is killed, and a driver that SIGTERM or SIGINT has met
  ends within 20 s of the processor, its workers' time included; nothing leaves a traceback.

python benchmarks/sweep_kills.py [--kills 50] [--in-a-row 4] [--seed 0] [--backend jax]
    [--keep FOLDER] [--log FILE]
"""

import json
import random
import signal
import sqlite3
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
from killing import (
    OPTIONS,
    PATIENCE,
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

CELLS = 4
MOST_SECONDS = 20.0
PLAN = {"base": OPTIONS, "axes": {"seed": [0, 1], "threshold": [0.5, 0.6]}}


class Tree:
    """A driver under way with all that it has started.

    Attributes:
        driver: the process.
        seen: all its descendants so far.
    """

    def __init__(self, folder: Path, backend: str, workers: int = 2) -> None:
        command = [sys.executable, "-m", "mlproject", "sweep", "plan.yaml"]
        self.errors = folder / "stderr.txt"
        with self.errors.open("w", encoding="utf-8") as sink:
            self.driver = psutil.Popen(
                [*command, "--workers", str(workers), "--backend", backend, "--quiet"],
                cwd=folder,
                stderr=sink,
                stdout=sink,
            )
        self.seen: set[psutil.Process] = set()
        self._seconds = 0.0

    def seconds(self) -> float:
        """Return the seconds of the processor that all of them have used, as far as was seen."""
        with suppress(psutil.Error):
            below = self.driver.children(recursive=True)
            self.seen |= set(below)
            used = sum(self.driver.cpu_times()[:4])  # with those of children that have ended
            for process in below:
                with suppress(psutil.Error):
                    used += sum(process.cpu_times()[:4])
            self._seconds = max(self._seconds, used)
        return self._seconds

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes that are there."""
        found = []
        for process in sorted(self.seen, key=lambda one: one.pid):
            with suppress(psutil.Error):
                if any("spawn_main" in word for word in process.cmdline()):
                    found.append(process)
        return found


class Attempt:
    """One command, from its start to its end.

    Attributes:
        code: its exit status.
        kills: signals that met it.
        wrong: what is.
        seconds: of the processor that it and its workers took.
        tree: its processes.
    """

    def __init__(
        self, folder: Path, backend: str, rng: random.Random, gaps: list[float], first: float
    ) -> None:
        """Give the command and send signals.

        Args:
            folder: of the life.
            backend: Keras'.
            rng: for signals and whom they hit.
            gaps: the processor time before each signal that is still to come, since the one
                before; those that were sent are taken out.
            first: how much of the first gap has passed in earlier commands.
        """
        self.kills: list[Kill] = []
        self.wrong: list[str] = []
        self.rest = first
        self.tree = Tree(folder, backend)
        asked: tuple[str, int, float] | None = None
        last, until = 0.0, time.monotonic() + PATIENCE
        while self.tree.driver.poll() is None:
            used = self.tree.seconds()
            if gaps and self.rest + used - last >= gaps[0]:
                gaps.pop(0)
                self.rest, last = 0.0, used
                victim = rng.choice(["driver", "worker"])
                workers = self.tree.workers()
                number = rng.choice(SIGNALS)
                process = rng.choice(workers) if victim == "worker" and workers else None
                stage = stage_of(folder, workers)
                if process is not None:
                    with suppress(psutil.NoSuchProcess):
                        process.send_signal(number)
                        self.kills.append(Kill(f"worker, {stage}", number, 0.0))
                elif asked is None:
                    asked = (f"driver, {stage}", number, used)
                    self.tree.driver.send_signal(number)
            if time.monotonic() > until:
                self.wrong.append(f"it hangs: {self.error[-1000:]}")
                for one in [self.tree.driver, *self.tree.seen]:
                    with suppress(psutil.NoSuchProcess):
                        one.kill()
            time.sleep(0.1)
        self.code = self.tree.driver.wait()
        self.seconds = self.tree.seconds()
        self.rest += self.seconds - last
        if asked and self.code:
            kill = Kill(asked[0], asked[1], self.seconds - asked[2])
            self.kills.append(kill)
            if kill.seconds > MOST_SECONDS:
                self.wrong.append(f"{self.name(kill)}: {kill.seconds:.1f} s of the processor")
        elif self.code and not self.kills:
            self.wrong.append(f"undisturbed it ended with {self.code}: {self.error[-1000:]}")
        if "Traceback" in self.error:
            names = ", ".join(map(self.name, self.kills))
            self.wrong.append(f"a traceback after {names}: {self.error[-2000:]}")

    @staticmethod
    def name(kill: Kill) -> str:
        """Return a kill in words."""
        return f"{signal.Signals(kill.number).name} to {kill.stage}"

    @property
    def error(self) -> str:
        """What the command has printed."""
        return self.tree.errors.read_text(encoding="utf-8", errors="replace")


def main() -> None:
    """Live as many lives as the kills need, and print the table."""
    options = parse(__doc__, kills=50)
    with workplace() as root:
        for first in (True, False):  # the first fills JAX's cache of compiled programs
            whole = root / ("first" if first else "whole")
            begin_sweep(whole)
            took = Attempt(whole, options.backend, random.Random(0), [], 0.0)
            if took.code or took.wrong or len(cells(whole)) != CELLS:
                sys.exit(f"the undisturbed sweep failed: {took.wrong} {took.error}")
        wanted = cells(whole)

        def life(folder: Path, kills: int, rng: random.Random) -> tuple[list[Kill], list[str]]:
            gaps = [rng.uniform(0, took.seconds) for _ in range(kills)]
            return live(folder, options.backend, gaps, rng, wanted)

        live_on(options, root, life, took.seconds)


def begin_sweep(folder: Path) -> None:
    """Make the folder of a life with a data set and a plan."""
    begin(folder)
    (folder / "plan.yaml").write_text(json.dumps(PLAN), encoding="utf-8")


def live(
    folder: Path, backend: str, gaps: list[float], rng: random.Random, wanted: dict[str, Left]
) -> tuple[list[Kill], list[str]]:
    """Live one life in `folder`; return the kills that met a process, and what was wrong."""
    begin_sweep(folder)
    kills: list[Kill] = []
    wrong: list[str] = []
    trees: list[Tree] = []
    rest = 0.0
    while True:
        attempt = Attempt(folder, backend, rng, gaps, rest)
        rest = attempt.rest
        kills += attempt.kills
        wrong += attempt.wrong
        trees.append(attempt.tree)
        if attempt.code == 0 or not attempt.kills:
            break
    left = [process for tree in trees for process in tree.seen]
    _, alive = psutil.wait_procs(left, timeout=PATIENCE / 6)
    wrong += [f"process {one.pid} outlives its driver" for one in alive]
    return kills, wrong + compare(folder, wanted) if kills else wrong


def stage_of(folder: Path, workers: list[psutil.Process]) -> str:
    """Return how far a sweep is."""
    if not (folder / "mlflow.db").exists():
        return "before the store is made"
    if not workers:
        return "without workers"
    try:
        done = len(cells_done(folder))
    except sqlite3.Error:
        return "the store is being made"
    if not any(folder.glob("runs/*/artifacts/spec.json")):
        return "no cell runs" if done < CELLS else "all cells done"
    return "cells run"


def cells_done(folder: Path) -> list[tuple[str, str]]:
    """Return hash and id of the finished runs of cells."""
    return query(
        folder,
        "SELECT tags.value, runs.run_uuid FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid "
        "WHERE runs.status = 'FINISHED' AND tags.key = 'mlproject.spec_sha256'",
    )


def cells(folder: Path) -> dict[str, Left]:
    """Return what each finished cell has left, by its hash."""
    return {sha256: left_by(folder, run_id) for sha256, run_id in cells_done(folder)}


def compare(folder: Path, wanted: dict[str, Left]) -> list[str]:
    """Return what a life has left that it should not have, or not left that it should."""
    if wrong := check_store(folder, finished=CELLS + 1):
        return wrong
    found = cells(folder)
    if found.keys() != wanted.keys():
        return [f"{len(found)} cells are finished, not the {CELLS} of the plan"]
    return [text for name in found for text in differences(found[name], wanted[name])]


if __name__ == "__main__":
    main()
