"""The tracking store: the only room that imports MLflow.

A run writes to its `Journal` on the local disk first; a thread delivers the journal to the store.
A store that is away delays the delivery only: `sync` delivers the rest later, each entry once.
"""

from mlproject.store.client import Store
from mlproject.store.delivery import deliver
from mlproject.store.environment import environment_name, user_name
from mlproject.store.errors import STORE_ERRORS, first_line, is_hopeless
from mlproject.store.liveness import is_terminated
from mlproject.store.opening import connect, find_store, temporary_store
from mlproject.store.registry import check_registered_name, check_registry, register
from mlproject.store.syncing import sync
from mlproject.store.tracker import Tracker

__all__ = [
    "STORE_ERRORS",
    "Store",
    "Tracker",
    "check_registered_name",
    "check_registry",
    "connect",
    "deliver",
    "environment_name",
    "find_store",
    "first_line",
    "is_hopeless",
    "is_terminated",
    "register",
    "sync",
    "temporary_store",
    "user_name",
]
