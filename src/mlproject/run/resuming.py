"""How a run ends early, and how another run continues from it: resumed, or with its weights."""

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlproject.architectures import recorded_spec, trust
from mlproject.data import Dataset
from mlproject.names import Artifact, Tag
from mlproject.network.checkpoint import earlier, usable
from mlproject.network.memory import lacks_memory
from mlproject.network.protocol import Epoch
from mlproject.network.saving import check_sha256
from mlproject.network.training_state import check_state, check_version
from mlproject.run.context import Previous, RunContext, RunResult, Source, Trained
from mlproject.run.stages import WEIGHT_COLUMNS
from mlproject.spec import RunSpec
from mlproject.store import STORE_ERRORS, Store, connect, deliver, first_line
from mlproject.store.journal import JOURNAL, Journal
from mlproject.store.liveness import find_runs, is_alive
from mlproject.store.runs import SHORT_ID
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupted
from mlproject.system.processes import this_process


def find_previous(run_id: str, home: Path = Path(), trusted: bool = False) -> Previous:
    """Return the interrupted run `run_id` with its spec and state, downloaded if necessary.

    If the newest state is damaged, the state before it is returned and a line on stderr says so.

    Args:
        run_id: the run.
        home: folder of ``runs``.
        trusted: the copy of the model's file in the run may be executed where the file is missing
            or has changed.

    Raises:
        UserError: the run does not exist, is not of this project, has finished or is alive, or
            has no usable state.
    """
    store = connect()
    found = store.run(run_id)
    run_id = found.info.run_id
    tags, folder = found.data.tags, home / "runs" / run_id
    if Tag.SPEC not in tags:
        raise UserError(
            f"`resume` must name a run of this project: got {run_id}, which has no spec"
        )
    if found.info.status == "FINISHED":
        raise UserError(f"`resume` must name an interrupted run: got {run_id}, which has finished")
    if is_alive(found, home / "runs"):
        raise UserError(
            f"`resume` must name an interrupted run: {run_id} is alive; interrupt it first"
        )
    for other in find_runs(store, found.info.experiment_id, resumes=run_id):
        if is_alive(other, home / "runs"):
            raise UserError(
                f"`resume` must name a run that no other resumes: {run_id} goes on as "
                f"{other.info.run_id}; wait for it or interrupt it"
            )
    spec = recorded_spec(json.loads(tags[Tag.SPEC]))
    check_version(spec)
    if trusted and spec.model_sha256:
        _trust_copy(store, run_id, spec, folder)
    state = folder / "artifacts" / Artifact.STATE
    if not (state.exists() or earlier(state).exists()):
        if not Journal(folder).entries():
            Journal(folder).own(str(this_process()))  # `sync` removes it when this process is gone
        state = store.download(run_id, Artifact.STATE, folder)
    chosen = usable(state)
    if chosen != state:
        print(f"the state of run {run_id} is damaged: the one before it is used", file=sys.stderr)
    return Previous(run_id, spec, chosen, tags.get(Tag.DATASET_SHA256, ""))


def _trust_copy(store: Store, run_id: str, spec: RunSpec, folder: Path) -> None:
    """Let the copy of the model's file in a run be executed.

    Raises:
        UserError: it is not the file that the run began with.
    """
    local = folder / "artifacts" / Artifact.MODEL_FILE
    path = local if local.is_file() else store.download(run_id, Artifact.MODEL_FILE, folder)
    check_sha256(path, spec.model_sha256)
    trust(path)


def check_previous(previous: Previous, spec: RunSpec, data: Dataset) -> None:
    """Raise a `UserError` if the spec or the data differ from those of the interrupted run."""
    if previous.dataset_sha256 and previous.dataset_sha256 != data.sha256:
        raise UserError(
            f"`resume` needs the data of run {previous.run_id}, sha256 "
            f"{previous.dataset_sha256[:12]}: {spec.dataset} has {data.sha256[:12]}; restore the "
            "old data, or start a new run"
        )
    check_state(previous.state, spec, data.train, data.valid, data.task)


