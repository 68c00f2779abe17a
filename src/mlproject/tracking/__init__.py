"""MLflow: where runs are recorded. The only part that imports it.

What a run tells goes to its `Journal` on the local disk first and to the tracking store afterwards:
a store that goes away costs nothing, `sync` delivers later what is missing, once.
"""

from mlproject.tracking.basis import (
    RESUMED_BY,
    SHA256,
    STORE_ERRORS,
    first_line,
    is_terminated,
)
from mlproject.tracking.copies import IMPORTED, Told, Value, tell_again, temporary_store, told_by
from mlproject.tracking.store import Store, connect, refuse_file_store, sync
from mlproject.tracking.tracker import Tracker

__all__ = [
    "IMPORTED",
    "RESUMED_BY",
    "SHA256",
    "STORE_ERRORS",
    "Store",
    "Told",
    "Tracker",
    "Value",
    "connect",
    "first_line",
    "is_terminated",
    "refuse_file_store",
    "sync",
    "tell_again",
    "temporary_store",
    "told_by",
]
