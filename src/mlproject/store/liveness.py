"""Which runs the tracking store has, which of them are alive, and the end of those that are not."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlproject.names import Artifact, Tag, tag
from mlproject.store import STORE_ERRORS, Store, deliver, first_line, is_terminated
from mlproject.store.journal import JOURNAL, Journal
from mlproject.system import processes
from mlproject.system.errors import UserError
from mlproject.system.processes import parse_process

PAGE = 500
METRIC_VERSION = "1"


def find_runs(store: Store, experiment_id: str, **tags: str) -> list[Any]:
    """Return the runs of an experiment, newest first.

    Args:
        store: where to look.
        experiment_id: the experiment.
        tags: what ``mlproject.NAME`` must be; None as value: that it is there at all.
    """
    names = {"parent": Tag.PARENT}
    conditions = [
        f"tags.`{names.get(name, tag(name))}` " + (f"= '{value}'" if value else "LIKE '%'")
        for name, value in tags.items()
    ]
    found: list[Any] = []
    token = None
    while True:
        page = store.client.search_runs(
            [experiment_id],
            " AND ".join(conditions),
            max_results=PAGE,
            order_by=["attributes.start_time DESC"],
            page_token=token,
        )
        found += page
        token = page.token
        if not token:
            return found


def is_alive(run: Any, root: Path = Path("runs")) -> bool:
    """Return whether somebody works on a run that has not ended.

    On this machine its process must be there; elsewhere it must have told something within ten
    minutes. Where its local record is here, that must be open too: the process may have ended this
    run and be at work on another.

    Args:
        run: of the tracking store.
        root: folder of the local records.
    """
    if is_terminated(run):
        return False
    record = root / run.info.run_id
    if (record / JOURNAL).exists() and not Journal(record).is_live():
        return False
    process = parse_process(run.data.tags.get(Tag.PROCESS, ""))
    return processes.is_alive(process, last_heartbeat(run))


def last_heartbeat(run: Any) -> float:
    """Return the time of a run's last heartbeat, else of its start, seconds since 1970."""
    started = run.info.start_time / 1000
    with suppress(ValueError):
        return float(run.data.tags.get(Tag.HEARTBEAT, "")) or float(started)
    return float(started)


def metric_version(run: Any) -> int:
    """Return the version of a run's metrics, 0 where it tells none."""
    text = run.data.tags.get(Tag.METRIC_VERSION, "")
    return int(text) if text.isdecimal() else 0


def counts_as_done(store: Store, run: Any) -> bool:
    """Return whether a run is the result of its spec.

    It has to be FINISHED, with metrics of this version; of an older one if it was imported without
    weights, since nothing but a new training could give others.
    """
    if run.info.status != "FINISHED":
        return False
    if metric_version(run) >= int(METRIC_VERSION):
        return True
    return Tag.IMPORTED in run.data.tags and not store.client.list_artifacts(
        run.info.run_id, Artifact.WEIGHTS_FOLDER
    )


def end_dead(
    store: Store, run: Any, reason: str, status: str = "KILLED", root: Path = Path("runs")
) -> None:
    """Record the end of a run whose process could not do so any more.

    If its local record knows how it ended, that is delivered instead.

    Args:
        store: where the run is.
        run: not ended there.
        reason: why it is ended.
        status: how.
        root: folder of the local records.

    Raises:
        UserError: the store cannot be written.
    """
    journal = Journal(root / run.info.run_id)
    try:
        if journal.status is not None:
            deliver(journal, store.client)
            return
        store.client.set_tag(run.info.run_id, Tag.FAILURE, reason[:5000])
        store.client.set_terminated(run.info.run_id, status)
    except STORE_ERRORS as error:
        raise UserError(
            f"run `{run.info.run_id}` could not be ended: {first_line(error)}"
        ) from error


def tag_run(store: Store, run_id: str, tags: Mapping[str, str]) -> None:
    """Set tags ``mlproject.NAME`` of a run, ended or not."""
    for name, value in tags.items():
        store.client.set_tag(run_id, tag(name), value)
