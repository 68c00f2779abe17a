"""PostgreSQL as the backend store: a run, a sweep, a report. Skipped where it is not installed."""

import getpass
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tracking_server import free_port

from mlproject.store import connect

pytestmark = pytest.mark.slow

TINY = ["--sequences", "300", "--filters1", "4", "--filters2", "4", "--units", "8", "--epochs", "1"]
PLAN = """
base: {sequences: 300, filters1: 4, filters2: 4, units: 8, epochs: 1}
axes:
  seed: [0, 1]
"""


def _binary(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


def _user() -> str:
    """Return who may run PostgreSQL, which refuses root."""
    if os.getuid() != 0:
        return getpass.getuser()
    known = {one.pw_name for one in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


@pytest.fixture
def database() -> Iterator[str]:
    """The address of an empty database of a server that is there for one test."""
    pytest.importorskip("psycopg")
    initdb, postgres = _binary("initdb"), _binary("postgres")
    if initdb is None or postgres is None:
        pytest.skip("PostgreSQL is not installed")
    folder, user, port = Path(tempfile.mkdtemp()), _user(), free_port()
    shutil.chown(folder, user)
    options: dict[str, Any] = {"user": user} if os.getuid() == 0 else {}
    subprocess.run(
        [initdb, "-D", str(folder / "data"), "-U", "ada", "-A", "trust", "-E", "UTF8"],
        check=True, stdout=subprocess.DEVNULL, cwd=folder, **options,
    )  # fmt: skip
    server = subprocess.Popen(
        [postgres, "-D", str(folder / "data"), "-p", str(port), "-k", str(folder)],
        stderr=subprocess.DEVNULL, cwd=folder, **options,
    )  # fmt: skip
    try:
        ready, address = _binary("pg_isready"), ["-h", "127.0.0.1", "-p", str(port), "-U", "ada"]
        assert ready
        for _ in range(120):
            if subprocess.run([ready, *address, "-t", "2", "-q"], check=False).returncode == 0:
                break
        else:
            raise AssertionError("the server did not start")
        yield f"postgresql://ada:secret-word@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)  # SIGTERM would wait for clients to leave
        server.wait()
        shutil.rmtree(folder)


def test_run_sweep_and_report_with_postgresql(tmp_path: Path, database: str) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN)
    environment = {**os.environ, "MLFLOW_TRACKING_URI": database}

    def do(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mlproject", *arguments], cwd=tmp_path, env=environment,
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "secret-word" not in done.stdout + done.stderr
        return done.stdout

    first = [
        subprocess.Popen(
            [sys.executable, "-m", "mlproject", "check"], cwd=tmp_path, env=environment
        )
        for _ in range(3)
    ]
    assert [process.wait() for process in first] == [0, 0, 0]
    do("train", *TINY, "--seed", "7", "--quiet")
    do("sweep", "plan.yaml", "--workers", "2", "--quiet")
    do("report", "--no-figures", "--no-record")
    client = connect(database).client
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    assert [run.info.status for run in runs] == ["FINISHED"] * 4
    assert sum("test_auroc" in run.data.metrics for run in runs) == 3
    assert not list((tmp_path / "runs").glob("*/journal.jsonl"))
    assert "secret-word" not in (tmp_path / "report" / "report.html").read_text()
