"""Sweeps that are killed at any moment: with real processes, nothing mocked."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from conftest import PATIENCE, TINY

from mlproject.store import Store, connect
from mlproject.store.liveness import find_runs

ROOT = Path(__file__).resolve().parents[1]
SWEEP = [sys.executable, str(ROOT / "src"), "sweep"]

pytestmark = pytest.mark.slow


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that a test starts; what is left of them is killed at its end."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        end_tree(process.pid)
        process.wait()


def end_tree(pid: int) -> None:
    """Kill a process and its descendants, if they are there."""
    try:
        tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for one in tree:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue


def write_plan(folder: Path, name: str, **content: Any) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def children_of(store: Store, experiment: str = "0") -> list[Any]:
    return find_runs(store, experiment, spec_sha256="")


def workers_of(pid: int) -> list[psutil.Process]:
    return [
        one
        for one in psutil.Process(pid).children(recursive=True)
        if "spawn_main" in " ".join(one.cmdline())
    ]


def wait_for(condition: Any, seconds: float = PATIENCE) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError("it did not happen in time")


def assert_all_epochs(store: Store, run: Any, epochs: int) -> None:
    points = store.client.get_metric_history(run.info.run_id, "val_loss")
    assert sorted(point.step for point in points) == list(range(1, epochs + 1))


def test_eight_cells_killed_three_times_are_done_once_each(
    workplace: Path, started: list[subprocess.Popen[str]]
) -> None:
    epochs = 6
    plan = write_plan(
        workplace,
        "grid",
        base={**TINY, "epochs": epochs, "pool2": 5},
        axes={"pool1": [5, 10], "seed": {"from": 0, "to": 3}},
    )
    rng = random.Random(8)
    store = connect()
    for _ in range(3):
        driver = subprocess.Popen([*SWEEP, str(plan), "--workers", "2"], text=True)
        started.append(driver)
        before = len(children_of(store))
        wait_for(lambda n=before: len(children_of(store)) > n)
        time.sleep(rng.uniform(0.0, 10.0))
        workers = workers_of(driver.pid)
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
        _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
        assert not alive, "workers outlive their driver"
    last = subprocess.run([*SWEEP, str(plan), "--workers", "2"], check=False)
    assert last.returncode == 0
    found = children_of(store)
    finished = [run for run in found if run.info.status == "FINISHED"]
    assert len(finished) == 8
    assert len({run.data.tags["mlproject.spec_sha256"] for run in finished}) == 8
    assert {run.info.status for run in found} <= {"FINISHED", "KILLED"}
    parents = find_runs(store, "0", sweep="grid")
    assert [run.info.status for run in parents] == ["FINISHED"]
    assert {run.data.tags["mlflow.parentRunId"] for run in found} == {parents[0].info.run_id}
    for run in finished:
        assert_all_epochs(store, run, epochs)
    resumed = [run for run in found if "mlproject.resumed_by" in run.data.tags]
    later = {run.info.run_id: run.data.tags["mlproject.resumed_by"] for run in resumed}
    for last_id in later.values():
        while last_id in later:
            last_id = later[last_id]  # noqa: PLW2901
        assert last_id in {run.info.run_id for run in finished}
    again = subprocess.run([*SWEEP, str(plan)], check=False, capture_output=True, text=True)
    assert again.returncode == 0
    assert len(children_of(store)) == len(found)
    assert not list((workplace / "runs").glob("*/journal.jsonl"))


def test_ctrl_c_ends_cells_in_good_order_and_twice_at_once(
    workplace: Path, started: list[subprocess.Popen[str]]
) -> None:
    plan = write_plan(
        workplace, "long", base={**TINY, "epochs": 5000, "patience": 0}, axes={"seed": [0, 1]}
    )
    store = connect()
    for interrupts in (1, 2):
        driver = subprocess.Popen(
            [*SWEEP, str(plan), "--workers", "2"], text=True, start_new_session=True
        )
        started.append(driver)
        wait_for(lambda: training(store) == 2)
        workers = workers_of(driver.pid)
        assert len(workers) == 2
        os.killpg(driver.pid, signal.SIGINT)  # as a terminal does: to the workers, too
        if interrupts == 2:
            time.sleep(1.2)
            if driver.poll() is None:
                os.killpg(driver.pid, signal.SIGINT)
        assert driver.wait(timeout=PATIENCE) == 1
        _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
        assert not alive
        found = children_of(store)
        assert {run.info.status for run in found} == {"KILLED"}
        assert all("mlproject.failure" in run.data.tags for run in found)
        assert find_runs(store, "0", sweep="long")[0].info.status == "KILLED"
    assert len(found) == 4
    resumed = [run for run in found if "mlproject.resumes" in run.data.tags]
    assert len(resumed) == 2
    first = [run for run in found if run not in resumed]
    assert {run.data.tags["mlproject.resumes"] for run in resumed} == {
        run.info.run_id for run in first
    }


def training(store: Store) -> int:
    """Return how many runs have gone through an epoch and are RUNNING."""
    return sum(
        run.info.status == "RUNNING" and "val_loss" in run.data.metrics
        for run in children_of(store)
    )


def test_a_killed_worker_of_a_cluster_loses_nothing_and_a_killed_driver_stops_its_cells(
    workplace: Path, started: list[subprocess.Popen[str]]
) -> None:
    address_file = workplace / "scheduler.json"

    def dask(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "dask", *arguments, "--scheduler-file", str(address_file)]
        process = subprocess.Popen(
            command, cwd="/", text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        started.append(process)
        return process

    dask("scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard", "--no-show")
    wait_for(lambda: address_file.exists() and address_file.read_text())
    address = yaml.safe_load(address_file.read_text())["address"]
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0")
    first, _ = (dask("worker", *options, "--name", name) for name in ("first", "second"))
    epochs = 40
    plan = write_plan(
        workplace, "cluster", base={**TINY, "epochs": epochs, "patience": 0}, axes={"seed": [0, 1]}
    )
    store = connect()
    sweep = [*SWEEP, str(plan), "--scheduler", address]
    driver = subprocess.Popen(sweep, text=True, start_new_session=True)
    started.append(driver)
    wait_for(lambda: training(store) == 2)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    wait_for(lambda: not [run for run in children_of(store) if run.info.status == "RUNNING"])
    reasons = {run.data.tags["mlproject.failure"] for run in children_of(store)}
    assert all("the loss of its driver" in reason for reason in reasons)
    driver = subprocess.Popen(sweep, text=True, start_new_session=True)
    started.append(driver)
    wait_for(lambda: training(store) == 2)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert driver.wait(timeout=PATIENCE) == 0
    found = children_of(store)
    finished = [run for run in found if run.info.status == "FINISHED"]
    assert len(finished) == len({run.data.tags["mlproject.spec_sha256"] for run in finished}) == 2
    assert {run.info.status for run in found} == {"FINISHED", "KILLED"}
    assert any(run.data.tags.get("mlproject.failure") == "its process was lost" for run in found)
    for run in finished:
        assert_all_epochs(store, run, epochs)
