"""MLflow's environment: the store writes ``MLFLOW_...`` variables in this module only.

It also quiets MLflow's loggers and keeps credentials out of them.
"""

import getpass
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import mlflow

from mlproject.system.errors import UserError
from mlproject.system.masking import mask

LONGEST_NAME = 250
DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "PGCONNECT_TIMEOUT": "10",
}
LOG_LEVELS = {
    "mlflow.store.db.utils": logging.CRITICAL,  # it prints tracebacks of errors that it also raises
    "mlflow.utils.databricks_utils": logging.ERROR,  # it warns of what it also raises
    "mlflow.tracking.context.registry": logging.ERROR,  # it warns of users without a name
    "mlflow.system_metrics.system_metrics_monitor": logging.ERROR,
    "alembic": logging.WARNING,
    "alembic.runtime.migration": logging.WARNING,
    "urllib3.connectionpool": logging.ERROR,
}
_OF_STORE = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID")


def use_store(uri: str) -> None:
    """Make `uri` the tracking store of MLflow in this process and in its child processes.

    Requests to it time out within seconds unless the user's environment says otherwise; the
    journal delivers failed ones later.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    for name, level in LOG_LEVELS.items():
        logging.getLogger(name).setLevel(level)
    _mask_logs()
    os.environ["MLFLOW_TRACKING_URI"] = uri
    mlflow.set_tracking_uri(uri)


@contextmanager
def without_store() -> Iterator[None]:
    """Remove the user's store and experiment from the environment for the ``with`` block."""
    before = {name: os.environ.pop(name) for name in _OF_STORE if name in os.environ}
    try:
        yield
    finally:
        for name in _OF_STORE:
            os.environ.pop(name, None)
        os.environ |= before
        mlflow.set_tracking_uri(before.get("MLFLOW_TRACKING_URI", ""))


def offered_run_id() -> str | None:
    """Return the id of the run that ``mlflow run`` made for this process, None if there is none."""
    return os.environ.get("MLFLOW_RUN_ID") or None


def environment_name() -> str | None:
    """Return the run name in ``MLFLOW_RUN_NAME``, None if it is not set."""
    return os.environ.get("MLFLOW_RUN_NAME", "").strip() or None


def user_name() -> str:
    """Return the name of the user, "" for one without a name, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""


def environment_tags() -> dict[str, str]:
    """Return the tags in ``MLFLOW_TAGS``, a JSON object.

    Raises:
        UserError: it is not a JSON object of texts and numbers.
    """
    text = os.environ.get("MLFLOW_TAGS", "").strip()
    if not text:
        return {}
    try:
        tags = json.loads(text)
    except (ValueError, RecursionError):
        tags = None
    if not isinstance(tags, dict) or any(
        isinstance(value, (dict, list)) or value is None or not key for key, value in tags.items()
    ):
        raise UserError(
            "`MLFLOW_TAGS` must be a JSON object of names and values, such as "
            f'{{"team": "genomics"}}: got {text[:60]!r}; correct or unset it'
        )
    return {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in tags.items()
    }


def checked_name(name: str) -> str:
    """Return the name of a run without line breaks.

    Raises:
        UserError: it is empty, or longer than a store accepts.
    """
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise UserError(
            f"`name` of a run must have 1 to {LONGEST_NAME} characters: got {len(name)}; choose "
            "another"
        )
    return name


def _mask_logs() -> None:
    """Remove credentials from the output of MLflow's logger and of the root logger."""
    handlers = [*logging.getLogger("mlflow").handlers, *logging.getLogger().handlers]
    for handler in [*handlers, *([logging.lastResort] if logging.lastResort else [])]:
        if _mask_record not in handler.filters:
            handler.addFilter(_mask_record)


def _mask_record(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    masked = mask(text)
    if masked != text:
        record.msg, record.args = masked, ()
    return True
