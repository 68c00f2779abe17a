"""Find runs in the tracking store, tell live from lost ones, and end the lost ones."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlflow.entities import RunStatus

from mlproject.names import Artifact, Tag, tag
from mlproject.store.connection import StoreConnection
from mlproject.store.delivery import deliver
from mlproject.store.errors import STORE_ERRORS, first_line
from mlproject.store.journal import JOURNAL, Journal
from mlproject.system import processes
from mlproject.system.errors import UserError
from mlproject.system.numbers import whole_number
from mlproject.system.processes import parse_process

METRIC_VERSION = "1"
DAY = 86_400.0  # seconds


def find_runs(store: StoreConnection, experiment_id: str, **tags: str) -> list[Any]:
    """Return the runs of an experiment, newest first.

    Args:
        store: where to look.
        experiment_id: the experiment.
        tags: required values of the tags ``mlproject.NAME``; "": any value.
    """
    names = {"parent": Tag.PARENT}
    conditions = [
        f"tags.`{names.get(name, tag(name))}` " + (f"= '{value}'" if value else "LIKE '%'")
        for name, value in tags.items()
    ]
    return [*store.search([experiment_id], " AND ".join(conditions), "start_time DESC")]


def is_terminated(run: Any) -> bool:
    """Return whether a run has ended: finished, failed or killed."""
    return bool(RunStatus.is_terminated(RunStatus.from_string(run.info.status)))


def is_alive(run: Any, root: Path = Path("runs")) -> bool:
    """Return whether a process works on a run that has not ended.

    A process on this machine must exist. A process elsewhere must have sent a heartbeat within ten
    minutes. If the journal of the run is on this machine, it must be live too, because the process
    may have ended this run and work on another.

    Args:
        run: of the tracking store.
        root: folder of the journals.
    """
    if is_terminated(run):
        return False
    folder = root / run.info.run_id
    if (folder / JOURNAL).exists() and not Journal(folder).is_live():
        return False
    process = parse_process(run.data.tags.get(Tag.PROCESS, ""))
    return processes.is_alive(process, last_heartbeat(run))


def last_heartbeat(run: Any) -> float:
    """Return the time of a run's last heartbeat, else of its start, seconds since 1970.

    A heartbeat that is no number, or more than a day ahead, does not count.
    """
    with suppress(ValueError):
        found = float(run.data.tags.get(Tag.HEARTBEAT, ""))
        if 0 < found < time.time() + DAY:
            return found
    return float(run.info.start_time / 1000)


def metric_version(run: Any) -> int:
    """Return the version of a run's metrics, 0 if it has none."""
    text = run.data.tags.get(Tag.METRIC_VERSION, "")
    return whole_number(text) or 0


def counts_as_done(store: StoreConnection, run: Any) -> bool:
    """Return whether a run is the result of its spec.

    It must be FINISHED with metrics of this version. A run that was imported without weights may
    have an older version, because only a new training could update its metrics.
    """
    if run.info.status != "FINISHED":
        return False
    if metric_version(run) >= int(METRIC_VERSION):
        return True
    return Tag.IMPORTED in run.data.tags and not store.client.list_artifacts(
        run.info.run_id, Artifact.WEIGHTS_FOLDER
    )


def end_dead(store: StoreConnection, run: Any, reason: str, root: Path = Path("runs")) -> None:
    """Record the end of a run whose process was lost.

    If the journal of the run contains its end, the journal is delivered instead.

    Args:
        store: where the run is.
        run: a run that has not ended in the store.
        reason: why it is ended.
        root: folder of the journals.

    Raises:
        UserError: the store cannot be written.
    """
    journal = Journal(root / run.info.run_id)
    try:
        if journal.status is not None:
            deliver(journal, store.client)
            return
        store.client.set_tag(run.info.run_id, Tag.FAILURE, reason[:5000])
        store.client.set_terminated(run.info.run_id, "KILLED")
    except STORE_ERRORS as error:
        raise UserError(
            f"run `{run.info.run_id}` could not be ended: {first_line(error)}"
        ) from error
