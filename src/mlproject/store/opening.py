"""Find the tracking store, make it if it is a missing SQLite file, and open it."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import mlflow
import sqlalchemy

from mlproject.store.address import check_address, check_folder, check_variables, store_address
from mlproject.store.client import Store
from mlproject.store.creation import RULE, make_sqlite_store, sqlite_path
from mlproject.store.environment import use_store, without_store
from mlproject.store.errors import STORE_ERRORS, unwritable
from mlproject.store.runs import file_identity
from mlproject.system.errors import UserError
from mlproject.system.locks import locked
from mlproject.system.masking import mask

DATABASES = ("postgresql", "mysql", "mssql", "oracle", "sqlite")

_opened: dict[Path, tuple[int, int] | None] = {}

DRIVERS = {  # module of a database driver -> the package that contains it
    "psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient",
}  # fmt: skip


def connect(uri: str | None = None) -> Store:
    """Open the tracking store: `uri`, else ``MLFLOW_TRACKING_URI``, else SQLite in this folder.

    A missing SQLite store is made atomically; several processes may ask for it at once. MLflow uses
    the store from then on, also in child processes, see `mlproject.store.environment`.

    Raises:
        UserError: it is a file store, which MLflow 3 does not read, cannot be opened, needs a
            driver that is not installed, or a variable of MLflow has a wrong value.
    """
    check_address(uri)
    uri = uri or store_address()
    check_variables()
    try:
        use_store(uri)
        path = sqlite_path(uri)
        if not uri.startswith("http"):
            check_folder(Path.cwd(), *([path.parent] if path else []))
        if path is not None:
            make_sqlite_store(path)
        with _table_lock(uri):
            client = mlflow.MlflowClient()
            _forget_removed(client, path)
            client.search_experiments(max_results=1)
    except ImportError as error:
        driver = DRIVERS.get(error.name or "", error.name)
        raise UserError(
            f"the tracking store needs its driver: {mask(uri)} answers '{error}'; "
            f"`pip install '{driver}'` or set MLFLOW_TRACKING_URI"
        ) from error
    except UserError:
        raise
    except (sqlite3.Error, ValueError, *STORE_ERRORS) as error:
        raise unwritable(uri, error) from error
    return Store(uri, client, path)


def find_store() -> Store | None:
    """Open the store that `connect` opens, None if that is a SQLite file that does not exist.

    Raises:
        UserError: see `connect`.
    """
    path = sqlite_path(store_address())
    return None if path is not None and not path.exists() else connect()


@contextmanager
def temporary_store() -> Iterator[Store]:
    """Open an empty store with an experiment ``runs``; it is removed afterwards."""
    with without_store(), tempfile.TemporaryDirectory() as folder:
        store = connect(f"sqlite:///{folder}/mlflow.db")
        store.client.create_experiment("runs", (Path(folder) / "artifacts").as_uri())
        yield store


@contextmanager
def _table_lock(uri: str) -> Iterator[None]:
    """Let one process of this computer at a time make the tables of a database server.

    An unreachable server is reported at once; MLflow would retry for more than a minute.
    """
    if uri.partition("://")[0].partition("+")[0] not in DATABASES or uri.startswith("sqlite"):
        yield
        return
    engine = sqlalchemy.create_engine(uri)
    try:
        engine.connect().close()
    finally:
        engine.dispose()
    name = sha256(uri.encode()).hexdigest()[:16]
    user = os.getuid() if hasattr(os, "getuid") else "all"
    with locked(Path(tempfile.gettempdir()) / f"mlproject-{user}-{name}.lock", RULE):
        yield


def _forget_removed(client: mlflow.MlflowClient, path: Path | None) -> None:
    """Close MLflow's connections to a file that was removed or replaced after it was opened."""
    if path is None:
        return
    now = file_identity(path)
    if _opened.get(path, now) != now:
        client._tracking_client.store.engine.dispose()
    _opened[path] = now
