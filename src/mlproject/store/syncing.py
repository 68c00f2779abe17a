"""``sync``: what runs have recorded here and the store does not have yet."""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mlproject.names import Artifact, Tag
from mlproject.store.basis import (
    STORE_ERRORS,
    first_line,
    is_absent,
    is_terminated,
)
from mlproject.store.client import Store
from mlproject.store.delivery import Delivery
from mlproject.store.journal import ARTIFACTS, JOURNAL, Journal, journals
from mlproject.system.errors import UserError
from mlproject.system.processes import parse_process

LOST = "its process was lost"


class Delivered(NamedTuple):
    """What `sync` did.

    Attributes:
        runs: brought up to date.
        failed: runs that still miss something, and why.
        notes: runs of which something was left out, and what.
    """

    runs: list[str]
    failed: dict[str, str]
    notes: dict[str, str]


def sync(root: Path, store: Store) -> Delivered:
    """Deliver what the runs below `root` have recorded and the store does not have yet.

    Runs that somebody works on are left alone: they deliver themselves. Runs whose process was
    lost end as KILLED. The folders of finished runs, of what was added to them, and of interrupted
    ones that were taken up again or left nothing to go on from, are removed. What one run lacks
    stops no other. Runs of a SQLite store whose file is another by now are made anew. Runs whose
    process was lost before it could record anything here, which the store alone knows, end as
    KILLED too.
    """
    done = Delivered([], {}, {})
    taken_up = _taken_up(root)
    for journal in journals(root):
        try:
            _bring_up_to_date(journal, store, done, taken_up)
        except (UserError, *STORE_ERRORS) as error:
            if is_absent(error):
                _make_anew(journal, store, done, taken_up)
            else:
                done.failed[journal.run_id] = first_line(error)
    with suppress(*STORE_ERRORS):
        _end_unrecorded(root, store, done)
    _remove_unrecorded(root, store)
    return done


def _end_unrecorded(root: Path, store: Store, done: Delivered) -> None:
    """End the runs that this machine has made and that have no record below `root`."""
    experiments = [one.experiment_id for one in store.client.search_experiments()]
    wanted = f"attributes.status = 'RUNNING' AND tags.`{Tag.PROCESS}` LIKE '%'"
    for run in store.client.search_runs(experiments, wanted) if experiments else ():
        run_id = run.info.run_id
        process = parse_process(run.data.tags[Tag.PROCESS])
        if process and process.gone and not (root / run_id / JOURNAL).exists():
            _end(store, run_id)
            done.runs.append(run_id)


def _remove_unrecorded(root: Path, store: Store) -> None:
    """Remove folders without a journal: of ended runs, or of processes that are gone.

    These were lost before they wrote one, or had fetched something to go on from.
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


def _taken_up(root: Path) -> set[str]:
    """Return the runs that other runs have resumed which by now have a state of their own."""
    found: set[str] = set()
    for journal in journals(root):
        with suppress(OSError):
            if journal.status == "FINISHED" or _has_state(journal):
                told = [
                    entry.content["values"] for entry in journal.entries() if entry.kind == "tags"
                ]
                found |= {values[Tag.RESUMES] for values in told if Tag.RESUMES in values}
    return found


def _has_state(journal: Journal) -> bool:
    """Return whether a run has left something to go on from."""
    return any((journal.artifacts / Artifact.STATE).parent.glob("*.h5"))


def _end(store: Store, run_id: str) -> None:
    store.client.set_tag(run_id, Tag.FAILURE, LOST)
    store.client.set_terminated(run_id, "KILLED")


def _make_anew(journal: Journal, store: Store, done: Delivered, taken_up: set[str]) -> None:
    """Make a run that the store does not have once more, if it is the store that was lost."""
    lost = journal.run_id
    if not store.has_lost(journal):
        place = journal.origin.get("store") or "another store"
        done.failed[lost] = (
            f"the store {store.address} has no such run, it was made in {place}: set "
            f"MLFLOW_TRACKING_URI to that, or remove {journal.folder} if nobody needs it"
        )
        return
    try:
        made = store.make_anew(journal)
        done.notes[made.run_id] = f"made anew of {lost}, which the store has lost"
        _bring_up_to_date(made, store, done, taken_up)
    except (UserError, *STORE_ERRORS) as error:
        done.failed[lost] = first_line(error)


def _bring_up_to_date(journal: Journal, store: Store, done: Delivered, taken_up: set[str]) -> None:
    if journal.is_live():
        return
    if damaged := journal.damaged():
        numbers = ", ".join(map(str, damaged[:10])) + (", ..." if len(damaged) > 10 else "")
        done.notes[journal.run_id] = f"lines of its journal are damaged and left out: {numbers}"
    changed = bool(journal.pending())
    delivery = Delivery(journal, store.client)
    if changed:
        delivery.deliver()
    if end_lost(journal, store) or changed:
        done.runs.append(journal.run_id)
    if _needed_no_more(journal, store, taken_up):
        delivery.restore_artifacts()
        journal.remove()


def end_lost(journal: Journal, store: Store) -> bool:
    """End a run as KILLED whose process is gone for certain and has not recorded an end.

    Returns:
        Whether it was so.
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


def _needed_no_more(journal: Journal, store: Store, taken_up: set[str]) -> bool:
    """Return whether a run that the store has whole needs no local record any more."""
    run = store.client.get_run(journal.run_id)
    if "FINISHED" in (journal.status, run.info.status):
        return True
    gone_on = Tag.RESUMED_BY in run.data.tags or journal.run_id in taken_up
    return is_terminated(run) and (gone_on or not _has_state(journal))
