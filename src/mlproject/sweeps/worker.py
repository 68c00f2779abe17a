"""Run one cell in a worker process. The driver never imports keras.

A worker, the driver and the scheduler may be killed at any moment. So a cell does not rely on
messages: it reads the state of earlier runs from the tracking store when it begins.
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
from mlproject.store import STORE_ERRORS, connect, first_line, is_hopeless
from mlproject.sweeps import run_state
from mlproject.sweeps.earlier_runs import find_rival, find_start, remove_fetched, tag_resumed
from mlproject.sweeps.rival_watch import RivalWatch
from mlproject.sweeps.task import OLDER, PRUNED, CellTask, Outcome
from mlproject.sweeps.together import forget, train_group
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupted

STORE_SECONDS = 600.0
MEMORY_GROWTH = 128 * 2**20

Result = TypeVar("Result")

_stops: dict[str, str] = {}
_memory: int | None = None


def stop(token: str, reason: str) -> None:
    """Stop the cell of a token, or all cells of a sweep, before the next step."""
    _stops[token] = reason


def probe() -> str:
    """Return the folder of this worker's code; the import of the package has succeeded."""
    return str(Path(__file__).parent)


def run_cell(content: Mapping[str, Any]) -> dict[str, Any]:
    """Run the cell of a `CellTask` in a Dask worker; return its `Outcome` as a dict."""
    begun = time.time()
    task, worker = CellTask(**content), get_worker()
    outcome = _attempt(task, worker)
    _stops.pop(task.token, None)
    clock = time.perf_counter()
    _forget_models()
    clean_up = time.perf_counter() - clock
    times = {"begun": begun, "ended": time.time(), "clean_up": clean_up}
    return outcome._replace(times=times)._asdict()


def _attempt(task: CellTask, worker: Worker) -> Outcome:
    """Run a cell; turn every end of it into an outcome."""
    request = _StopRequest(task, worker, str(worker.get_current_task()))
    run_state.begin(task.token)
    try:
        return _run(task, worker, request)
    except Interrupted as error:
        status = {PRUNED: "PRUNED", OLDER: "ELSEWHERE"}.get(request.reason.split(":")[0], "KILLED")
        return Outcome(status, request.run_id, reason=first_line(error))
    except Exception as error:
        name = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        return Outcome("FAILED", request.run_id, reason=name + first_line(error))
    finally:
        run_state.end(task.token)


class _StopRequest:
    """Reason for which a cell has to stop, '' if there is none; called before each step."""

    def __init__(self, task: CellTask, worker: Worker, key: str) -> None:
        self._task, self._worker, self._key = task, worker, key
        self.reason = ""
        self.run_id: str | None = None

    def __call__(self) -> str:
        if not self.reason:
            self.reason = _stops.get(self._task.token) or _stops.get(self._task.sweep) or ""
        if not self.reason and self._worker.status not in (Status.running, Status.paused):
            self.reason = "the end of its worker"
        if not self.reason:
            known = self._worker.state.tasks.get(self._key)
            if known is None or known.state not in ("executing", "long-running"):
                self.reason = "the loss of its driver"
        return self.reason


def _run(task: CellTask, worker: Worker, request: _StopRequest) -> Outcome:
    os.makedirs(task.home, exist_ok=True)
    os.chdir(task.home)
    os.environ["MLFLOW_EXPERIMENT_ID"] = task.experiment_id
    _prepare(task)
    from mlproject.network.vouching import ensure_checked
    from mlproject.run.context import Settings, Trained
    from mlproject.run.run import run

    worker.log_event(task.sweep, {"kind": "start", "token": task.token})
    store = _retry(lambda: connect(task.uri), request)
    _retry(lambda: store.run(task.parent), request)
    run_state.deliver_ends(store, Path(task.home) / "runs")

    def note(text: str) -> None:
        worker.log_event(task.sweep, {"kind": "note", "token": task.token, "text": text})

    start = _retry(lambda: find_start(store, task, note), request)
    if isinstance(start, Outcome):
        return start
    if not isinstance(start, Trained):
        ensure_checked(Path(task.home), task.check)

    def on_start(run_id: str) -> None:
        request.run_id = run_id
        run_state.note_started(run_id)

    def show_epoch(epoch: int, values: Mapping[str, float]) -> None:
        message = {"kind": "epoch", "token": task.token, "epoch": epoch}
        worker.log_event(task.sweep, {**message, "values": dict(values)})

    watch = RivalWatch(lambda: find_rival(store, task, request.run_id))

    def on_epoch(epoch: int, values: Mapping[str, float]) -> None:
        show_epoch(epoch, values)
        if rival := watch.look():
            request.reason = request.reason or f"{OLDER}: {rival}"

    settings = Settings(
        home=Path(task.home),
        name=task.name,
        parent=task.parent,
        tags={**task.tags, Tag.TASK: task.token},
        quiet=True,
        should_stop=request,
        dataset_sha256=task.dataset_sha256,
        on_start=on_start,
        on_epoch=on_epoch,
    )
    if request():
        raise Interrupted(f"interrupted by {request.reason}")
    begun = start
    try:
        if task.together and not isinstance(start, Trained):
            begun = train_group(task, request, note, show_epoch)
            if isinstance(begun, Outcome):
                return begun
        done = run(make_spec(task.options), settings, begun)
    except Interrupted:
        if request.reason == PRUNED and request.run_id:
            store.set_tags(request.run_id, {Tag.TRIAL_STATE: "PRUNED"})
        raise
    finally:
        remove_fetched(task, start)
    if task.together:
        forget(task)
    if not done.undelivered:
        tag_resumed(store, task, done.run_id)
    return Outcome("FINISHED", done.run_id, done.metrics, undelivered=done.undelivered)


def _retry(ask: Callable[[], Result], request: _StopRequest) -> Result:
    """Return the answer of the store; while it is away ask again, for ten minutes."""
    until = time.monotonic() + STORE_SECONDS
    while True:
        try:
            return ask()
        except (UserError, *STORE_ERRORS) as error:
            cause = error.__cause__ if isinstance(error, UserError) else error
            away = isinstance(cause, STORE_ERRORS) and not is_hopeless(cause)
            if not away or time.monotonic() > until:
                raise
        if reason := request():
            raise Interrupted(f"interrupted by {reason}")
        time.sleep(2.0)


def _prepare(task: CellTask) -> None:
    import sys

    from mlproject.system.startup import prepare_keras

    if "keras" not in sys.modules:
        prepare_keras(task.backend, task.threads)
        importlib.import_module("mlproject.run.run")
        gc.freeze()
    elif task.backend and sys.modules["keras"].backend.backend() != task.backend:
        raise UserError(
            f"`backend` must be the worker's: got {task.backend}, it has loaded "
            f"{sys.modules['keras'].backend.backend()}; start new workers"
        )


def _forget_models() -> None:
    """Release what Keras keeps of a model, since a worker runs many cells.

    A full garbage collection takes most of a second. It runs after the first cell, whose surviving
    objects belong to libraries and are frozen, and later only when memory has grown.
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
