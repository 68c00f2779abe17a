"""MLflow: where runs are recorded. The only part that imports it.

What a run tells goes to its `Journal` on the local disk first and to the tracking store afterwards:
a store that goes away costs nothing, `sync` delivers later what is missing, once.
"""

from mlproject.store.basis import (
    STORE_ERRORS,
    first_line,
    is_terminated,
)
from mlproject.store.client import Store
from mlproject.store.copies import (
    KEPT_TAGS,
    LOCAL_TAGS,
    Told,
    Value,
    is_told_now,
    tell_again,
    temporary_store,
    told_by,
)
from mlproject.store.delivery import deliver
from mlproject.store.naming import environment_name
from mlproject.store.opening import connect, refuse_file_store
from mlproject.store.syncing import sync
from mlproject.store.tracker import Tracker
from mlproject.system.masking import mask, without_credentials

__all__ = [
    "KEPT_TAGS",
    "LOCAL_TAGS",
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
