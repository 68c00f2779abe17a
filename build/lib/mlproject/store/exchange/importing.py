"""``import``: write the folders of `export` to the tracking store as finished runs."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mlproject.names import Tag
from mlproject.store.client import Store
from mlproject.store.errors import STORE_ERRORS, first_line
from mlproject.store.exchange.folder import folders_of, read
from mlproject.store.liveness import find_runs
from mlproject.store.transfer import RecordedRun, copy_run, is_being_copied
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupted, Interrupts


class Imported(NamedTuple):
    """Ids of the new runs and of the completed ones; the number of runs that existed already."""

    added: list[str]
    completed: list[str]
    present: int


def import_runs(
    store: Store,
    source: Path,
    experiment: str | None = None,
    progress: Callable[[str], None] = lambda name: None,
) -> Imported:
    """Import the runs of a folder as finished runs; runs that the experiment has are skipped.

    All folders are verified first. A signal takes effect after the current run. A run that was cut
    off nevertheless is completed by the next call.

    Args:
        store: the tracking store.
        source: folder that `export` wrote.
        experiment: name of the experiment; default: that of MLflow's environment.
        progress: called with the name of each run.

    Raises:
        UserError: a folder is damaged (then nothing is imported), or the store cannot be written.
        Interrupted: a signal, after the current run.
    """
    folders = _verified(source)
    done = Imported([], [], 0)
    try:
        experiment_id = store.experiment(experiment)
        store.prepare_for_ui(experiment_id)
        with Interrupts() as interrupts, interrupts.deferred():
            for number, folder in enumerate(folders):
                if interrupts.requested:
                    raise Interrupted(
                        f"interrupted by {interrupts.requested} after {number} of {len(folders)} "
                        "runs; start it again to continue"
                    )
                recorded = read(folder)
                progress(recorded.name)
                done = _import(store, recorded, experiment_id, done)
    except STORE_ERRORS as error:
        raise UserError(
            f"the tracking store must accept imported runs: {store.address} answers "
            f"'{first_line(error)}'; correct that and start again to continue"
        ) from error
    return done


def _verified(source: Path) -> list[Path]:
    """Verify all runs below `source` and return their folders, ordered by start."""
    found = [(read(folder).started, folder.name, folder) for folder in folders_of(source)]
    return [folder for *_, folder in sorted(found)]


def _import(store: Store, recorded: RecordedRun, experiment_id: str, done: Imported) -> Imported:
    tags = {Tag.IMPORTED: recorded.run_id, Tag.IMPORTED_SHA256: _digest(recorded)}
    version = recorded.tags.get(Tag.METRIC_VERSION)
    known = find_runs(store, experiment_id, spec_sha256=recorded.tags[Tag.SPEC_SHA256])
    same = [
        run
        for run in known
        if run.info.status == "FINISHED" and run.data.tags.get(Tag.METRIC_VERSION) == version
    ]
    for run in same:
        imported = run.data.tags.get(Tag.IMPORTED) == recorded.run_id
        if imported and run.data.tags.get(Tag.IMPORTED_SHA256) != tags[Tag.IMPORTED_SHA256]:
            copy_run(store, recorded, experiment_id, tags, run.info.run_id)
            return done._replace(completed=[*done.completed, run.info.run_id])
    if same:
        return done._replace(present=done.present + 1)
    begun = [
        run
        for run in find_runs(store, experiment_id, imported=recorded.run_id)
        if run.info.status != "FINISHED" and not is_being_copied(run)
    ]
    if begun:
        run_id = copy_run(store, recorded, experiment_id, tags, begun[0].info.run_id)
        return done._replace(completed=[*done.completed, run_id])
    return done._replace(added=[*done.added, copy_run(store, recorded, experiment_id, tags)])


def _digest(recorded: RecordedRun) -> str:
    # The hash covers the text that earlier versions hashed, with the class's name of then.
    fields = repr(recorded._replace(files={})).replace("RecordedRun(", "Told(", 1)
    digest = hashlib.sha256(fields.encode())
    for name, content in sorted(recorded.files.items()):
        digest.update(name.encode() + hashlib.sha256(content).digest())
    return digest.hexdigest()
