"""The driver of a sweep: it asks for cells, sends them to workers and records their outcomes."""

import queue
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from distributed import KilledWorker

from mlproject.names import Tag
from mlproject.sweeps.cell_source import CellSource
from mlproject.sweeps.cells import Cell
from mlproject.sweeps.display import Display
from mlproject.sweeps.ledger import Ledger
from mlproject.sweeps.lock import PlanLock
from mlproject.sweeps.options import SweepOptions
from mlproject.sweeps.run_state import outcome_of
from mlproject.sweeps.sweep_run import SweepRun
from mlproject.sweeps.task import PRUNED, CellTask, Outcome
from mlproject.sweeps.workers import WorkerEvent, Workers
from mlproject.system.interrupts import Interrupted, Interrupts

WAIT_SECONDS = 0.25
ELSEWHERE_SECONDS = 20.0
STOP_SECONDS = 2.0


@dataclass
class _Submission:
    """A cell that was sent to the workers."""

    cell: Cell
    begun: bool = False


class _Waiting(NamedTuple):
    """A cell to submit again, at the earliest at the time `due` of the monotonic clock."""

    due: float
    cell: Cell
    from_start: bool


class Driver:
    """A running sweep."""

    def __init__(
        self,
        source: CellSource,
        known: Mapping[str, Any],
        workers: Workers,
        parent: SweepRun,
        ledger: Ledger,
        display: Display,
        options: SweepOptions,
        lock: PlanLock,
    ) -> None:
        """Make a driver; `known` are finished runs by `spec_sha256`."""
        self._source, self._known, self._workers = source, known, workers
        self._parent, self._ledger, self._display = parent, ledger, display
        self._options, self._lock = options, lock
        self._ended: dict[str, tuple[str, ...]] = {}
        self._sweep = f"sweep-{secrets.token_hex(8)}"
        self._running: dict[str, _Submission] = {}
        self._waiting: list[_Waiting] = []
        self._attempts: dict[tuple[str, int | None], int] = {}
        self._over = set(known)
        self._exhausted = False
        self._stop_again = 0.0
        workers.listen(self._sweep)

    def run(self, interrupts: Interrupts) -> bool:
        """Run until all cells have ended or a signal came; return whether a signal came.

        Raises:
            Interrupted: a second signal came.
            UserError: the scheduler is lost.
        """
        stopping = False
        while True:
            if interrupts.repeated:
                raise Interrupted(f"interrupted by {interrupts.requested}, twice")
            if interrupts.requested and not stopping:
                stopping = True
                self._stop(interrupts.requested)
            if stopping and time.monotonic() > self._stop_again:  # to new workers, too
                self._workers.stop(self._sweep, str(interrupts.requested))
                self._stop_again = time.monotonic() + STOP_SECONDS
            if not stopping:
                self._fill()
            if not self._running and (stopping or (self._exhausted and not self._waiting)):
                return stopping
            self._workers.check()
            self._handle_events()
            self._ledger.running = len(self._running)
            self._lock.touch()
            self._parent.publish(self._ledger)
            self._display.update(self._ledger, [one.cell for one in self._running.values()])

    @property
    def ended(self) -> set[str]:
        """Tokens of submissions that have ended: no process works on their runs."""
        return {token for tokens in self._ended.values() for token in tokens}

    def _fill(self) -> None:
        slots = self._workers.slots
        while len(self._running) < slots:
            taken = self._next()
            if taken is None:
                return
            cell, from_start = taken
            found = self._known.get(cell.spec_sha256)
            if found is not None:
                self._end(cell, outcome_of(found, self._options.home / "runs"))
            else:
                self._submit(cell, from_start)

    def _next(self) -> tuple[Cell, bool] | None:
        now = time.monotonic()
        for item in self._waiting:
            if item.due <= now:
                self._waiting.remove(item)
                return item.cell, item.from_start
        cell = self._source.ask()
        self._exhausted = cell is None
        return None if cell is None else (cell, False)

    def _submit(self, cell: Cell, from_start: bool) -> None:
        token = secrets.token_hex(8)
        tags = {} if cell.trial is None else {Tag.TRIAL: str(cell.trial)}
        task = CellTask(
            token=token,
            sweep=self._sweep,
            name=cell.name,
            options=cell.spec.flat(),
            spec_sha256=cell.spec_sha256,
            train_sha256=cell.train_sha256,
            dataset_sha256=cell.dataset_sha256,
            home=str(self._options.home),
            uri=self._parent.store.uri,
            experiment_id=self._parent.experiment_id,
            parent=self._parent.run_id,
            tags=tags,
            backend=self._options.backend,
            threads=self._options.threads,
            from_start=from_start,
            ended=self._ended.get(cell.spec_sha256, ()),
            check=self._options.check,
            together=self._group(cell),
        )
        self._running[token] = _Submission(cell)
        self._workers.submit(task)

    def _group(self, cell: Cell) -> tuple[Mapping[str, Any], ...]:
        """Return the specs of the seeds to train together with a cell; () if it is alone."""
        group = self._source.group(cell) if self._options.together else []
        rest = [one for one in group if one is cell or one.spec_sha256 not in self._over]
        return tuple(one.spec.flat() for one in rest) if len(rest) > 1 else ()

    def _stop(self, by: str) -> None:
        self._display.say(f"{by}: running cells stop and can be resumed; again to stop at once")
        for token in [token for token, one in self._running.items() if not one.begun]:
            self._workers.cancel(token)
            self._note_end(self._running.pop(token).cell, token)

    def _handle_events(self) -> None:
        try:
            event = self._workers.events.get(timeout=WAIT_SECONDS)
            while True:
                self._handle(event)
                event = self._workers.events.get_nowait()
        except queue.Empty:
            return

    def _handle(self, event: WorkerEvent) -> None:
        running = self._running.get(event.token)
        if running is None:
            return
        if event.kind == "start":
            running.begun = True
        elif event.kind == "epoch":
            epoch, values = int(event.content["epoch"]), event.content["values"]
            self._display.epoch(running.cell, epoch, values)
            if self._source.report(running.cell, epoch, values):
                self._workers.stop(event.token, PRUNED)
        elif event.kind == "note":
            self._display.say(f"{running.cell.name}: {event.content['text']}")
        elif event.kind == "end":
            del self._running[event.token]
            self._note_end(running.cell, event.token)
            self._take_outcome(running.cell, event.token)

    def _note_end(self, cell: Cell, token: str) -> None:
        self._ended[cell.spec_sha256] = (*self._ended.get(cell.spec_sha256, ()), token)

    def _take_outcome(self, cell: Cell, token: str) -> None:
        crashed = False
        try:
            outcome = Outcome(**self._workers.result(token))
        except KilledWorker as error:
            crashed = True
            outcome = Outcome("FAILED", None, reason=self._workers.reason_lost(error))
        except Exception as error:  # a task that was cancelled
            crashed = True
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
            outcome = Outcome("FAILED", None, reason=reason)
        if outcome.status == "ELSEWHERE":
            self._display.say(f"{cell.name}: {outcome.reason}; asking again later")
            self._waiting.append(_Waiting(time.monotonic() + ELSEWHERE_SECONDS, cell, False))
            return
        if outcome.status == "KILLED":
            self._waiting.append(_Waiting(time.monotonic(), cell, False))
            return
        key = (cell.spec_sha256, cell.trial)
        attempts = self._attempts[key] = self._attempts.get(key, 0) + 1
        if outcome.status == "FAILED" and attempts <= self._options.retries:
            self._display.say(f"{cell.name}: {outcome.reason}; attempt {attempts + 1} follows")
            self._waiting.append(_Waiting(time.monotonic(), cell, not crashed))
            return
        self._end(cell, outcome)

    def _end(self, cell: Cell, outcome: Outcome) -> None:
        self._over.add(cell.spec_sha256)
        outcome = self._source.tell(cell, outcome)
        attempts = self._attempts.get((cell.spec_sha256, cell.trial), 0)
        self._ledger.add(cell, outcome, attempts)
        if attempts:
            self._display.result(cell, outcome)
