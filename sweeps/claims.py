"""Whose a cell is: what earlier runs of it left, and which of two runs of it goes on."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlproject import runs
from mlproject.errors import UserError
from mlproject.tracking import STORE_ERRORS, Store, is_terminated
from sweeps.job import Job, Outcome


def claim(store: Store, job: Job) -> Any:
    """Return an `Outcome` if nothing is to be done, else what to go on from, or None.

    Weights of a finished run of the same training serve again: only the interpretation is new, or
    the version of the metrics.
    """
    known = runs.find_runs(store, job.experiment_id, spec_sha256=job.spec_sha256)
    for run in known:
        if runs.counts_as_done(store, run):
            return Outcome("FINISHED", run.info.run_id, dict(run.data.metrics))
    interrupted = []
    for run in known:
        if run.info.status == "FINISHED":
            continue
        if is_terminated(run):
            interrupted.append(run)
        elif run.data.tags.get("mlproject.task") != job.token and runs.is_alive(run):
            return Outcome("ELSEWHERE", run.info.run_id, reason="a run of this cell is alive")
        else:
            runs.end_dead(store, run, "its process was lost")
            interrupted.append(run)
    if trained := _trained(store, job):
        return trained
    if not job.anew:
        for run in interrupted:
            if found := _state(run.info.run_id, job, run.data.tags.get("mlproject.backend", "")):
                return found
    return None


def supersede(store: Store, job: Job, run_id: str) -> None:
    """Tag earlier, interrupted runs of the cell: nobody needs what they left."""
    with suppress(*STORE_ERRORS):
        for run in runs.find_runs(store, job.experiment_id, spec_sha256=job.spec_sha256):
            ended = run.info.status in ("KILLED", "FAILED")
            if ended and "mlproject.resumed_by" not in run.data.tags:
                runs.tag_run(store, run.info.run_id, {"resumed_by": run_id})


def _trained(store: Store, job: Job) -> Any:
    """Return the weights of a finished run of the same training, None if there are none."""
    from mlproject.run import find_trained

    folder = Path(job.home) / "runs" / f"reuse-{job.token}"
    for run in runs.find_runs(store, job.experiment_id, train_sha256=job.train_sha256):
        if run.info.status == "FINISHED":
            try:
                return find_trained(run.info.run_id, folder)
            except UserError:
                continue
    return None


def _state(run_id: str, job: Job, backend: str) -> Any:
    """Return an interrupted run to go on from, None if it left no state that can be read."""
    import keras

    from mlproject.checkpoint import read_history
    from mlproject.run import find_previous

    if backend.split(" ", maxsplit=1)[0] != keras.backend.backend():
        return None
    try:
        found = find_previous(run_id, Path(job.home))
        return found if read_history(found.state) else None
    except UserError:
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
        for run in runs.find_runs(store, job.experiment_id, spec_sha256=job.spec_sha256)
    }
    mine = known.pop(own or "", None)
    if mine is None:
        return None
    if is_terminated(mine):
        return "it was taken for dead"
    age = (mine.info.start_time, mine.info.run_id)
    for run_id, run in known.items():
        older = (run.info.start_time, run_id) < age and runs.is_alive(run)
        same_task = run.data.tags.get("mlproject.task") == job.token
        if (older and not same_task) or runs.counts_as_done(store, run):
            return run_id
    return None
