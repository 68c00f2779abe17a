"""One cell in a worker process: found done, taken up again, or run. The driver never imports keras.

Nothing here is trusted to be told: a worker, the driver and the scheduler may be killed at any
moment. What a cell has to know it reads from the tracking store when it begins.
"""

import gc
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from distributed import Worker, get_worker
from distributed.core import Status

from mlproject import runs
from mlproject.architectures import make_spec
from mlproject.errors import UserError
from mlproject.interrupts import Interrupted
from mlproject.tracking import STORE_ERRORS, Store, connect, first_line, is_terminated

STORE_SECONDS = 600.0
PRUNED, OLDER = "the pruner", "an older run"

Result = TypeVar("Result")

_stops: dict[str, str] = {}


class Job(NamedTuple):
    """A cell as it travels to a worker; see `Outcome` for what comes back.

    Attributes:
        token: of this submission: a run that has it already was cut off and is dead.
        sweep: of this driver; stops and reports go by it.
        name: the run's.
        options: the spec's flat fields.
        spec_sha256: what the cell is known by.
        train_sha256: the same without the interpretation.
        home: folder of ``data`` and ``runs``.
        uri: tracking store.
        experiment_id: where runs belong.
        parent: the sweep's run.
        tags: further tags.
        backend: Keras', None as the worker's environment says.
        threads: each process computes with.
        anew: do not go on from a state.
    """

    token: str
    sweep: str
    name: str
    options: Mapping[str, Any]
    spec_sha256: str
    train_sha256: str
    home: str
    uri: str
    experiment_id: str
    parent: str
    tags: Mapping[str, str]
    backend: str | None
    threads: int
    anew: bool


class Outcome(NamedTuple):
    """How a cell's attempt ended.

    Attributes:
        status: FINISHED, KILLED (interrupted, can be taken up), PRUNED, FAILED, ELSEWHERE (a run of
            the same cell is alive).
        run_id: of the run; None if there was none.
        metrics: the final ones.
        reason: why it is not FINISHED.
        undelivered: why the store lacks something.
    """

    status: str
    run_id: str | None = None
    metrics: Mapping[str, float] = {}
    reason: str = ""
    undelivered: str | None = None


def stop(token: str, reason: str) -> None:
    """Stop the cells of a token, or of a sweep's, before their next step."""
    _stops[token] = reason


def probe() -> str:
    """Return where this worker's code comes from: it can run cells."""
    return str(Path(__file__).parent)


def run_cell(content: Mapping[str, Any]) -> dict[str, Any]:
    """Do the cell of a `Job`, as a task of a dask worker, and return its `Outcome` as a dict."""
    job, worker = Job(**content), get_worker()
    asked = _Stop(job, worker, str(worker.get_current_task()))
    try:
        return _run(job, worker, asked)._asdict()
    except Interrupted as error:
        status = {PRUNED: "PRUNED", OLDER: "ELSEWHERE"}.get(asked.reason.split(":")[0], "KILLED")
        return Outcome(status, asked.run_id, reason=first_line(error))._asdict()
    except Exception as error:
        name = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        return Outcome("FAILED", asked.run_id, reason=name + first_line(error))._asdict()
    finally:
        _stops.pop(job.token, None)
        _forget_models()


class _Stop:
    """Says, cheaply, whether a cell has to stop: it is asked before each step."""

    def __init__(self, job: Job, worker: Worker, key: str) -> None:
        self._job, self._worker, self._key = job, worker, key
        self.reason = ""
        self.run_id: str | None = None

    def __call__(self) -> str:
        if not self.reason:
            self.reason = _stops.get(self._job.token) or _stops.get(self._job.sweep) or ""
        if not self.reason and self._worker.status not in (Status.running, Status.paused):
            self.reason = "the end of its worker"
        if not self.reason:
            task = self._worker.state.tasks.get(self._key)
            if task is None or task.state not in ("executing", "long-running"):
                self.reason = "the loss of its driver"
        return self.reason


def _run(job: Job, worker: Worker, asked: _Stop) -> Outcome:
    os.makedirs(job.home, exist_ok=True)
    os.chdir(job.home)
    os.environ["MLFLOW_EXPERIMENT_ID"] = job.experiment_id
    _prepare(job)
    from mlproject.run import run
    from mlproject.stages import Settings

    worker.log_event(job.sweep, {"kind": "start", "token": job.token})
    store = _patiently(lambda: connect(job.uri), asked)
    _patiently(lambda: store.run(job.parent), asked)
    claimed = _patiently(lambda: _claim(store, job), asked)
    if isinstance(claimed, Outcome):
        return claimed

    def on_start(run_id: str) -> None:
        asked.run_id = run_id

    def on_epoch(epoch: int, values: Mapping[str, float]) -> None:
        message = {"kind": "epoch", "token": job.token, "epoch": epoch}
        worker.log_event(job.sweep, {**message, "values": dict(values)})
        try:
            rival = _rival(store, job, asked.run_id)
        except STORE_ERRORS:
            return
        if rival:
            asked.reason = asked.reason or f"{OLDER}: {rival}"

    settings = Settings(
        home=Path(job.home),
        name=job.name,
        parent=job.parent,
        tags={**job.tags, "mlproject.task": job.token},
        quiet=True,
        should_stop=asked,
        on_start=on_start,
        on_epoch=on_epoch,
    )
    if asked():
        raise Interrupted(f"interrupted by {asked.reason}")
    try:
        done = run(make_spec(job.options), settings, claimed)
    except Interrupted:
        if asked.reason == PRUNED and asked.run_id:
            runs.tag_run(store, asked.run_id, {"trial_state": "PRUNED"})
        raise
    finally:
        _tidy(job, claimed)
    if not done.undelivered:
        _supersede(store, job, done.run_id)
    return Outcome("FINISHED", done.run_id, done.metrics, undelivered=done.undelivered)


