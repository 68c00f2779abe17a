"""What all of tracking rests on: what can go wrong, how it is said, the names of tags."""

import re

from mlflow.entities import Run, RunStatus
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from mlproject.system.errors import UserError
from mlproject.system.masking import mask

STORE_ERRORS = (MlflowException, SQLAlchemyError, OSError)
ABSENT = "RESOURCE_DOES_NOT_EXIST"
PERMANENT = (
    "INVALID_PARAMETER_VALUE",
    ABSENT,
    "RESOURCE_ALREADY_EXISTS",
    "INVALID_STATE",
    "MALFORMED_REQUEST",
    "ENDPOINT_NOT_FOUND",
    "FEATURE_DISABLED",
)
NOT_FOR_US = ("PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED")

_ORIGINAL = re.compile(r"Original exception was: (.+)")
_CLASS = re.compile(r"\((?:[A-Za-z_]\w*\.)+\w+\) ?")


def unwritable(uri: str, error: BaseException) -> UserError:
    """Return the error for a store that cannot be used, in one line without credentials."""
    text = first_line(error)
    return UserError(
        f"the tracking store must be readable and writable: {mask(uri)} answers '{text}'; "
        f"{_advice(text, error)}"
    )


def first_line(error: BaseException) -> str:
    """Return what an exception says, in one line without credentials, at most 300 characters.

    Of an error of the database that is the cause, not SQLAlchemy's words about it.
    """
    text = str(_cause(error)).strip()
    if found := _ORIGINAL.search(text):
        text = found[1]
    line = (text.splitlines() or [""])[0].strip()
    return mask(_CLASS.sub("", line))[:300] or type(error).__name__


def is_permanent(error: BaseException) -> bool:
    """Return whether a store that is well refuses this for ever, so that no retry can help."""
    if isinstance(error, MlflowException):
        if error.error_code == "BAD_REQUEST":  # MLflow's name for any error of the database
            return isinstance(error.__cause__, (DataError, IntegrityError))
        return error.error_code in PERMANENT
    return isinstance(error, (DataError, IntegrityError))


def is_absent(error: BaseException) -> bool:
    """Return whether the store says that it has no such thing."""
    return isinstance(error, MlflowException) and error.error_code == ABSENT


def is_terminated(run: Run) -> bool:
    """Return whether a run has ended, well or not."""
    return bool(RunStatus.is_terminated(RunStatus.from_string(run.info.status)))


def _cause(error: BaseException) -> BaseException:
    if isinstance(error, MlflowException) and isinstance(error.__cause__, SQLAlchemyError):
        error = error.__cause__
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig
    return error


def _advice(text: str, error: BaseException) -> str:
    lower = text.lower()
    if "out-of-date database schema" in lower or "can't locate revision" in lower:
        return "take the MLflow that made it, or `mlflow db upgrade` after a copy, or another place"
    if any(word in lower for word in ("disk is full", "no space left", "quota")):
        return "free the place or set MLFLOW_TRACKING_URI"
    if "not a database" in lower:
        return "move the file away or set MLFLOW_TRACKING_URI"
    code = getattr(error, "error_code", "")
    if code in NOT_FOR_US or re.search(r"error code 40[13]\b|authentication failed", lower):
        return "check the user name and the password, or set MLFLOW_TRACKING_URI"
    return "mend that or set MLFLOW_TRACKING_URI"