def find_trained(run_id: str, home: Path) -> Trained:
    """Download the best weights and the epochs of the finished run `run_id` to a folder in `home`.

    Raises:
        UserError: the weights or the history are missing or damaged.
    """
    store = connect()
    folder = home / "runs" / run_id / "reused"
    folder.mkdir(parents=True, exist_ok=True)
    known = json.loads(store.run(run_id).data.tags.get(Tag.ARTIFACT_SHA256, "{}"))
    names = (Artifact.WEIGHTS, Artifact.HISTORY)
    files = [store.download(run_id, name, folder) for name in names]
    for path, name in zip(files, names, strict=True):
        check_sha256(path, known.get(name))
    with files[1].open(newline="", encoding="utf-8") as file:
        rows = [
            {key: float(text) for key, text in row.items() if text} for row in csv.DictReader(file)
        ]
    history = [_epoch(row) for row in rows]
    if not history:
        raise UserError(f"run `{run_id}` must have a history to be used again: it is empty")
    return Trained(run_id, files[0], history)


def _epoch(row: dict[str, float]) -> Epoch:
    weights = {
        name.removeprefix(WEIGHT_COLUMNS): row.pop(name)
        for name in [*row]
        if WEIGHT_COLUMNS in name
    }
    return Epoch(int(row.pop("epoch")), row, row.pop("seconds"), False, weights)


def complete(run_id: str) -> RunResult | None:
    """Deliver the rest of a run that finished, but whose process was lost before the delivery.

    Returns:
        The run, None if it is no such run and has to be resumed.
    """
    if SHORT_ID.fullmatch(run_id):
        run_id = connect().full_id(run_id)
    folder = Path("runs") / run_id
    journal = Journal(folder)
    if not (folder / JOURNAL).is_file() or journal.status != "FINISHED" or journal.is_live():
        return None
    store = connect()
    try:
        deliver(journal, store.client)
        found = store.run(run_id)
    except STORE_ERRORS as error:
        return RunResult(run_id, {}, first_line(error))
    journal.remove()
    return RunResult(run_id, dict(found.data.metrics), None)


@contextmanager
def recorded_failure(context: RunContext, source: Source) -> Iterator[None]:
    """Record the end and the reason of a run whose ``with`` block raises; then raise it again.

    Raises:
        Interrupted: a signal ended the run; the message says how to resume it.
        UserError: the memory or the disk was exhausted.
    """
    try:
        yield
    except BaseException as error:
        with context.interrupts.deferred():
            interrupted = isinstance(error, Interrupted | KeyboardInterrupt)
            name = "" if interrupted else f"{type(error).__name__}: "
            with suppress(OSError):
                context.tracker.artifact_if_there(Artifact.STATE)
            context.tracker.finish("KILLED" if interrupted else "FAILED", name + first_line(error))
            resumable = _resumable(context, source)
        if interrupted:
            raise Interrupted(
                f"run {context.tracker.run_id} stopped ({first_line(error)}); "
                + (
                    f"to go on: resume={resumable}"
                    if resumable
                    else "it had not begun: start it again"
                )
            ) from error
        if lacks_memory(error):
            raise UserError(
                f"a run must fit into memory: '{first_line(error)}'; take a smaller network or "
                "batch_size, or a machine with more"
            ) from error
        disk = isinstance(error, OSError) or isinstance(error.__cause__, OSError)
        if disk and isinstance(error, OSError | UserError):
            then = f"then go on with resume={resumable}" if resumable else "then start again"
            raise UserError(
                f"a run must be able to write its files: '{first_line(error)}'; make room, {then}"
            ) from error
        raise


def _resumable(context: RunContext, source: Source) -> str | None:
    """Return the id of the run to resume: this one, else the one before it, else None."""
    with suppress(UserError):
        usable(context.tracker.journal.artifacts / Artifact.STATE)
        return context.tracker.run_id
    return (source.run_id or None) if isinstance(source, Previous) else None
