"""MLflow: where runs are recorded. The only part that imports it.

What a run tells goes to its `Journal` on the local disk first and to the tracking store afterwards:
a store that goes away costs nothing, `sync` delivers later what is missing, once.
"""

from mlproject.masking import mask, without_credentials
from mlproject.tracking.basis import (
    RESUMED_BY,
    RESUMES,
    SHA256,
    STATE,
    STORE_ERRORS,
    first_line,
    is_terminated,
)
from mlproject.tracking.copies import (
    IMPORTED,
    KEPT_TAGS,
    LOCAL_TAGS,
    Told,
    Value,
    is_told_now,
    tell_again,
    temporary_store,
    told_by,
)
from mlproject.tracking.delivery import deliver
from mlproject.tracking.naming import environment_name
from mlproject.tracking.opening import connect, refuse_file_store
from mlproject.tracking.store import Store
from mlproject.tracking.syncing import sync
from mlproject.tracking.tracker import Tracker

__all__ = [
    "IMPORTED",
    "KEPT_TAGS",
    "LOCAL_TAGS",
    "RESUMED_BY",
    "RESUMES",
    "SHA256",
    "STATE",
    "STORE_ERRORS",
    "Store",
    "Told",
    "Tracker",
    "Value",
    "connect",
    "deliver",
    "environment_name",
    "first_line",
    "is_terminated",
    "is_told_now",
    "mask",
    "refuse_file_store",
    "sync",
    "tell_again",
    "temporary_store",
    "told_by",
    "without_credentials",
]
