"""What all of tracking rests on: MLflow as we use it, what can go wrong, the names of tags."""

import logging
import os

from mlflow.entities import Run, RunStatus
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from mlproject.errors import UserError

for _name, _value in {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}.items():
    os.environ.setdefault(_name, _value)

for _name in ("mlflow.store.db.utils", "alembic", "alembic.runtime.migration"):
    logging.getLogger(_name).setLevel(logging.WARNING)

SHA256 = "mlproject.artifact_sha256"  # path -> hash, of artifacts that are used again
PROCESS, HEARTBEAT, RESUMED_BY = (
    "mlproject.process",
    "mlproject.heartbeat",
    "mlproject.resumed_by",
)
STORE_ERRORS = (MlflowException, SQLAlchemyError, OSError)


def unwritable(uri: str, error: Exception) -> UserError:
    return UserError(
        f"the tracking store must be readable and writable: {uri} answers '{first_line(error)}'; "
        "free the place or set MLFLOW_TRACKING_URI"
    )


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, at most 300 characters."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def is_terminated(run: Run) -> bool:
    """Return whether a run has ended, well or not."""
    return bool(RunStatus.is_terminated(RunStatus.from_string(run.info.status)))
