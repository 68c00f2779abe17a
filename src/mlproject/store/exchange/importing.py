"""``import``: folders that `export` wrote as finished runs of the tracking store."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mlproject.names import Tag
from mlproject.store import STORE_ERRORS, Store, Told, first_line, is_told_now, tell_again
from mlproject.store.exchange.folder import RUNS, folders_of, read
from mlproject.store.liveness import find_runs
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupted, Interrupts


class Imported(NamedTuple):
    """Ids of runs: new ones, those that got what they lacked; how many were there already."""

    added: list[str]
    completed: list[str]
    present: int


def import_runs(
    store: Store,
    source: Path,
    experiment: str | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Imported:
    """Make finished runs of all that `source` holds; what an experiment has is left alone.

    Everything is read and verified first. A signal waits for the end of the run at hand; one that
    was cut off all the same is completed by the next call.

    Args:
        store: the tracking store.
        source: folder that `export` wrote.
        experiment: name of the experiment; default as MLflow's environment says.
        tell: is told the name of each run.

    Raises:
        UserError: a folder is damaged (then nothing is imported), or the store cannot be written.
        Interrupted: after the run at hand.
    """
    names = _verified(source)
    done = Imported([], [], 0)
    try:
        experiment_id = store.experiment(experiment)
        store.prepare_for_ui(experiment_id)
        with Interrupts() as interrupts, interrupts.deferred():
            for number, name in enumerate(names):
                if interrupts.requested:
                    raise Interrupted(
                        f"interrupted by {interrupts.requested} after {number} of {len(names)} "
                        "runs; start it again to go on"
                    )
                told = read(source / RUNS / name)
                tell(told.name)
                done = _import(store, told, experiment_id, done)
    except STORE_ERRORS as error:
        raise UserError(
            f"the tracking store must take what is imported: {store.address} says "
            f"'{first_line(error)}'; mend that and start again, it goes on"
        ) from error
    return done


def _verified(source: Path) -> list[str]:
    """Read all runs below `source`, one at a time, and return their folders' names by start."""
    found = [(read(folder).started, folder.name) for folder in folders_of(source)]
    return [name for _, name in sorted(found)]


def _import(store: Store, told: Told, experiment_id: str, done: Imported) -> Imported:
    tags = {Tag.IMPORTED: told.run_id, Tag.IMPORTED_SHA256: _digest(told)}
    sha256 = told.tags[Tag.SPEC_SHA256]
    version = told.tags.get(Tag.METRIC_VERSION)
    known = find_runs(store, experiment_id, spec_sha256=sha256)
    same = [
        run
        for run in known
        if run.info.status == "FINISHED" and run.data.tags.get(Tag.METRIC_VERSION) == version
    ]
    for run in same:
        ours = run.data.tags.get(Tag.IMPORTED) == told.run_id
        if ours and run.data.tags.get(Tag.IMPORTED_SHA256) != tags[Tag.IMPORTED_SHA256]:
            tell_again(store, told, experiment_id, tags, run.info.run_id)
            return done._replace(completed=[*done.completed, run.info.run_id])
    if same:
        return done._replace(present=done.present + 1)
    begun = [
        run
        for run in find_runs(store, experiment_id, imported=told.run_id)
        if run.info.status != "FINISHED" and not is_told_now(run)
    ]
    if begun:
        run_id = tell_again(store, told, experiment_id, tags, begun[0].info.run_id)
        return done._replace(completed=[*done.completed, run_id])
    return done._replace(added=[*done.added, tell_again(store, told, experiment_id, tags)])


def _digest(told: Told) -> str:
    digest = hashlib.sha256(repr(told._replace(files={})).encode())
    for name, content in sorted(told.files.items()):
        digest.update(name.encode() + hashlib.sha256(content).digest())
    return digest.hexdigest()
