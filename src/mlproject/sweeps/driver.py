"""The driver: asks for cells, sends them to workers, tells what became of them."""

import queue
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from distributed import KilledWorker

from mlproject.names import Tag
from mlproject.store import Store
from mlproject.sweeps.cells import Cell
from mlproject.sweeps.job import PRUNED, Job, Outcome
from mlproject.sweeps.ledger import Ledger, Parent
from mlproject.sweeps.lock import Lock
from mlproject.sweeps.records import outcome_of
from mlproject.sweeps.show import Show
from mlproject.sweeps.workers import Event, Pool
from mlproject.system.interrupts import Interrupted, Interrupts

WAIT_SECONDS = 0.25
ELSEWHERE_SECONDS = 20.0
STOP_SECONDS = 2.0


class Options(NamedTuple):
    """How a plan is run; none of it changes a result.

    Attributes:
        home: folder of ``data`` and ``runs``.
        experiment: name of the MLflow experiment.
        workers: processes on this machine, None for one a core.
        scheduler: address of a running Dask scheduler instead.
        resources: what a cell takes of a worker's resources.
        retries: further attempts of a cell that failed.
        backend: Keras', default as the environment says.
        threads: each process on this machine computes with.
        quiet: show nothing.
    """

    home: Path
    experiment: str | None = None
    workers: int | None = None
    scheduler: str | None = None
    resources: Mapping[str, float] = {}
    retries: int = 1
    backend: str | None = None
    threads: int = 1
    quiet: bool = False


class Source(Protocol):
    """Where cells come from: a grid, or a search."""

    total: int

    def ask(self) -> Cell | None: ...

    def tell(self, cell: Cell, outcome: Outcome) -> Outcome: ...

    def report(self, cell: Cell, epoch: int, values: Mapping[str, float]) -> bool: ...


class Grid:
    """The cells of a grid, one after the other."""

    def __init__(self, cells: list[Cell]) -> None:
        self.total = len(cells)
        self._cells = iter(cells)

    def ask(self) -> Cell | None:
        """Return the next cell, None after the last."""
        return next(self._cells, None)

    def tell(self, cell: Cell, outcome: Outcome) -> Outcome:
        """Return the outcome as it is."""
        return outcome

    def report(self, cell: Cell, epoch: int, values: Mapping[str, float]) -> bool:
        """Return that nothing is pruned."""
        return False


class _Running:
    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.begun = False
        self.seconds = time.monotonic()


