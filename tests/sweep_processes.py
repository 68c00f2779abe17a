"""Sweeps as processes: start one, find its workers, wait for an event, kill what is left."""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml
from conftest import PATIENCE

from mlproject.store import Store
from mlproject.store.liveness import find_runs

ROOT = Path(__file__).resolve().parents[1]
SWEEP = [sys.executable, str(ROOT / "src"), "sweep"]

Processes = list[subprocess.Popen[str]]


def write_plan(folder: Path, name: str = "plan", **content: Any) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def start_sweep(plan: Path, started: Processes, *options: str, **popen: Any) -> Any:
    """Start a driver in the plan's folder and a new session, so that a test can send it Ctrl-C."""
    process = subprocess.Popen(
        [*SWEEP, str(plan), *options], text=True, cwd=plan.parent, start_new_session=True, **popen
    )
    started.append(process)
    return process


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and its descendants, nothing if it has ended."""
    try:
        return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def workers_of(pid: int) -> list[psutil.Process]:
    return [one for one in tree(pid) if "spawn_main" in " ".join(one.cmdline())]


def end_tree(pid: int) -> None:
    for one in tree(pid):
        with suppress(psutil.NoSuchProcess):
            one.kill()


def parents_of(store: Store, name: str) -> list[Any]:
    """Return the runs of a sweep in all experiments: it goes to that of its plan's name."""
    ids = [one.experiment_id for one in store.client.search_experiments()]
    return [run for one in ids for run in find_runs(store, one, sweep=name)]


def cells_of(store: Store, **tags: str) -> list[Any]:
    """Return the runs of the cells in all experiments: a plan's runs are in that of its name."""
    ids = [one.experiment_id for one in store.client.search_experiments()]
    return [run for one in ids for run in find_runs(store, one, spec_sha256="", **tags)]
