"""How MLflow is used here: the one place that sets its environment and quiets its loggers."""

import logging
import os

import mlflow

from mlproject.system.masking import mask

DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "PGCONNECT_TIMEOUT": "10",
}
QUIET = {
    "mlflow.store.db.utils": logging.CRITICAL,  # it prints tracebacks of errors that it raises too
    "mlflow.system_metrics.system_metrics_monitor": logging.ERROR,
    "alembic": logging.WARNING,
    "alembic.runtime.migration": logging.WARNING,
    "urllib3.connectionpool": logging.ERROR,
}


def prepare(uri: str) -> None:
    """Let MLflow, here and in processes started from here, use the store `uri`.

    Its requests end after seconds, not minutes, unless the user's environment says otherwise: what
    fails is tried again from the journal.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)
    hide_in_logs()
    os.environ["MLFLOW_TRACKING_URI"] = uri
    mlflow.set_tracking_uri(uri)


def hide_in_logs() -> None:
    """Take credentials out of what MLflow and the root logger print."""
    handlers = [*logging.getLogger("mlflow").handlers, *logging.getLogger().handlers]
    for handler in [*handlers, *([logging.lastResort] if logging.lastResort else [])]:
        if _hide not in handler.filters:
            handler.addFilter(_hide)


def _hide(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    masked = mask(text)
    if masked != text:
        record.msg, record.args = masked, ()
    return True
