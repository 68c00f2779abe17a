"""A worker at its memory limit: its nanny restarts it, nothing hangs, the reason is recorded."""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import PATIENCE, TINY
from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT
from sweep_processes import SWEEP, cells_of, parents_of, write_plan

from mlproject.store import connect

ENOUGH_TO_START = 450e6


@pytest.mark.slow
def test_a_cell_beyond_the_memory_of_a_worker_fails_with_the_reason_and_nothing_hangs(
    workplace: Path,
) -> None:
    plan = write_plan(workplace, "large", base={**TINY, "epochs": 2})
    share = ENOUGH_TO_START / (MEMORY_LIMIT / CPU_COUNT)
    environment = {
        **os.environ,
        "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": str(share),
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
    }
    command = [*SWEEP, str(plan), "--workers", "1"]
    done = subprocess.run(
        [*command, "--retries", "0"],
        check=False,
        capture_output=True,
        text=True,
        cwd=workplace,
        env=environment,
        timeout=PATIENCE,
    )
    assert done.returncode == 1, done.stderr
    assert "its worker was lost 2 times; a worker with " in done.stderr
    assert "restarted at its memory limit: with a smaller --workers each has more" in done.stderr
    store = connect()
    assert all(run.info.status == "KILLED" for run in cells_of(store))
    [parent] = parents_of(store, "large")
    assert parent.info.status == "FAILED"
    assert "memory limit" in parent.data.tags["mlflow.note.content"]
    assert subprocess.run(command, check=False, cwd=workplace, timeout=PATIENCE).returncode == 0
    finished = [run for run in cells_of(store) if run.info.status != "KILLED"]
    assert [run.info.status for run in finished] == ["FINISHED"]
