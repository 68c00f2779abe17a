"""Decide whether a cell is done, resumable, or running elsewhere."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlproject.names import Tag
from mlproject.store import STORE_ERRORS, Store, first_line, is_terminated, liveness
from mlproject.store.journal import Journal
from mlproject.sweeps.run_state import has_finished, is_worked_on, outcome_of
from mlproject.sweeps.task import CellTask, Outcome
from mlproject.system.processes import this_process

if TYPE_CHECKING:
    from mlproject.run.context import Previous, Trained

UNREADABLE = (AttributeError, LookupError, OSError, TypeError, ValueError)


def find_start(
    store: Store, task: CellTask, note: Callable[[str], None] = lambda text: None
) -> "Outcome | Previous | Trained | None":
    """Find where a cell starts: it is done already, resumes a run, or starts from the beginning.

    A finished run of the same training provides its weights, if only the interpretation or the
    version of the metrics differs. A run that cannot be read is skipped.

    Args:
        store: the tracking store.
        task: the cell.
        note: called with a line for each run that is skipped.

    Returns:
        The outcome if the cell is done or runs elsewhere; else the trained or interrupted run to
        start from; None to start from the beginning.
    """
    root = Path(task.home) / "runs"
    known = liveness.find_runs(store, task.experiment_id, spec_sha256=task.spec_sha256)
    for run in known:
        if has_finished(store, run, root):
            return outcome_of(run, root)
    interrupted = []
    for run in known:
        if run.info.status == "FINISHED":
            continue
        if is_terminated(run):
            interrupted.append(run)
        elif run.data.tags.get(Tag.TASK) != task.token and is_worked_on(run, root, task.ended):
            return Outcome("ELSEWHERE", run.info.run_id, reason="a run of this cell is alive")
        else:
            liveness.end_dead(store, run, "its process was lost", root=root)
            interrupted.append(run)
    if trained := _find_trained(store, task, note):
        return trained
    if not task.from_start:
        for run in interrupted:
            if found := _find_previous(run, task, note):
                return found
    return None


def tag_resumed(store: Store, task: CellTask, run_id: str) -> None:
    """Tag interrupted runs of the cell with the run that replaces them."""
    with suppress(*STORE_ERRORS):
        for run in liveness.find_runs(store, task.experiment_id, spec_sha256=task.spec_sha256):
            ended = run.info.status in ("KILLED", "FAILED")
            if ended and Tag.RESUMED_BY not in run.data.tags:
                store.set_tags(run.info.run_id, {Tag.RESUMED_BY: run_id})


def _find_trained(store: Store, task: CellTask, note: Callable[[str], None]) -> "Trained | None":
    from mlproject.run.resuming import find_trained

    folder = Path(task.home) / "runs" / f"reuse-{task.token}"
    for run in liveness.find_runs(store, task.experiment_id, train_sha256=task.train_sha256):
        if run.info.status == "FINISHED":
            Journal(folder).own(str(this_process()))  # `sync` removes it when this process is gone
            try:
                return find_trained(run.info.run_id, folder)
            except UNREADABLE as error:
                note(f"the weights of run {run.info.run_id} are skipped: {first_line(error)}")
    return None


def _find_previous(run: Any, task: CellTask, note: Callable[[str], None]) -> "Previous | None":
    """Return an interrupted run to resume, None if its state is missing or cannot be read."""
    import keras

    from mlproject.network.checkpoint import read_history
    from mlproject.run.resuming import find_previous

    backend = run.data.tags.get(Tag.BACKEND, "")
    if backend.split(" ", maxsplit=1)[0] != keras.backend.backend():
        return None
    try:
        found = find_previous(run.info.run_id, Path(task.home))
        return found if read_history(found.state) else None
    except UNREADABLE as error:
        note(f"run {run.info.run_id} cannot be resumed: {first_line(error)}")
        return None


def remove_fetched(task: CellTask, start: "Previous | Trained | None") -> None:
    """Remove the files that `find_start` fetched for this task alone."""
    folder = Path(task.home) / "runs"
    shutil.rmtree(folder / f"reuse-{task.token}", ignore_errors=True)
    if start is not None and not (folder / start.run_id / "journal.jsonl").exists():
        shutil.rmtree(folder / start.run_id, ignore_errors=True)


def find_rival(store: Store, task: CellTask, run_id: str | None) -> str | None:
    """Return the run that keeps the cell instead of run `run_id`: it is done, or older and alive.

    None means that run `run_id` goes on.
    """
    known = {
        run.info.run_id: run
        for run in liveness.find_runs(store, task.experiment_id, spec_sha256=task.spec_sha256)
    }
    root = Path(task.home) / "runs"
    own = known.pop(run_id or "", None)
    if own is None:
        return None
    if is_terminated(own):
        return "it was taken for dead"
    age = (own.info.start_time, own.info.run_id)
    for other_id, run in known.items():
        earlier = (run.info.start_time, other_id) < age
        older = earlier and is_worked_on(run, root, task.ended)
        same_task = run.data.tags.get(Tag.TASK) == task.token
        if (older and not same_task) or has_finished(store, run, root):
            return other_id
    return None
