"""Sweeps that are killed at any moment: with real processes, nothing mocked."""

import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from conftest import PATIENCE, TINY
from sweep_processes import (
    SWEEP,
    Processes,
    cells_of,
    parents_of,
    start_sweep,
    wait_for,
    workers_of,
    write_plan,
)

from mlproject.store import Store, connect

pytestmark = pytest.mark.slow


def more_cells_than(store: Store, count: int) -> bool:
    return len(cells_of(store)) > count


def assert_all_epochs(store: Store, run: Any, epochs: int) -> None:
    points = store.client.get_metric_history(run.info.run_id, "val_loss")
    assert sorted(point.step for point in points) == list(range(1, epochs + 1))


def test_eight_cells_killed_three_times_are_done_once_each(
    workplace: Path, started: Processes
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
        driver = start_sweep(plan, started, "--workers", "2")
        before = len(cells_of(store))
        wait_for(partial(more_cells_than, store, before))
        time.sleep(rng.uniform(0.0, 10.0))
        workers = workers_of(driver.pid)
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
        _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
        assert not alive, "workers outlive their driver"
    last = subprocess.run([*SWEEP, str(plan), "--workers", "2"], check=False)
    assert last.returncode == 0
    found = cells_of(store)
    finished = [run for run in found if run.info.status == "FINISHED"]
    assert len(finished) == 8
    assert len({run.data.tags["mlproject.spec_sha256"] for run in finished}) == 8
    assert {run.info.status for run in found} <= {"FINISHED", "KILLED"}
    parents = parents_of(store, "grid")
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
    assert len(cells_of(store)) == len(found)
    assert not list((workplace / "runs").glob("*/journal.jsonl"))


def test_ctrl_c_ends_cells_in_good_order_and_twice_at_once(
    workplace: Path, started: Processes
) -> None:
    plan = write_plan(
        workplace, "long", base={**TINY, "epochs": 5000, "patience": 0}, axes={"seed": [0, 1]}
    )
    store = connect()
    for interrupts in (1, 2):
        driver = start_sweep(plan, started, "--workers", "2")
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
        found = cells_of(store)
        assert {run.info.status for run in found} == {"KILLED"}
        assert all("mlproject.failure" in run.data.tags for run in found)
        assert parents_of(store, "long")[0].info.status == "KILLED"
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
        run.info.status == "RUNNING" and "val_loss" in run.data.metrics for run in cells_of(store)
    )


def test_a_killed_worker_of_a_cluster_loses_nothing_and_a_killed_driver_stops_its_cells(
    workplace: Path, started: Processes
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
    driver = start_sweep(plan, started, "--scheduler", address)
    wait_for(lambda: training(store) == 2)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    wait_for(lambda: not [run for run in cells_of(store) if run.info.status == "RUNNING"])
    reasons = {run.data.tags["mlproject.failure"] for run in cells_of(store)}
    assert all("the loss of its driver" in reason for reason in reasons)
    driver = start_sweep(plan, started, "--scheduler", address)
    wait_for(lambda: training(store) == 2)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert driver.wait(timeout=PATIENCE) == 0
    found = cells_of(store)
    finished = [run for run in found if run.info.status == "FINISHED"]
    assert len(finished) == len({run.data.tags["mlproject.spec_sha256"] for run in finished}) == 2
    assert {run.info.status for run in found} == {"FINISHED", "KILLED"}
    assert any(run.data.tags.get("mlproject.failure") == "its process was lost" for run in found)
    for run in finished:
        assert_all_epochs(store, run, epochs)
