"""``sync``: deliver the journals of runs to the store, and end runs whose process was lost."""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mlproject.names import Artifact, Tag
from mlproject.store.client import Store
from mlproject.store.delivery import Delivery
from mlproject.store.errors import STORE_ERRORS, first_line, is_absent
from mlproject.store.journal import ARTIFACTS, JOURNAL, Journal, journals
from mlproject.store.liveness import is_terminated
from mlproject.system.errors import UserError
from mlproject.system.processes import parse_process

LOST = "its process was lost"


class Delivered(NamedTuple):
    """The result of `sync`.

    Attributes:
        runs: runs that were delivered or ended.
        failed: runs that still lack entries, and the reason.
        notes: runs that were delivered in part or recreated, and the details.
    """

    runs: list[str]
    failed: dict[str, str]
    notes: dict[str, str]


def sync(root: Path, store: Store) -> Delivered:
    """Deliver the pending entries of all journals below `root`.

    - Live runs are skipped: they deliver their own journals.
    - Runs whose process was lost end as KILLED, including those that have no journal yet.
    - Journals of finished runs are removed, and those of interrupted runs that were resumed or
      cannot be resumed.
    - Runs of a SQLite store whose file was replaced are made again in the new file.
    - An error of one run does not stop the others.
    """
    done = Delivered([], {}, {})
    resumed = _resumed(root)
    for journal in journals(root):
        try:
            _deliver(journal, store, done, resumed)
        except (UserError, *STORE_ERRORS) as error:
            if is_absent(error):
                _recreate(journal, store, done, resumed)
            else:
                done.failed[journal.run_id] = first_line(error)
    with suppress(*STORE_ERRORS):
        _end_unrecorded(root, store, done)
    _remove_unrecorded(root, store)
    return done


def _end_unrecorded(root: Path, store: Store, done: Delivered) -> None:
    """End lost runs of this machine that have no journal below `root`."""
    experiments = [one.experiment_id for one in store.client.search_experiments()]
    wanted = f"attributes.status = 'RUNNING' AND tags.`{Tag.PROCESS}` LIKE '%'"
    for run in store.search(experiments, wanted):
        run_id = run.info.run_id
        process = parse_process(run.data.tags[Tag.PROCESS])
        if process and process.gone and not (root / run_id / JOURNAL).exists():
            _end(store, run_id)
            done.runs.append(run_id)


def _remove_unrecorded(root: Path, store: Store) -> None:
    """Remove folders without a journal that belong to ended runs or lost processes.

    A process may be lost before it writes a journal, or after it downloads a state to resume.
    """
    for artifacts in root.glob(f"*/{ARTIFACTS}"):
        journal = Journal(artifacts.parent)
        if (journal.folder / JOURNAL).exists() or journal.is_live():
            continue
        owner = parse_process(journal.owner)
        with suppress(*STORE_ERRORS):
            gone = owner is not None and owner.gone
            if gone or is_terminated(store.client.get_run(journal.run_id)):
                journal.remove()


def _resumed(root: Path) -> set[str]:
    """Return the runs that another run resumed, if that run has written a state itself."""
    found: set[str] = set()
    for journal in journals(root):
        with suppress(OSError):
            if journal.status == "FINISHED" or _has_state(journal):
                tags = [
                    entry.content["values"] for entry in journal.entries() if entry.kind == "tags"
                ]
                found |= {values[Tag.RESUMES] for values in tags if Tag.RESUMES in values}
    return found


def _has_state(journal: Journal) -> bool:
    """Return whether a run has left a state, from which it can be resumed."""
    return any((journal.artifacts / Artifact.STATE).parent.glob("*.h5"))


def _end(store: Store, run_id: str) -> None:
    store.client.set_tag(run_id, Tag.FAILURE, LOST)
    store.client.set_terminated(run_id, "KILLED")


def _recreate(journal: Journal, store: Store, done: Delivered, resumed: set[str]) -> None:
    """Make a run again if the store has lost it; else report that the store never had it."""
    lost = journal.run_id
    if not store.has_lost(journal):
        origin = journal.origin.get("store") or "another store"
        reason = f"it was made in {origin}: set MLFLOW_TRACKING_URI to that, or"
        if origin == store.address:
            reason = "it was deleted for good:"
        done.failed[lost] = (
            f"the store {store.address} has no such run, {reason} remove {journal.folder} if it is "
            "not needed"
        )
        return
    try:
        made = store.recreate(journal)
        done.notes[made.run_id] = f"made again from {lost}, which the store has lost"
        _deliver(made, store, done, resumed)
    except (UserError, *STORE_ERRORS) as error:
        done.failed[lost] = first_line(error)


def _deliver(journal: Journal, store: Store, done: Delivered, resumed: set[str]) -> None:
    if journal.is_live():
        return
    if damaged := journal.damaged():
        numbers = ", ".join(map(str, damaged[:10])) + (", ..." if len(damaged) > 10 else "")
        done.notes[journal.run_id] = f"damaged lines of its journal were skipped: {numbers}"
    changed = bool(journal.pending())
    delivery = Delivery(journal, store.client)
    if changed:
        delivery.deliver()
    if _end_lost(journal, store) or changed:
        done.runs.append(journal.run_id)
    if _is_obsolete(journal, store, resumed):
        delivery.restore_artifacts()
        journal.remove()


def _end_lost(journal: Journal, store: Store) -> bool:
    """End a run as KILLED if its process is certainly gone and recorded no end.

    Returns:
        Whether the run was ended.
    """
    if journal.status is not None or journal.is_live():
        return False
    owner = parse_process(journal.owner)
    if journal.owner and not (owner and owner.gone):
        return False
    if is_terminated(store.client.get_run(journal.run_id)):
        return False
    _end(store, journal.run_id)
    return True


def _is_obsolete(journal: Journal, store: Store, resumed: set[str]) -> bool:
    """Return whether the journal of a delivered run can be removed."""
    run = store.client.get_run(journal.run_id)
    if "FINISHED" in (journal.status, run.info.status):
        return True
    continued = Tag.RESUMED_BY in run.data.tags or journal.run_id in resumed
    return is_terminated(run) and (continued or not _has_state(journal))
