"""Whole runs out of a tracking store and into another: all that a run has told, but its model."""

import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from mlproject.names import Tag, is_project_tag, tag
from mlproject.store.basis import STORE_ERRORS
from mlproject.store.client import Store
from mlproject.store.opening import connect
from mlproject.system.errors import UserError
from mlproject.system.masking import mask_addresses
from mlproject.system.processes import parse_process, this_process

BATCH = 800
KEPT_TAGS = (MLFLOW_RUN_NOTE, Tag.COMMIT)
LOCAL_TAGS = tuple(
    tag(name)
    for name in (
        "process", "heartbeat", "mark", "task", "sweep", "resumes", "resumed_by", "weights_of",
        "imported", "imported_sha256",
    )
)  # fmt: skip


class Value(NamedTuple):
    """One value of a metric: its step, its time (ms after the run's start)."""

    metric: str
    step: int
    time: int
    value: float


class Told(NamedTuple):
    """What a finished run has told.

    Attributes:
        run_id: where it was made; an imported run has the id of the original.
        name: in the UI.
        started: ms since 1970.
        ended: ms since 1970.
        tags: without those that only mean something in the store where it was made.
        params: all.
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


def told_by(store: Store, run: Run, suffixes: tuple[str, ...], more: tuple[str, ...] = ()) -> Told:
    """Return what a run has told.

    Args:
        store: where it is.
        run: one of it.
        suffixes: of the artifacts that are wanted, such as ``.csv``.
        more: paths of further artifacts, where they exist.
    """
    tags = run.data.tags
    kept = {
        key: mask_addresses(value)
        for key, value in tags.items()
        if (is_project_tag(key) and key not in LOCAL_TAGS) or key in KEPT_TAGS
    }
    return Told(
        tags.get(Tag.IMPORTED, run.info.run_id),
        " ".join(run.info.run_name.split()) or run.info.run_id,
        run.info.start_time,
        run.info.end_time,
        kept,
        {key: mask_addresses(value) for key, value in run.data.params.items()},
        _inputs(run),
        sorted(_values(store, run)),
        _files(store, run.info.run_id, suffixes, more),
    )


@contextmanager
def temporary_store() -> Iterator[Store]:
    """Open an empty store, with an experiment ``runs``, that is gone afterwards."""
    names = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID")
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    with tempfile.TemporaryDirectory() as folder:
        try:
            store = connect(f"sqlite:///{folder}/mlflow.db")
            store.client.create_experiment("runs", (Path(folder) / "artifacts").as_uri())
            yield store
        finally:
            for name in names:
                os.environ.pop(name, None)
            os.environ |= before
            mlflow.set_tracking_uri(before.get("MLFLOW_TRACKING_URI", ""))


def _values(store: Store, run: Run) -> list[Value]:
    found = []
    for latest in run.data._metric_objs:
        every = [latest]
        if latest.step > 0:
            every = store.client.get_metric_history(run.info.run_id, latest.key)
        found += [
            Value(one.key, one.step, one.timestamp - run.info.start_time, one.value)
            for one in every
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
    store: Store, run_id: str, suffixes: tuple[str, ...], more: tuple[str, ...]
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


def tell_again(
    store: Store, told: Told, experiment_id: str, tags: Mapping[str, str], run_id: str | None = None
) -> str:
    """Make a finished run of what one has told, and return its id.

    Until all is told the run counts as killed, so that nothing looks as if somebody worked on it.
    What fails is deleted again; what was cut off can be done once more: telling the same again
    changes nothing.

    Args:
        store: where to.
        told: by a run.
        experiment_id: of the experiment.
        tags: set as well.
        run_id: of the run that an earlier call has made; None: a new one.

    Raises:
        UserError: another process has begun the same run.
    """
    client, process = store.client, str(this_process())
    finished = run_id is not None and client.get_run(run_id).info.status == "FINISHED"
    if run_id is None:
        first = {**tags, Tag.PROCESS: process, MLFLOW_RUN_NAME: told.name}
        run_id = client.create_run(experiment_id, told.started, first, told.name).info.run_id
    try:
        if not finished:
            client.update_run(run_id, status="KILLED")
            client.set_tag(run_id, Tag.PROCESS, process)
            _withdraw_from_others(store, told, experiment_id, run_id)
        _tell_all(client, told, run_id, tags)
        client.set_terminated(run_id, "FINISHED", told.ended)
    except BaseException:
        if not finished:
            with suppress(*STORE_ERRORS):
                client.delete_run(run_id)
        raise
    return run_id


def is_told_now(run: Run) -> bool:
    """Return whether a process on this machine is about to make the run, see `tell_again`."""
    process = parse_process(run.data.tags.get(Tag.PROCESS, ""))
    return (
        run.info.status != "FINISHED"
        and process is not None
        and process.here
        and not process.gone
        and str(process) != str(this_process())
    )


def _withdraw_from_others(store: Store, told: Told, experiment_id: str, run_id: str) -> None:
    """Raise a `UserError` where another process is about to make the same run."""
    others = store.client.search_runs([experiment_id], f"tags.`{Tag.IMPORTED}` = '{told.run_id}'")
    for other in others:
        if other.info.run_id != run_id and is_told_now(other):
            raise UserError(
                f"only one `import` may write a run: another one is at work on {told.name} "
                f"({other.info.run_id}); start again when it has ended"
            )


def _tell_all(
    client: mlflow.MlflowClient, told: Told, run_id: str, tags: Mapping[str, str]
) -> None:
    values: list[Any] = [Param(*pair) for pair in told.params.items()]
    for start in range(0, len(values), 100):
        client.log_batch(run_id, params=values[start : start + 100])
    values = [
        Metric(one.metric, one.value, told.started + one.time, one.step) for one in told.metrics
    ]
    for start in range(0, len(values), BATCH):
        client.log_batch(run_id, metrics=values[start : start + BATCH])
    inputs = [
        DatasetInput(
            Dataset(one["name"], one["digest"], "local", one["source"], profile=one["profile"]),
            [InputTag("mlflow.data.context", one["context"])],
        )
        for one in told.inputs
    ]
    if inputs:
        client.log_inputs(run_id, inputs)
    with tempfile.TemporaryDirectory() as folder:
        for path, content in told.files.items():
            target = Path(folder) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        if told.files:
            client.log_artifacts(run_id, folder)
    values = [RunTag(key, value) for key, value in {**told.tags, **tags}.items()]
    for start in range(0, len(values), 100):
        client.log_batch(run_id, tags=values[start : start + 100])
