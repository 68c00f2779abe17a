"""Whose a cell is: what earlier runs of it left, and which of two runs of it goes on."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlproject.names import Tag
from mlproject.store import STORE_ERRORS, Store, first_line, is_terminated, liveness
from mlproject.store.journal import Journal
from mlproject.sweeps.job import Job, Outcome
from mlproject.sweeps.records import has_finished, is_worked_on, outcome_of
from mlproject.system.processes import this_process

UNREADABLE = (AttributeError, LookupError, OSError, TypeError, ValueError)


def claim(store: Store, job: Job, tell: Callable[[str], None] = lambda text: None) -> Any:
    """Return an `Outcome` if nothing is to be done, else what to go on from, or None.

    Weights of a finished run of the same training serve again: only the interpretation is new, or
    the version of the metrics. A run that cannot be used is passed over.

    Args:
        store: where to look.
        job: the cell.
        tell: told of runs that are passed over, and why.
    """
    root = Path(job.home) / "runs"
    known = liveness.find_runs(store, job.experiment_id, spec_sha256=job.spec_sha256)
    for run in known:
        if has_finished(store, run, root):
            return outcome_of(run, root)
    interrupted = []
    for run in known:
        if run.info.status == "FINISHED":
            continue
        if is_terminated(run):
            interrupted.append(run)
        elif run.data.tags.get(Tag.TASK) != job.token and is_worked_on(run, root, job.ended):
            return Outcome("ELSEWHERE", run.info.run_id, reason="a run of this cell is alive")
        else:
            liveness.end_dead(store, run, "its process was lost", root=root)
            interrupted.append(run)
    if trained := _trained(store, job, tell):
        return trained
    if not job.anew:
        for run in interrupted:
            if found := _state(run, job, tell):
                return found
    return None


def supersede(store: Store, job: Job, run_id: str) -> None:
    """Tag earlier, interrupted runs of the cell: nobody needs what they left."""
    with suppress(*STORE_ERRORS):
        for run in liveness.find_runs(store, job.experiment_id, spec_sha256=job.spec_sha256):
            ended = run.info.status in ("KILLED", "FAILED")
            if ended and Tag.RESUMED_BY not in run.data.tags:
                liveness.tag_run(store, run.info.run_id, {"resumed_by": run_id})


def _trained(store: Store, job: Job, tell: Callable[[str], None]) -> Any:
    """Return the weights of a finished run of the same training, None if there are none."""
    from mlproject.run.run import find_trained

    folder = Path(job.home) / "runs" / f"reuse-{job.token}"
    for run in liveness.find_runs(store, job.experiment_id, train_sha256=job.train_sha256):
        if run.info.status == "FINISHED":
            Journal(folder).own(str(this_process()))  # `sync` removes it when this process is gone
            try:
                return find_trained(run.info.run_id, folder)
            except UNREADABLE as error:
                tell(f"the weights of run {run.info.run_id} are passed over: {first_line(error)}")
    return None


def _state(run: Any, job: Job, tell: Callable[[str], None]) -> Any:
    """Return an interrupted run to go on from, None if it left no state that can be read."""
    import keras

    from mlproject.network.checkpoint import read_history
    from mlproject.run.run import find_previous

    backend = run.data.tags.get(Tag.BACKEND, "")
    if backend.split(" ", maxsplit=1)[0] != keras.backend.backend():
        return None
    try:
        found = find_previous(run.info.run_id, Path(job.home))
        return found if read_history(found.state) else None
    except UNREADABLE as error:
        tell(f"run {run.info.run_id} cannot be gone on with: {first_line(error)}")
        return None


def tidy(job: Job, claimed: Any) -> None:
    """Remove what was fetched for this run alone."""
    folder = Path(job.home) / "runs"
    shutil.rmtree(folder / f"reuse-{job.token}", ignore_errors=True)
    if claimed is not None and not (folder / claimed.run_id / "journal.jsonl").exists():
        shutil.rmtree(folder / claimed.run_id, ignore_errors=True)


def rival(store: Store, job: Job, own: str | None) -> str | None:
    """Return the run to which this one has to leave the cell: done, or alive and older."""
    known = {
        run.info.run_id: run
        for run in liveness.find_runs(store, job.experiment_id, spec_sha256=job.spec_sha256)
    }
    root = Path(job.home) / "runs"
    mine = known.pop(own or "", None)
    if mine is None:
        return None
    if is_terminated(mine):
        return "it was taken for dead"
    age = (mine.info.start_time, mine.info.run_id)
    for run_id, run in known.items():
        earlier = (run.info.start_time, run_id) < age
        older = earlier and is_worked_on(run, root, job.ended)
        same_task = run.data.tags.get(Tag.TASK) == job.token
        if (older and not same_task) or has_finished(store, run, root):
            return run_id
    return None
