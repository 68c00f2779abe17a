"""Find runs that are finished, or dead, although the tracking store does not say so.

A run that lost the store has its end in its local record. A worker goes on to other cells, so a
living process is no proof that its earlier run is alive.
"""

import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from mlproject.names import Tag
from mlproject.store import STORE_ERRORS, Store, deliver, liveness
from mlproject.store.journal import ARTIFACTS, JOURNAL, Journal
from mlproject.sweeps.task import Outcome
from mlproject.system.processes import is_alive, parse_process, this_process

MOST_TRIES = 3

_active: set[str] = set()
_undelivered: dict[str, int] = {}


def begin(token: str) -> None:
    """Mark a token: this process works on its cell."""
    _active.add(token)


def end(token: str) -> None:
    """Unmark a token: this process does not work on its cell any more."""
    _active.discard(token)


def note_started(run_id: str) -> None:
    """Note a run of this process for `deliver_ends`."""
    _undelivered[run_id] = 0


def deliver_ends(store: Store, root: Path) -> None:
    """Deliver the ends of this process' earlier runs that have not reached the store.

    A run that could not record its end, because the disk was full, ends as KILLED. After
    `MOST_TRIES` attempts the rest is left to the command `sync`.

    Args:
        store: the tracking store.
        root: folder of the local records.
    """
    for run_id, tries in list(_undelivered.items()):
        journal = _find_journal(root, run_id)
        if journal is None:
            del _undelivered[run_id]
            continue
        journal.disown()
        try:
            if journal.status is None:
                journal.append("status", status="KILLED", time=int(time.time() * 1000))
            deliver(journal, store.client)
            del _undelivered[run_id]
        except STORE_ERRORS:
            _undelivered[run_id] = tries + 1
            if tries + 1 >= MOST_TRIES:
                del _undelivered[run_id]


def is_worked_on(run: Any, root: Path, ended: Collection[str] = ()) -> bool:
    """Return whether a process works on a run that has not ended in the store.

    Args:
        run: run of the tracking store.
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
    journal = _find_journal(root, run.info.run_id)
    if journal is not None:
        return journal.is_live()
    return is_alive(None, liveness.last_heartbeat(run))


def has_finished(store: Store, run: Any, root: Path) -> bool:
    """Return whether a run is the result of its spec, in the store or in its local record."""
    if liveness.counts_as_done(store, run):
        return True
    journal = _find_journal(root, run.info.run_id)
    if journal is None or journal.status != "FINISHED":
        return False
    return liveness.metric_version(run) >= int(liveness.METRIC_VERSION)


def finished_runs(store: Store, experiment_id: str, root: Path) -> dict[str, Any]:
    """Return the runs of an experiment that count as done, by `spec_sha256`.

    Args:
        store: the tracking store.
        experiment_id: the experiment.
        root: folder of the local records.
    """
    found = liveness.find_runs(store, experiment_id, spec_sha256="")
    return {
        run.data.tags[Tag.SPEC_SHA256]: run
        for run in reversed(found)
        if has_finished(store, run, root)
    }


def outcome_of(run: Any, root: Path) -> Outcome:
    """Return the outcome of a run that `has_finished`."""
    metrics = dict(run.data.metrics)
    journal = _find_journal(root, run.info.run_id)
    undelivered = None
    if journal is not None:
        for entry in journal.entries():
            if entry.kind == "metrics":
                metrics |= entry.content["values"]
        if run.info.status != "FINISHED":
            undelivered = "the store lacks the end of the run"
    return Outcome("FINISHED", run.info.run_id, metrics, undelivered=undelivered)


def _find_journal(root: Path, run_id: str) -> Journal | None:
    """Return the local record of a run, None if the folder has none or holds fetched files only."""
    folder = root / run_id
    there = (folder / JOURNAL).exists() or (folder / ARTIFACTS).is_dir()
    return Journal(folder) if there else None
