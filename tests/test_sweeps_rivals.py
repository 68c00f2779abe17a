"""Two drivers that share nothing but the tracking server, on one plan at the same time."""

import os
import signal
import subprocess
from functools import partial
from pathlib import Path

import psutil
import pytest
from conftest import PATIENCE, TINY
from sweep_processes import Processes, cells_of, start_sweep, wait_for, workers_of, write_plan
from tracking_server import free_port, kill, serve

from mlproject.store import connect

EPOCHS = 60

pytestmark = pytest.mark.slow


def worker(driver: subprocess.Popen[str], port: int | None = None) -> psutil.Process | None:
    """Return the worker of a driver once it has loaded Keras, or holds a connection to a port."""
    for one in workers_of(driver.pid):
        if port is None:
            ready = any("libtensorflow" in part.path for part in one.memory_maps())
        else:
            ready = any(c.raddr and c.raddr.port == port for c in one.net_connections("tcp"))
        if ready:
            return one
    return None


def test_of_two_runs_of_a_cell_the_younger_ends_itself_within_an_epoch(
    workplace: Path, started: Processes
) -> None:
    port = free_port()
    server = serve(workplace, port)
    uri = f"http://127.0.0.1:{port}"
    try:
        for name in ("one", "other"):
            home = workplace / name
            home.mkdir()
            plan = write_plan(home, "same", base={**TINY, "epochs": EPOCHS, "patience": 0})
            start_sweep(
                plan,
                started,
                *("--workers", "1", "--backend", "tensorflow"),
                env={**os.environ, "MLFLOW_TRACKING_URI": uri},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        workers = []
        for driver in started:  # each waits where it has not asked the server for the cell
            loaded = wait_for(partial(worker, driver))
            loaded.suspend()
            workers.append(loaded)
        os.killpg(server.pid, signal.SIGSTOP)
        for one in workers:
            one.resume()
        for driver in started:
            wait_for(partial(worker, driver, port))
        os.killpg(server.pid, signal.SIGCONT)
        printed = [driver.communicate(timeout=PATIENCE) for driver in started]
        assert [driver.returncode for driver in started] == [0, 0], printed
        runs = cells_of(connect(uri))
    finally:
        kill(server)
    assert all("1 of 1 done" in out for out, _ in printed)
    finished = [run for run in runs if run.info.status == "FINISHED"]
    assert len(finished) == 1
    [younger] = [run for run in runs if run not in finished]
    assert younger.info.status == "KILLED"
    assert f"an older run: {finished[0].info.run_id}" in younger.data.tags["mlproject.failure"]
    assert younger.data.tags["mlproject.resumed_by"] == finished[0].info.run_id
    with_epochs = connect(f"sqlite:///{workplace}/mlflow.db").client
    assert len(with_epochs.get_metric_history(younger.info.run_id, "val_loss")) == 1
    assert len(with_epochs.get_metric_history(finished[0].info.run_id, "val_loss")) == EPOCHS
