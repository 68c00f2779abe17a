"""Copy finished runs from one tracking store to another: every entry except the logged model."""

import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from mlproject.names import Tag, is_project_tag
from mlproject.store.connection import StoreConnection
from mlproject.store.delivery import Delivery
from mlproject.store.entries import Entry
from mlproject.store.errors import STORE_ERRORS
from mlproject.store.journal import Journal
from mlproject.system.errors import UserError
from mlproject.system.masking import mask_addresses
from mlproject.system.processes import parse_process, this_process

COPIED_TAGS = (MLFLOW_RUN_NOTE, Tag.COMMIT)
LOCAL_TAGS = (  # they have no meaning in another store
    Tag.PROCESS, Tag.HEARTBEAT, Tag.MARK, Tag.TASK, Tag.SWEEP, Tag.SWEEP_PLACE, Tag.RESUMES,
    Tag.RESUMED_BY, Tag.WEIGHTS_OF, Tag.IMPORTED, Tag.IMPORTED_SHA256,
)  # fmt: skip


class Value(NamedTuple):
    """One value of a metric: its step, its time (ms after the run's start)."""

    metric: str
    step: int
    time: int
    value: float


class RecordedRun(NamedTuple):
    """A finished run as it was recorded.

    Attributes:
        run_id: its id where it was trained; an imported run keeps the id of the original.
        name: in the UI.
        started: ms since 1970.
        ended: ms since 1970.
        tags: without those that have a meaning only in the store where they were set.
        params: all parameters.
        inputs: data sets: ``name digest source profile context``.
        metrics: all values, by name and step.
        files: artifact path -> content.
    """

    run_id: str
    name: str
    started: int
    ended: int
    tags: dict[str, str]
    params: dict[str, str]
    inputs: list[dict[str, str]]
    metrics: list[Value]
    files: dict[str, bytes]


def read_run(
    store: StoreConnection, run: Run, suffixes: tuple[str, ...], more: tuple[str, ...] = ()
) -> RecordedRun:
    """Read a run from its store.

    Args:
        store: where it is.
        run: the run.
        suffixes: endings of the artifacts to read, such as ``.csv``.
        more: paths of further artifacts to read if they exist.
    """
    tags = run.data.tags
    copied = {
        key: mask_addresses(value)
        for key, value in tags.items()
        if (is_project_tag(key) and key not in LOCAL_TAGS) or key in COPIED_TAGS
    }
    return RecordedRun(
        tags.get(Tag.IMPORTED, run.info.run_id),
        " ".join(run.info.run_name.split()) or run.info.run_id,
        run.info.start_time,
        run.info.end_time,
        copied,
        {key: mask_addresses(value) for key, value in run.data.params.items()},
        _inputs(run),
        sorted(_values(store, run)),
        _files(store, run.info.run_id, suffixes, more),
    )


def _values(store: StoreConnection, run: Run) -> list[Value]:
    found = []
    for latest in run.data._metric_objs:
        history = [latest]
        if latest.step > 0:
            history = store.client.get_metric_history(run.info.run_id, latest.key)
        found += [
            Value(one.key, one.step, one.timestamp - run.info.start_time, one.value)
            for one in history
            if math.isfinite(one.value)
        ]
    return found


def _inputs(run: Run) -> list[dict[str, str]]:
    found = []
    for one in run.inputs.dataset_inputs if run.inputs else ():
        context = next((tag.value for tag in one.tags if tag.key == "mlflow.data.context"), "")
        found.append(
            {
                "name": one.dataset.name,
                "digest": one.dataset.digest,
                "source": mask_addresses(one.dataset.source),
                "profile": one.dataset.profile or "",
                "context": context,
            }
        )
    return sorted(found, key=lambda one: (one["name"], one["context"]))


def _files(
    store: StoreConnection, run_id: str, suffixes: tuple[str, ...], more: tuple[str, ...]
) -> dict[str, bytes]:
    def paths(folder: str | None = None) -> list[str]:
        found: list[str] = []
        for item in store.client.list_artifacts(run_id, folder):
            found += paths(item.path) if item.is_dir else [item.path]
        return found

    wanted = [path for path in paths() if path.endswith(suffixes) or path in more]
    with tempfile.TemporaryDirectory() as folder:
        return {
            path: store.download(run_id, path, Path(folder)).read_bytes() for path in sorted(wanted)
        }


