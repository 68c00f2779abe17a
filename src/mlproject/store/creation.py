"""Make a SQLite store atomically, by one process at a time."""

import os
import secrets
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

import psutil
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from mlproject.system.locks import POLL_SECONDS, WAIT_SECONDS, locked

RULE = "makes a tracking store"
QUIET_SECONDS = 2.0
EMPTY = "experiments", "workspaces", "alembic_version"


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite store, None for other stores and for a store in memory."""
    if not uri.startswith("sqlite"):
        return None
    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        return None
    name = url.database or ""
    if url.get_backend_name() != "sqlite" or not name or name == ":memory:" or "uri" in url.query:
        return None
    return Path(os.path.realpath(name))


def make_sqlite_store(path: Path) -> None:
    """Make sure that `path` is a complete store; a store with content stays as it is.

    A new store is built under a temporary name and renamed when it is complete. An empty store that
    a killed process left half-made, MLflow's commands included, is completed. Several processes may
    call this at once.

    Raises:
        UserError: another process holds the lock for too long.
        sqlite3.Error: the file is not a database, or cannot be read.
        OSError: the folder cannot be written.
    """
    if is_complete(path) and not (_leftovers(path) and os.access(path.parent, os.W_OK)):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f".{path.name}.lock"), RULE):
        for one in _leftovers(path):
            one.unlink(missing_ok=True)
        if is_complete(path):
            return
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
        try:
            if path.exists():
                _wait_for_another_maker(path)
                if is_complete(path) or not is_empty(path):
                    return  # completed meanwhile; or MLflow reports another version
                _build(temporary)
                with closing(sqlite3.connect(temporary)) as new, closing(_opened(path)) as old:
                    new.backup(old)
            else:
                _build(temporary)
                _publish(temporary, path)
        finally:
            for end in ("", "-journal", "-wal", "-shm"):
                Path(f"{temporary}{end}").unlink(missing_ok=True)


def is_complete(path: Path) -> bool:
    """Return whether a store is complete: it has all tables and its first experiment."""
    from mlflow.store.db.base_sql_model import Base
    from mlflow.store.tracking import sqlalchemy_store  # noqa: F401, it declares the tables

    if not path.exists():
        return False
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", timeout=60, uri=True)) as database:
        tables = _tables(database)
        if not {*Base.metadata.tables, "alembic_version"} <= tables:
            return False
        query = "SELECT EXISTS (SELECT 1 FROM alembic_version), EXISTS (SELECT 1 FROM experiments)"
        return database.execute(query).fetchone() == (1, 1)


def is_empty(path: Path) -> bool:
    """Return whether a store has no content, so that it can be made again without loss."""
    with closing(_opened(path)) as database:
        tables = _tables(database)
        for table in tables - {*EMPTY}:
            quoted = table.replace('"', '""')
            if database.execute(f'SELECT EXISTS (SELECT 1 FROM "{quoted}")').fetchone()[0]:
                return False
        if "experiments" in tables:
            others = "SELECT EXISTS (SELECT 1 FROM experiments WHERE name <> 'Default')"
            return not database.execute(others).fetchone()[0]
    return True


def _build(path: Path) -> None:
    """Make a complete store, with the artifacts in ``mlruns`` of the current folder."""
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(f"sqlite:///{path}", DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)
    store.engine.dispose()
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _publish(temporary: Path, path: Path) -> None:
    """Give a file its final name unless another file already has it."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        if not path.exists():
            os.replace(temporary, path)


def _wait_for_another_maker(path: Path) -> None:
    """Wait while another program, such as ``mlflow run`` or ``mlflow ui``, makes the store."""
    until, seen, since = time.monotonic() + WAIT_SECONDS, _marks(path), time.monotonic()
    while time.monotonic() < until:
        if is_complete(path):
            return
        if (now := _marks(path)) != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > QUIET_SECONDS and not _in_use(path):
            return
        time.sleep(POLL_SECONDS)


def _marks(path: Path) -> list[tuple[int, int]]:
    found = []
    for one in (path, Path(f"{path}-journal"), Path(f"{path}-wal")):
        with suppress(OSError):
            found.append((one.stat().st_mtime_ns, one.stat().st_size))
    return found


def _in_use(path: Path) -> bool:
    """Return whether another process of this user has the file open."""
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with suppress(psutil.Error, OSError):
            if any(Path(one.path) == path for one in process.open_files()):
                return True
    return False


def _opened(path: Path) -> sqlite3.Connection:
    """Open a database for writing, which rolls back the transaction of a killed writer."""
    database = sqlite3.connect(path, timeout=60, isolation_level=None)
    try:
        database.execute("BEGIN IMMEDIATE").execute("ROLLBACK")
    except BaseException:
        database.close()
        raise
    return database


def _tables(database: sqlite3.Connection) -> set[str]:
    rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {name for (name,) in rows if not name.startswith("sqlite_")}


def _leftovers(path: Path) -> list[Path]:
    return list(path.parent.glob(f".{path.name}.*.partial*"))