class Driver:
    """One sweep under way."""

    def __init__(
        self,
        source: Source,
        known: Mapping[str, Any],
        pool: Pool,
        parent: Parent,
        ledger: Ledger,
        show: Show,
        settings: Options,
        store: Store,
        lock: Lock,
    ) -> None:
        self._source, self._known, self._pool = source, known, pool
        self._parent, self._ledger, self._show = parent, ledger, show
        self._settings, self._store, self._lock = settings, store, lock
        self._ended: dict[str, tuple[str, ...]] = {}
        self._sweep = f"sweep-{secrets.token_hex(8)}"
        self._running: dict[str, _Running] = {}
        self._waiting: list[tuple[float, Cell, bool]] = []
        self._attempts: dict[tuple[str, int | None], int] = {}
        self._exhausted = False
        self._stop_again = 0.0
        pool.listen(self._sweep)

    def run(self, interrupts: Interrupts) -> bool:
        """Work until all is done, or until interrupted; return whether it was.

        Raises:
            Interrupted: a second time.
            UserError: the scheduler is gone.
        """
        stopping = False
        while True:
            if interrupts.repeated:
                raise Interrupted(f"interrupted by {interrupts.requested}, twice")
            if interrupts.requested and not stopping:
                stopping = True
                self._stop(interrupts.requested)
            if stopping and time.monotonic() > self._stop_again:  # to workers started meanwhile
                self._pool.stop(self._sweep, str(interrupts.requested))
                self._stop_again = time.monotonic() + STOP_SECONDS
            if not stopping:
                self._fill()
            if not self._running and (stopping or (self._exhausted and not self._waiting)):
                return stopping
            self._pool.check()
            self._handle_events()
            self._ledger.running = len(self._running)
            self._lock.touch()
            self._parent.publish(self._ledger)
            self._show.update(self._ledger, [one.cell for one in self._running.values()])

    @property
    def ended(self) -> set[str]:
        """Tokens of submissions that have ended: nobody works on their runs."""
        return {token for tokens in self._ended.values() for token in tokens}

    def _fill(self) -> None:
        slots = self._pool.slots
        while len(self._running) < slots:
            taken = self._next()
            if taken is None:
                return
            cell, anew = taken
            found = self._known.get(cell.spec_sha256)
            if found is not None:
                self._end(cell, outcome_of(found, self._settings.home / "runs"))
            else:
                self._submit(cell, anew)

    def _next(self) -> tuple[Cell, bool] | None:
        now = time.monotonic()
        for item in self._waiting:
            if item[0] <= now:
                self._waiting.remove(item)
                return item[1], item[2]
        cell = self._source.ask()
        self._exhausted = cell is None
        return None if cell is None else (cell, False)

    def _submit(self, cell: Cell, anew: bool) -> None:
        token = secrets.token_hex(8)
        tags = {} if cell.trial is None else {Tag.TRIAL: str(cell.trial)}
        job = Job(
            token=token,
            sweep=self._sweep,
            name=cell.name,
            options=cell.spec.flat(),
            spec_sha256=cell.spec_sha256,
            train_sha256=cell.train_sha256,
            dataset_sha256=cell.dataset_sha256,
            home=str(self._settings.home),
            uri=self._store.uri,
            experiment_id=self._parent.tracker.experiment_id,
            parent=self._parent.run_id,
            tags=tags,
            backend=self._settings.backend,
            threads=self._settings.threads,
            anew=anew,
            ended=self._ended.get(cell.spec_sha256, ()),
        )
        self._running[token] = _Running(cell)
        self._pool.submit(job)

    def _stop(self, by: str) -> None:
        self._show.say(f"{by}: running cells stop and can be resumed; again to stop at once")
        for token in [token for token, one in self._running.items() if not one.begun]:
            self._pool.cancel(token)
            self._note_end(self._running.pop(token).cell, token)

    def _handle_events(self) -> None:
        try:
            event = self._pool.events.get(timeout=WAIT_SECONDS)
            while True:
                self._handle(event)
                event = self._pool.events.get_nowait()
        except queue.Empty:
            return

    def _handle(self, event: Event) -> None:
        running = self._running.get(event.token)
        if running is None:
            return
        if event.kind == "start":
            running.begun = True
        elif event.kind == "epoch":
            epoch, values = int(event.content["epoch"]), event.content["values"]
            self._show.epoch(running.cell, epoch, values)
            if self._source.report(running.cell, epoch, values):
                self._pool.stop(event.token, PRUNED)
        elif event.kind == "note":
            self._show.say(f"{running.cell.name}: {event.content['text']}")
        elif event.kind == "end":
            del self._running[event.token]
            self._note_end(running.cell, event.token)
            self._hear_end(running.cell, event.token)

    def _note_end(self, cell: Cell, token: str) -> None:
        self._ended[cell.spec_sha256] = (*self._ended.get(cell.spec_sha256, ()), token)

    def _hear_end(self, cell: Cell, token: str) -> None:
        crashed = False
        try:
            outcome = Outcome(**self._pool.result(token))
        except KilledWorker as error:
            crashed = True
            outcome = Outcome("FAILED", None, reason=self._pool.lost(error))
        except Exception as error:  # a task that was cancelled
            crashed = True
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
            outcome = Outcome("FAILED", None, reason=reason)
        if outcome.status == "ELSEWHERE":
            self._show.say(f"{cell.name}: {outcome.reason}; asking again later")
            self._waiting.append((time.monotonic() + ELSEWHERE_SECONDS, cell, False))
            return
        if outcome.status == "KILLED":
            self._waiting.append((time.monotonic(), cell, False))
            return
        key = (cell.spec_sha256, cell.trial)
        attempts = self._attempts[key] = self._attempts.get(key, 0) + 1
        if outcome.status == "FAILED" and attempts <= self._settings.retries:
            self._show.say(f"{cell.name}: {outcome.reason}; attempt {attempts + 1} follows")
            self._waiting.append((time.monotonic(), cell, not crashed))
            return
        self._end(cell, outcome)

    def _end(self, cell: Cell, outcome: Outcome) -> None:
        outcome = self._source.tell(cell, outcome)
        attempts = self._attempts.get((cell.spec_sha256, cell.trial), 0)
        self._ledger.add(cell, outcome, attempts)
        if attempts:
            self._show.result(cell, outcome)