def copy_run(
    store: StoreConnection,
    recorded: RecordedRun,
    experiment_id: str,
    tags: Mapping[str, str],
    run_id: str | None = None,
) -> str:
    """Write a recorded run to a store as a finished run, and return its id.

    The run is KILLED until it is complete, so that no other process takes it for a run in
    progress. A copy that fails is deleted. A copy that was cut off can be repeated: writing the
    same entries again changes nothing.

    Args:
        store: the target.
        recorded: the run to write.
        experiment_id: of the experiment.
        tags: further tags.
        run_id: of the run that an earlier call began or wrote; None: a new one.

    Raises:
        UserError: another process writes the same run.
        MlflowException, SQLAlchemyError, OSError: the store did not accept an entry.
    """
    client, process = store.client, str(this_process())
    finished = run_id is not None and client.get_run(run_id).info.status == "FINISHED"
    if run_id is None:
        first = {**tags, Tag.PROCESS: process, MLFLOW_RUN_NAME: recorded.name}
        created = client.create_run(experiment_id, recorded.started, first, recorded.name)
        run_id = created.info.run_id
    try:
        if not finished:
            client.update_run(run_id, status="KILLED")
            client.set_tag(run_id, Tag.PROCESS, process)
            _check_rivals(store, recorded, experiment_id, run_id)
        with tempfile.TemporaryDirectory() as folder:
            journal = Journal(Path(folder) / run_id)
            for path, content in recorded.files.items():
                target = journal.artifacts / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            journal.extend(_entries(recorded, tags))
            Delivery(journal, client, strict=True).deliver()
    except BaseException:
        if not finished:
            with suppress(*STORE_ERRORS):
                client.delete_run(run_id)
        raise
    return run_id


def is_being_copied(run: Run) -> bool:
    """Return whether another process on this machine writes the run with `copy_run`."""
    process = parse_process(run.data.tags.get(Tag.PROCESS, ""))
    return (
        run.info.status != "FINISHED"
        and process is not None
        and process.here
        and not process.gone
        and str(process) != str(this_process())
    )


def _check_rivals(
    store: StoreConnection, recorded: RecordedRun, experiment_id: str, run_id: str
) -> None:
    """Raise a `UserError` if another process writes the same run."""
    wanted = f"tags.`{Tag.IMPORTED}` = '{recorded.run_id}'"
    for other in store.client.search_runs([experiment_id], wanted):
        if other.info.run_id != run_id and is_being_copied(other):
            raise UserError(
                f"only one `import` may write a run: another one is at work on {recorded.name} "
                f"({other.info.run_id}); start again when it has ended"
            )


def _entries(recorded: RecordedRun, tags: Mapping[str, str]) -> Iterator[Entry]:
    """Yield the journal of a recorded run; the tags and the status come last."""
    yield Entry("params", {"values": recorded.params})
    for (step, time), values in _by_moment(recorded.metrics):
        yield Entry("metrics", {"values": values, "step": step, "time": recorded.started + time})
    for one in recorded.inputs:
        yield Entry("input", one)
    for path in recorded.files:
        yield Entry("artifact", {"path": path})
    yield Entry("tags", {"values": {**recorded.tags, **tags}})
    yield Entry("status", {"status": "FINISHED", "time": recorded.ended})


def _by_moment(metrics: list[Value]) -> Iterator[tuple[tuple[int, int], dict[str, float]]]:
    """Yield (step, time) and the values of that moment, each metric once."""
    moments: dict[tuple[int, int], list[dict[str, float]]] = {}
    for one in metrics:
        groups = moments.setdefault((one.step, one.time), [{}])
        if one.metric in groups[-1]:
            groups.append({})
        groups[-1][one.metric] = one.value
    for moment, groups in moments.items():
        yield from ((moment, values) for values in groups)
