"""The address of the tracking store, checked before MLflow uses it."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import mlflow.environment_variables

from mlproject.system.errors import UserError
from mlproject.system.masking import mask

HOSTED = ("databricks", "databricks-uc", "uc", "arn")  # MLflow says what these need
EXAMPLES = "such as http://host:5000 or sqlite:////folder/mlflow.db"

_MISREAD = re.compile(r"\?|%[0-9A-Fa-f]{2}")


def store_address() -> str:
    """Return ``MLFLOW_TRACKING_URI``, else the address of ``mlflow.db`` in this folder."""
    return _of_environment() or f"sqlite:///{Path.cwd() / 'mlflow.db'}"


def check_address(uri: str | None = None) -> None:
    """Raise a `UserError` if no server or database is at an address, whatever answers there.

    Args:
        uri: the address. Default: that of the environment. MLflow would take an old file store in
            this folder instead of `store_address`, so it is refused.
    """
    uri = uri or _of_environment()
    if uri is None:
        old = sorted(Path.cwd().glob("mlruns/*/meta.yaml"))
        if old:
            raise _file_store(str(old[0].parent.parent))
        return
    scheme = uri.partition(":")[0]
    if uri in ("sqlite://", "sqlite:///", "sqlite:///:memory:"):
        raise UserError(
            f"the store must outlive the process: got {uri}, a database in memory; set "
            f"MLFLOW_TRACKING_URI to an address {EXAMPLES}"
        )
    if scheme in HOSTED or (scheme != "file" and "://" in uri):
        try:
            urlsplit(uri)
        except ValueError as error:
            raise _no_address(uri, f" ({error})") from error
        return
    if scheme == "file" or Path(uri).is_dir() or _looks_like_folder(uri):
        raise _file_store(uri)
    raise _no_address(uri)


def check_folder(*folders: Path) -> None:
    """Raise a `UserError` for a folder that MLflow and SQLAlchemy take for another one.

    They read ``%20`` in the address of a local store as a space, and end its path at a ``?``.
    """
    for folder in folders:
        if found := _MISREAD.search(str(folder)):
            raise UserError(
                f"the path of a folder with a store must not contain {found[0]}, which MLflow "
                f"reads as another path: got {folder}; rename the folder"
            )


def check_variables() -> None:
    """Raise a `UserError` if a variable of MLflow's environment has a value of the wrong type."""
    for one in vars(mlflow.environment_variables).values():
        if isinstance(one, mlflow.environment_variables._EnvironmentVariable) and one.is_set():
            try:
                one.get()
            except ValueError as error:
                raise UserError(
                    f"`{one.name}` must have a value that MLflow can read: got "
                    f"{mask(str(one.get_raw()))[:60]!r}; correct or unset it"
                ) from error


def _of_environment() -> str | None:
    return os.environ.get("MLFLOW_TRACKING_URI", "").strip() or None


def _looks_like_folder(uri: str) -> bool:
    return ("/" in uri or "\\" in uri) and not uri.startswith("http") and not uri.endswith(".db")


def _file_store(path: str) -> UserError:
    return UserError(
        "the store must be a database or a server, MLflow 3 no longer reads file stores: "
        f"found {path}; run `mlflow migrate-filestore --source {path} "
        "--target sqlite:///mlflow.db` and move the folder away, or set MLFLOW_TRACKING_URI"
    )


def _no_address(uri: str, why: str = "") -> UserError:
    return UserError(
        f"`MLFLOW_TRACKING_URI` must be the address of a server or a database, {EXAMPLES}: got "
        f"{mask(uri)}{why}"
    )
