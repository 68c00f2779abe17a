"""The SQLite store of a folder is made whole or not at all, whoever makes it."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy
from conftest import PATIENCE

from mlproject.store import connect
from mlproject.store.creation import is_complete, make_sqlite_store, sqlite_path
from mlproject.system.errors import UserError
from mlproject.system.locks import locked

WRITER = """
import sys
from pathlib import Path
from mlproject.store import connect
tracker = connect().start(f"writer {sys.argv[1]}", {}, Path("runs"), "new")
for step in range(1, 21):
    tracker.metrics({"loss": 1 / step}, step)
sys.exit(not tracker.finish("FINISHED"))
"""


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _initial_tables(path: Path) -> None:
    """Leave what a maker leaves that is killed before the first migration has been noted."""
    from mlflow.store.tracking.dbmodels.initial_models import Base

    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("ALTER TABLE metrics ADD COLUMN step BIGINT"))
    engine.dispose()


def test_makers_that_start_together_get_one_store_and_leave_nothing_else(
    tmp_path: Path,
) -> None:
    path = tmp_path / "new" / "mlflow.db"
    failed: list[BaseException] = []

    def make() -> None:
        try:
            make_sqlite_store(path)
            assert is_complete(path)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert _names(path.parent) == ["mlflow.db"]


def test_a_store_that_was_left_half_made_is_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mlflow.db"
    _initial_tables(path)
    (tmp_path / ".mlflow.db.00000000.partial").write_bytes(b"of a maker that was killed")
    (tmp_path / ".mlflow.db.lock").touch()
    assert not is_complete(path)
    make_sqlite_store(path)
    assert is_complete(path)
    assert _names(tmp_path) == ["mlflow.db"]


@pytest.mark.slow
@pytest.mark.parametrize("left", ["nothing", "no_version", "no_table", "no_experiment"])
def test_any_half_made_store_without_runs_is_made_good(
    tmp_path: Path, migrated_store: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mlflow.db"
    if left == "nothing":
        path.touch()
    else:
        shutil.copy(migrated_store, path)
        statement = {
            "no_version": "DELETE FROM alembic_version",
            "no_table": "DROP TABLE latest_metrics",
            "no_experiment": "DELETE FROM experiments",
        }[left]
        with closing(sqlite3.connect(path)) as database:
            database.execute(statement)
            database.commit()
    make_sqlite_store(path)
    assert is_complete(path)


def test_a_store_with_runs_is_never_made_anew(workplace: Path) -> None:
    run_id = connect().client.create_run("0").info.run_id
    path = workplace / "damaged.db"
    shutil.copy(workplace / "mlflow.db", path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM alembic_version")
        database.commit()
    with pytest.raises(UserError, match="mlflow db upgrade"):
        connect(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT run_uuid FROM runs").fetchall() == [(run_id,)]


def test_a_file_that_is_no_store_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but something of the user's\n" * 50)
    before = path.read_bytes()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    with pytest.raises(UserError, match=r"not a database.*move the file away"):
        connect(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_lock_whose_file_was_removed_by_its_last_holder_is_no_lock(tmp_path: Path) -> None:
    inside = []

    def hold(number: int) -> None:
        with locked(tmp_path / "lock", "tests"):
            inside.append(number)
            assert inside == [number]
            time.sleep(0.01)
            inside.remove(number)

    threads = [threading.Thread(target=hold, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside == []
    assert _names(tmp_path) == []


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("sqlite:///some/mlflow.db", "some/mlflow.db"),
        ("sqlite:////abs/mlflow.db", "/abs/mlflow.db"),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("postgresql://host/x", None),
        ("http://host", None),
    ],
)
def test_the_file_of_a_store_is_read_from_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, found: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sqlite_path(uri) == (None if found is None else Path(found).resolve())


@pytest.mark.slow
def test_a_maker_killed_at_any_moment_leaves_what_the_next_one_makes_good(
    tmp_path: Path,
) -> None:
    rng = random.Random(0)
    for number in range(10):
        folder = tmp_path / str(number)
        folder.mkdir()
        environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        command = [sys.executable, "-m", "mlproject", "check"]
        process = subprocess.Popen(command, cwd=folder, env=environment)
        until = time.monotonic() + PATIENCE
        while not list(folder.glob(".mlflow.db.*.partial")) and time.monotonic() < until:
            if process.poll() is not None:
                break
            time.sleep(0.02)
        time.sleep(rng.random() * 2)
        process.send_signal(rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
        process.wait()
        assert subprocess.run(command, cwd=folder, env=environment, check=False).returncode == 0
        assert _names(folder) == ["mlflow.db"]


@pytest.mark.slow
def test_eight_writers_on_a_new_store_lose_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(number)], cwd=tmp_path, env=environment)
        for number in range(8)
    ]
    assert [writer.wait() for writer in writers] == [0] * 8
    store = connect(environment["MLFLOW_TRACKING_URI"])
    client = store.client
    runs = client.search_runs([store.experiment("new")])
    assert sorted(run.info.run_name for run in runs) == [f"writer {n}" for n in range(8)]
    for run in runs:
        history = client.get_metric_history(run.info.run_id, "loss")
        assert run.info.status == "FINISHED"
        assert [point.step for point in history] == list(range(1, 21))
    assert _names(tmp_path / "runs") == []
