"""Errors of a tracking store: their kinds, and their text for users."""

import re

from mlflow.exceptions import MlflowException, RestException
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InternalError,
    ProgrammingError,
    SQLAlchemyError,
)

from mlproject.system.errors import UserError
from mlproject.system.masking import mask

STORE_ERRORS = (MlflowException, SQLAlchemyError, OSError)
ABSENT = "RESOURCE_DOES_NOT_EXIST"
PERMANENT = (
    "INVALID_PARAMETER_VALUE", ABSENT, "RESOURCE_ALREADY_EXISTS", "INVALID_STATE",
    "MALFORMED_REQUEST", "ENDPOINT_NOT_FOUND", "FEATURE_DISABLED",
)  # fmt: skip
NOT_ALLOWED = 405  # of HTTP: a redirection turns a POST into a GET
TOO_LARGE = {413, 414}  # of HTTP; a proxy limits the size of requests, too
ACCESS_DENIED = ("PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED")

_ADVICE = (
    (
        ("out-of-date database schema", "can't locate revision"),
        "use the MLflow that made it, or copy it and run `mlflow db upgrade`",
    ),
    (("disk is full", "no space left", "quota"), "free space or set MLFLOW_TRACKING_URI"),
    (("not a database",), "move the file away or set MLFLOW_TRACKING_URI"),
    (("read-only", "readonly"), "make it writable or set MLFLOW_TRACKING_URI"),
    (
        ("valid json format",),
        "a web page answers there, such as the login of a proxy: log in, or set "
        "MLFLOW_TRACKING_URI to the server itself, without what a browser adds after its port",
    ),
    (
        ("error code 405",),
        "set MLFLOW_TRACKING_URI to the final address of the server, such as https in place of "
        "http: a redirection loses what is sent",
    ),
    (
        ("uri schemes", "supported schemes"),
        "install the package that reads such addresses, or set MLFLOW_TRACKING_URI",
    ),
    (
        ("databricks authentication",),
        "set up the credentials of Databricks, or set MLFLOW_TRACKING_URI",
    ),
)

_ORIGINAL = re.compile(r"Original exception was: (.+)")
_BROKEN = re.compile(
    r"read-?only|malformed|not a database|no such (table|column)|certificate verify failed"
)
_STATUS = re.compile(
    r"^API request to endpoint \S+ failed with error code (\d{3})\b"
    r"|HTTPError\(['\"](\d{3}) (?:Client|Server) Error"
)
_CLASS = re.compile(r"\((?:[A-Za-z_]\w*\.)+\w+\) ?")


def unwritable(uri: str, error: BaseException) -> UserError:
    """Return the error for a store that cannot be used: one line without credentials."""
    text = first_line(error)
    return UserError(
        f"the tracking store must be readable and writable: {mask(uri)} answers '{text}'; "
        f"{_advice(text, error)}"
    )


def first_line(error: BaseException) -> str:
    """Return an exception's message: one line without credentials, at most 300 characters.

    For an error of a database this is the message of the database, without SQLAlchemy's additions.
    """
    text = str(_cause(error)).strip()
    if found := _ORIGINAL.search(text):
        text = found[1]
    line = (text.splitlines() or [""])[0].strip()
    return mask(_CLASS.sub("", line))[:300] or type(error).__name__


def is_permanent(error: BaseException) -> bool:
    """Return whether the store refused a request for good, so that a retry cannot succeed."""
    causes = (error, error.__cause__, error.__context__)
    if TOO_LARGE & _http_statuses(error) or any(isinstance(e, UnicodeEncodeError) for e in causes):
        return True
    if isinstance(error, MlflowException):
        if error.error_code == "BAD_REQUEST":  # MLflow uses it for every error of the database
            return isinstance(error.__cause__, (DataError, IntegrityError))
        return error.error_code in PERMANENT
    return isinstance(error, (DataError, IntegrityError))


def is_hopeless(error: BaseException) -> bool:
    """Return whether it is useless to wait for the store.

    It refuses for good or for want of rights, or is read-only or damaged.
    """
    if is_permanent(error) or _is_denied(error) or NOT_ALLOWED in _http_statuses(error):
        return True
    cause = error.__cause__ if isinstance(error, MlflowException) else error
    broken = isinstance(cause, (InternalError, ProgrammingError))
    return broken or bool(_BROKEN.search(first_line(error).lower()))


def is_race(error: BaseException) -> bool:
    """Return whether another writer made the same row first, so that a retry finds it.

    MLflow looks for a data set before it adds it, and two workers may look at the same time.
    """
    cause = error.__cause__ if isinstance(error, MlflowException) else error
    text = first_line(error).lower()
    return isinstance(cause, IntegrityError) and ("unique" in text or "duplicate" in text)


def is_doubtful(error: BaseException) -> bool:
    """Return whether a refusal may be of a proxy whose server is away, not of the store.

    An old server answers so too, for good, if it lacks a part of MLflow's interface.
    """
    return (
        isinstance(error, MlflowException)
        and error.error_code == "ENDPOINT_NOT_FOUND"
        and not isinstance(error, RestException)
    )


def is_absent(error: BaseException) -> bool:
    """Return whether the error says that the requested object does not exist."""
    return isinstance(error, MlflowException) and error.error_code == ABSENT


def _http_statuses(error: BaseException) -> set[int]:
    """Return the statuses of HTTP that an error of a server or a proxy is about."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int):
        return {status}
    if not isinstance(error, MlflowException) or isinstance(error, RestException):
        return set()
    return {int(number) for found in _STATUS.findall(str(error)) for number in found if number}


def _cause(error: BaseException) -> BaseException:
    if isinstance(error, MlflowException) and isinstance(error.__cause__, SQLAlchemyError):
        error = error.__cause__
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig
    return error


def _advice(text: str, error: BaseException) -> str:
    lower = text.lower()
    for words, advice in _ADVICE:
        if any(one in lower for one in words):
            return advice
    if _is_denied(error):
        return "check the user name and the password, or set MLFLOW_TRACKING_URI"
    return "correct that or set MLFLOW_TRACKING_URI"


def _is_denied(error: BaseException) -> bool:
    if getattr(error, "error_code", "") in ACCESS_DENIED:
        return True
    text = first_line(error).lower()
    return bool(re.search(r"error code 40[13]\b|authentication failed", text))
