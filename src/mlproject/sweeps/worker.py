"""One cell in a worker process: found done, taken up again, or run. The driver never imports keras.

Nothing here is trusted to be told: a worker, the driver and the scheduler may be killed at any
moment. What a cell has to know it reads from the tracking store when it begins.
"""

import gc
import importlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import psutil
from distributed import Worker, get_worker
from distributed.core import Status

from mlproject.architectures import make_spec
from mlproject.names import Tag
from mlproject.store import STORE_ERRORS, connect, first_line, liveness
from mlproject.sweeps import records
from mlproject.sweeps.claims import claim, rival, supersede, tidy
from mlproject.sweeps.job import OLDER, PRUNED, Job, Outcome
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupted

STORE_SECONDS = 600.0
MEMORY_GROWTH = 128 * 2**20

Result = TypeVar("Result")

_stops: dict[str, str] = {}
_memory: int | None = None


def stop(token: str, reason: str) -> None:
    """Stop the cells of a token, or of a sweep's, before their next step."""
    _stops[token] = reason


def probe() -> str:
    """Return where this worker's code comes from: it can run cells."""
    return str(Path(__file__).parent)


def run_cell(content: Mapping[str, Any]) -> dict[str, Any]:
    """Do the cell of a `Job`, as a task of a dask worker, and return its `Outcome` as a dict."""
    begun = time.time()
    job, worker = Job(**content), get_worker()
    outcome = _attempt(job, worker)
    _stops.pop(job.token, None)
    clock = time.perf_counter()
    _forget_models()
    clean_up = time.perf_counter() - clock
    times = {"begun": begun, "ended": time.time(), "clean_up": clean_up}
    return outcome._replace(times=times)._asdict()


def _attempt(job: Job, worker: Worker) -> Outcome:
    """Run a cell; however it ends is an outcome."""
    asked = _Stop(job, worker, str(worker.get_current_task()))
    records.begin(job.token)
    try:
        return _run(job, worker, asked)
    except Interrupted as error:
        status = {PRUNED: "PRUNED", OLDER: "ELSEWHERE"}.get(asked.reason.split(":")[0], "KILLED")
        return Outcome(status, asked.run_id, reason=first_line(error))
    except Exception as error:
        name = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        return Outcome("FAILED", asked.run_id, reason=name + first_line(error))
    finally:
        records.end(job.token)


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
    from mlproject.run.run import run
    from mlproject.run.stages import Settings

    worker.log_event(job.sweep, {"kind": "start", "token": job.token})
    store = _patiently(lambda: connect(job.uri), asked)
    _patiently(lambda: store.run(job.parent), asked)
    records.settle(store, Path(job.home) / "runs")

    def tell(text: str) -> None:
        worker.log_event(job.sweep, {"kind": "note", "token": job.token, "text": text})

    claimed = _patiently(lambda: claim(store, job, tell), asked)
    if isinstance(claimed, Outcome):
        return claimed

    def on_start(run_id: str) -> None:
        asked.run_id = run_id
        records.note_started(run_id)

    def on_epoch(epoch: int, values: Mapping[str, float]) -> None:
        message = {"kind": "epoch", "token": job.token, "epoch": epoch}
        worker.log_event(job.sweep, {**message, "values": dict(values)})
        try:
            older = rival(store, job, asked.run_id)
        except STORE_ERRORS:
            return
        if older:
            asked.reason = asked.reason or f"{OLDER}: {older}"

    settings = Settings(
        home=Path(job.home),
        name=job.name,
        parent=job.parent,
        tags={**job.tags, Tag.TASK: job.token},
        quiet=True,
        should_stop=asked,
        dataset_sha256=job.dataset_sha256,
        on_start=on_start,
        on_epoch=on_epoch,
    )
    if asked():
        raise Interrupted(f"interrupted by {asked.reason}")
    try:
        done = run(make_spec(job.options), settings, claimed)
    except Interrupted:
        if asked.reason == PRUNED and asked.run_id:
            liveness.tag_run(store, asked.run_id, {"trial_state": "PRUNED"})
        raise
    finally:
        tidy(job, claimed)
    if not done.undelivered:
        supersede(store, job, done.run_id)
    return Outcome("FINISHED", done.run_id, done.metrics, undelivered=done.undelivered)


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

    from mlproject.system.startup import prepare_keras

    if "keras" not in sys.modules:
        prepare_keras(job.backend, job.threads)
        importlib.import_module("mlproject.run.run")
        gc.freeze()
    elif job.backend and sys.modules["keras"].backend.backend() != job.backend:
        raise UserError(
            f"`backend` must be the worker's: got {job.backend}, it has loaded "
            f"{sys.modules['keras'].backend.backend()}; start new workers"
        )


def _forget_models() -> None:
    """Let go of what Keras keeps of a model: a worker runs many.

    To look through all objects at once takes most of a second, so it is done after the first cell,
    whose survivors are libraries and not looked at again, and then when memory has grown. Python
    collects the rest as it goes.
    """
    global _memory  # noqa: PLW0603
    import sys

    if "keras" not in sys.modules:
        return
    sys.modules["keras"].utils.clear_session(free_memory=False)
    process = psutil.Process()
    if _memory is None or process.memory_info().rss > _memory + MEMORY_GROWTH:
        gc.collect()
        if _memory is None:
            gc.freeze()
        _memory = process.memory_info().rss
