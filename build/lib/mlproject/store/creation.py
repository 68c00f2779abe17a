"""Make a SQLite store atomically, by one process at a time."""

import os
import secrets
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from mlproject.system.errors import UserError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

WAIT_SECONDS = 900.0
QUIET_SECONDS = 2.0
POLL_SECONDS = 0.1
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
    with locked(path.with_name(f".{path.name}.lock")):
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


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` and remove it afterwards; a killed process releases its lock.

    On a file system without locks, nothing is locked.

    Raises:
        UserError: another process holds it for `WAIT_SECONDS`.
        OSError: the folder cannot be written.
    """
    until = time.monotonic() + WAIT_SECONDS
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if (taken := _take(file)) is None:
                os.close(file)
                path.unlink(missing_ok=True)
                yield
                return
            if taken and _is_file_of(file, path):
                break
        except BaseException:
            with suppress(OSError):
                os.close(file)
            raise
        os.close(file)
        if time.monotonic() > until:
            raise UserError(
                f"one process at a time makes a tracking store: another holds {path} for "
                f"{WAIT_SECONDS:.0f} s; wait for it or stop it"
            )
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        if sys.platform == "win32":  # an open file cannot be removed there
            os.close(file)
            with suppress(OSError):
                path.unlink(missing_ok=True)
        else:
            path.unlink(missing_ok=True)
            os.close(file)


def _take(file: int) -> bool | None:
    """Return whether this process obtained the lock, None if the file system has no locks."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def _is_file_of(file: int, path: Path) -> bool:
    """Return whether an open file still has its name: the last holder may have removed it."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


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