def _claim(store: Store, job: Job) -> Any:
    """Return an `Outcome` if nothing is to be done, else what to go on from, or None."""
    from mlproject.run import find_trained

    known = runs.find_runs(store, job.experiment_id, spec_sha256=job.spec_sha256)
    for run in known:
        if run.info.status == "FINISHED":
            return Outcome("FINISHED", run.info.run_id, dict(run.data.metrics))
    interrupted = []
    for run in known:
        if is_terminated(run):
            interrupted.append(run)
        elif run.data.tags.get("mlproject.task") != job.token and runs.is_alive(run):
            return Outcome("ELSEWHERE", run.info.run_id, reason="a run of this cell is alive")
        else:
            runs.end_dead(store, run, "its process was lost")
            interrupted.append(run)
    if not job.anew:
        for run in interrupted:
            if found := _state(run.info.run_id, job, run.data.tags.get("mlproject.backend", "")):
                return found
    folder = Path(job.home) / "runs" / f"reuse-{job.token}"
    for run in runs.find_runs(store, job.experiment_id, train_sha256=job.train_sha256):
        if run.info.status == "FINISHED":
            try:
                return find_trained(run.info.run_id, folder)
            except UserError:
                continue
    return None


def _supersede(store: Store, job: Job, run_id: str) -> None:
    """Tag earlier, interrupted runs of the cell: nobody needs what they left."""
    with suppress(*STORE_ERRORS):
        for run in runs.find_runs(store, job.experiment_id, spec_sha256=job.spec_sha256):
            ended = run.info.status in ("KILLED", "FAILED")
            if ended and "mlproject.resumed_by" not in run.data.tags:
                runs.tag_run(store, run.info.run_id, {"resumed_by": run_id})


def _state(run_id: str, job: Job, backend: str) -> Any:
    """Return an interrupted run to go on from, None if it left no state that can be read."""
    import keras

    from mlproject.checkpoint import read_history
    from mlproject.run import find_previous

    if backend.split(" ", maxsplit=1)[0] != keras.backend.backend():
        return None
    try:
        found = find_previous(run_id, Path(job.home))
        return found if read_history(found.state) else None
    except UserError:
        return None


def _tidy(job: Job, claimed: Any) -> None:
    """Remove what was fetched for this run alone."""
    folder = Path(job.home) / "runs"
    shutil.rmtree(folder / f"reuse-{job.token}", ignore_errors=True)
    if claimed is not None and not (folder / claimed.run_id / "journal.jsonl").exists():
        shutil.rmtree(folder / claimed.run_id, ignore_errors=True)


def _rival(store: Store, job: Job, own: str | None) -> str | None:
    """Return the run to which this one has to leave the cell: done, or alive and older."""
    known = {
        run.info.run_id: run
        for run in runs.find_runs(store, job.experiment_id, spec_sha256=job.spec_sha256)
    }
    mine = known.pop(own or "", None)
    if mine is None:
        return None
    if is_terminated(mine):
        return "it was taken for dead"
    age = (mine.info.start_time, mine.info.run_id)
    for run_id, run in known.items():
        older = (run.info.start_time, run_id) < age and runs.is_alive(run)
        same_task = run.data.tags.get("mlproject.task") == job.token
        if run.info.status == "FINISHED" or (older and not same_task):
            return run_id
    return None


def _patiently(ask: Callable[[], Result], asked: Callable[[], str]) -> Result:
    """Ask the store; while it is away ask again, for ten minutes."""
    until = time.monotonic() + STORE_SECONDS
    while True:
        try:
            return ask()
        except (UserError, *STORE_ERRORS) as error:
            missing = getattr(error.__cause__, "error_code", "") == "RESOURCE_DOES_NOT_EXIST"
            if missing or time.monotonic() > until:
                raise
        if reason := asked():
            raise Interrupted(f"interrupted by {reason}")
        time.sleep(2.0)


def _prepare(job: Job) -> None:
    import sys

    from mlproject.startup import prepare_keras

    if "keras" not in sys.modules:
        prepare_keras(job.backend, job.threads)
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    elif job.backend and sys.modules["keras"].backend.backend() != job.backend:
        raise UserError(
            f"`backend` must be the worker's: got {job.backend}, it has loaded "
            f"{sys.modules['keras'].backend.backend()}; start new workers"
        )


def _forget_models() -> None:
    """Free what Keras keeps of a model: a worker runs many."""
    import sys

    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session()
        gc.collect()
