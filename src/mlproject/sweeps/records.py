"""Runs that have ended though the tracking store does not know: local records tell, and tokens."""

import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from mlproject.names import Tag
from mlproject.store import STORE_ERRORS, Store, deliver, liveness
from mlproject.store.journal import ARTIFACTS, JOURNAL, Journal
from mlproject.sweeps.job import Outcome
from mlproject.system.processes import is_alive, parse_process, this_process

MOST_TRIES = 3

_active: set[str] = set()
_started: dict[str, int] = {}


def begin(token: str) -> None:
    """Note that this process begins the cell of a token."""
    _active.add(token)


def end(token: str) -> None:
    """Note that it has ended, however."""
    _active.discard(token)


def note_started(run_id: str) -> None:
    """Note a run of this process, for `settle`."""
    _started[run_id] = 0


def settle(store: Store, root: Path) -> None:
    """Deliver the ends of this process' earlier runs that have not reached the store.

    A run that could not even write its end, on a full disk, ends as KILLED now. What the store does
    not take after a few tries is left to `sync`.

    Args:
        store: where to.
        root: folder of the local records.
    """
    for run_id, tries in list(_started.items()):
        journal = _record(root, run_id)
        if journal is None:
            del _started[run_id]
            continue
        journal.disown()
        try:
            if journal.status is None:
                journal.append("status", status="KILLED", time=int(time.time() * 1000))
            deliver(journal, store.client)
            del _started[run_id]
        except STORE_ERRORS:
            _started[run_id] = tries + 1
            if tries + 1 >= MOST_TRIES:
                del _started[run_id]


def is_worked_on(run: Any, root: Path, ended: Collection[str] = ()) -> bool:
    """Return whether somebody works on a run that has not ended in the store.

    That its process is there is not enough: a worker goes on to other cells.

    Args:
        run: of the store.
        root: folder of the local records.
        ended: tokens of attempts that have ended, as their driver knows.
    """
    if not liveness.is_alive(run, root):
        return False
    tags = run.data.tags
    token = tags.get(Tag.TASK, "")
    if token in ended:
        return False
    process = parse_process(tags.get(Tag.PROCESS, ""))
    if process is None or not process.here:
        return True
    if token and str(process) == str(this_process()):
        return token in _active
    journal = _record(root, run.info.run_id)
    if journal is not None:
        return journal.is_live()
    return is_alive(None, liveness.last_heartbeat(run))


def has_finished(store: Store, run: Any, root: Path) -> bool:
    """Return whether a run is the result of its spec, in the store or in its local record."""
    if liveness.counts_as_done(store, run):
        return True
    journal = _record(root, run.info.run_id)
    if journal is None or journal.status != "FINISHED":
        return False
    return liveness.metric_version(run) >= int(liveness.METRIC_VERSION)


def outcome_of(run: Any, root: Path) -> Outcome:
    """Return what a run that `has_finished` would have come back with."""
    metrics = dict(run.data.metrics)
    journal = _record(root, run.info.run_id)
    undelivered = None
    if journal is not None:
        for entry in journal.entries():
            if entry.kind == "metrics":
                metrics |= entry.content["values"]
        if run.info.status != "FINISHED":
            undelivered = "the store lacks the end of the run"
    return Outcome("FINISHED", run.info.run_id, metrics, undelivered=undelivered)


def _record(root: Path, run_id: str) -> Journal | None:
    """Return the local record of a run; None if there is none, or only something fetched."""
    folder = root / run_id
    there = (folder / JOURNAL).exists() or (folder / ARTIFACTS).is_dir()
    return Journal(folder) if there else None
