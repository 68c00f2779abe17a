"""Two drivers that share nothing but the tracking server, on one plan at the same time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from conftest import PATIENCE, TINY
from tracking_server import free_port, kill, serve

from mlproject.store import connect
from mlproject.store.liveness import find_runs

ROOT = Path(__file__).resolve().parents[1]
EPOCHS = 60

pytestmark = pytest.mark.slow


@pytest.fixture
def drivers() -> Iterator[list[subprocess.Popen[str]]]:
    """Drivers that a test starts; what is left of them and of their workers is killed."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for driver in started:
        if driver.poll() is None:
            for child in psutil.Process(driver.pid).children(recursive=True):
                child.kill()
            driver.kill()
        driver.communicate()


def wait_for(found: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := found():
            return value
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


def worker(driver: subprocess.Popen[str], port: int | None = None) -> psutil.Process | None:
    """Return the worker of a driver once it has loaded Keras, or holds a connection to a port."""
    for one in psutil.Process(driver.pid).children(recursive=True):
        if "spawn_main" not in " ".join(one.cmdline()):
            continue
        if port is None:
            ready = any("libtensorflow" in part.path for part in one.memory_maps())
        else:
            ready = any(c.raddr and c.raddr.port == port for c in one.net_connections("tcp"))
        if ready:
            return one
    return None


def test_of_two_runs_of_a_cell_the_younger_ends_itself_within_an_epoch(
    workplace: Path, drivers: list[subprocess.Popen[str]]
) -> None:
    port = free_port()
    server = serve(workplace, port)
    uri = f"http://127.0.0.1:{port}"
    try:
        for name in ("one", "other"):
            home = workplace / name
            home.mkdir()
            plan = home / "same.yaml"
            plan.write_text(yaml.safe_dump({"base": {**TINY, "epochs": EPOCHS, "patience": 0}}))
            command = [sys.executable, str(ROOT / "src"), "sweep", str(plan), "--workers", "1"]
            command += ["--backend", "tensorflow"]
            drivers.append(
                subprocess.Popen(
                    command,
                    cwd=home,
                    env={**os.environ, "MLFLOW_TRACKING_URI": uri},
                    text=True,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
            )
        workers = []
        for driver in drivers:  # each waits where it has not asked the server for the cell
            loaded = wait_for(partial(worker, driver))
            loaded.suspend()
            workers.append(loaded)
        os.killpg(server.pid, signal.SIGSTOP)
        for one in workers:
            one.resume()
        for driver in drivers:
            wait_for(partial(worker, driver, port))
        os.killpg(server.pid, signal.SIGCONT)
        told = [driver.communicate(timeout=PATIENCE) for driver in drivers]
        assert [driver.returncode for driver in drivers] == [0, 0], told
        runs = find_runs(connect(uri), "0", spec_sha256="")
    finally:
        kill(server)
    assert all("1 of 1 done" in out for out, _ in told)
    finished = [run for run in runs if run.info.status == "FINISHED"]
    assert len(finished) == 1
    [younger] = [run for run in runs if run not in finished]
    assert younger.info.status == "KILLED"
    assert f"an older run: {finished[0].info.run_id}" in younger.data.tags["mlproject.failure"]
    assert younger.data.tags["mlproject.resumed_by"] == finished[0].info.run_id
    with_epochs = connect(f"sqlite:///{workplace}/mlflow.db").client
    assert len(with_epochs.get_metric_history(younger.info.run_id, "val_loss")) == 1
    assert len(with_epochs.get_metric_history(finished[0].info.run_id, "val_loss")) == EPOCHS
