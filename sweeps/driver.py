"""The driver: asks for cells, sends them to workers, tells what became of them."""

import queue
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mlproject.errors import UserError
from mlproject.interrupts import Interrupted, Interrupts, ignore_signals
from mlproject.journal import journals
from mlproject.tracking import STORE_ERRORS, Store, connect
from sweeps import CODE
from sweeps.cells import Cell, DataSets, plan_cells
from sweeps.ledger import Ledger, Parent, finished_outcome, finished_runs
from sweeps.lock import Lock, locked
from sweeps.plan import Plan, read_plan
from sweeps.pool import Event, Pool, open_pool
from sweeps.show import Show, make_show
from sweeps.worker import PRUNED, Job, Outcome

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
        self._sweep = f"sweep-{secrets.token_hex(8)}"
        self._running: dict[str, _Running] = {}
        self._waiting: list[tuple[float, Cell, bool]] = []
        self._attempts: dict[tuple[str, int | None], int] = {}
        self._exhausted = False
        self._stop_again = 0.0
        self.undelivered: str | None = None
        pool.listen(self._sweep)

    def run(self, interrupts: Interrupts) -> bool:
        """Work until all is done, or until interrupted; return whether it was.

        Raises:
            Interrupted: a second time.
            UserError: the scheduler is gone.
        """
        stopping = False
        while True:
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

    def _fill(self) -> None:
        slots = self._pool.slots
        while len(self._running) < slots:
            taken = self._next()
            if taken is None:
                return
            cell, anew = taken
            found = self._known.get(cell.spec_sha256)
            if found is not None:
                self._end(cell, finished_outcome(found))
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
        tags = {} if cell.trial is None else {"mlproject.trial": str(cell.trial)}
        job = Job(
            token=token,
            sweep=self._sweep,
            name=cell.name,
            options=cell.spec.flat(),
            spec_sha256=cell.spec_sha256,
            train_sha256=cell.train_sha256,
            home=str(self._settings.home),
            uri=self._store.uri,
            experiment_id=self._parent.tracker.experiment_id,
            parent=self._parent.run_id,
            tags=tags,
            backend=self._settings.backend,
            threads=self._settings.threads,
            anew=anew,
        )
        self._running[token] = _Running(cell)
        self._pool.submit(job)

    def _stop(self, by: str) -> None:
        self._show.say(f"{by}: running cells stop and can be resumed; again to stop at once")
        for token in [token for token, one in self._running.items() if not one.begun]:
            self._pool.cancel(token)
            del self._running[token]

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
        elif event.kind == "end":
            del self._running[event.token]
            self._ended(running.cell, event.token)

    def _ended(self, cell: Cell, token: str) -> None:
        crashed = False
        try:
            outcome = Outcome(**self._pool.result(token))
        except (
            Exception
        ) as error:  # a worker that was lost several times, a task that was cancelled
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
        self.undelivered = outcome.undelivered or self.undelivered
        self._end(cell, outcome)

    def _end(self, cell: Cell, outcome: Outcome) -> None:
        outcome = self._source.tell(cell, outcome)
        attempts = self._attempts.get((cell.spec_sha256, cell.trial), 0)
        self._ledger.add(cell, outcome, attempts)
        if attempts:
            self._show.result(cell, outcome)


def sweep(plan_path: Path, settings: Options) -> bool:
    """Do what a plan says; return whether all its cells are done.

    Raises:
        UserError: the plan, the data, the store or the workers cannot be used, or another driver
            works on the plan.
    """
    plan = read_plan(plan_path)
    store = connect()
    home = settings.home
    with locked(home / "runs" / f"{plan.name}.lock") as lock, Interrupts() as interrupts:
        data = DataSets(home / "data")
        source, ledger = make_source(plan, data, home)
        deliver_rest(home)
        parent = Parent(store, plan, home, settings.experiment)
        status: str = "FAILED"
        reason: str | None = "the driver has failed"
        pool, show = None, make_show(plan.name, settings.quiet)
        lost = 0
        try:
            lost = parent.end_lost("its process was lost")
            known = finished_runs(store, parent.tracker.experiment_id)
            pool = open_pool(
                settings.workers, settings.scheduler, settings.resources, settings.threads
            )
            with show, interrupts.deferred():
                driver = Driver(source, known, pool, parent, ledger, show, settings, store, lock)
                interrupted = driver.run(interrupts)
            status, reason = _verdict(ledger, interrupts.requested if interrupted else None)
        except (Interrupted, KeyboardInterrupt) as error:
            status, reason = "KILLED", str(error) or "interrupted"
            if pool is not None:
                pool.close(at_once=True)
        except UserError as error:
            reason = str(error)
            raise
        finally:
            ignore_signals()
            if pool is not None:
                pool.close()
            _close(parent, ledger, source, status, reason)
        if status != "KILLED":
            deliver_rest(home, tidy=True)
        show.summary(ledger, parent.run_id, lost)
        return ledger.complete


def _verdict(ledger: Ledger, interrupted: str | None) -> tuple[str, str | None]:
    if interrupted:
        return "KILLED", f"interrupted by {interrupted}: {ledger.line()}"
    if ledger.complete:
        return "FINISHED", None
    return "FAILED", ledger.line()


def _close(parent: Parent, ledger: Ledger, source: Source, status: str, reason: str | None) -> None:
    from sweeps.search import Searched

    ledger.running = 0
    try:
        parent.end_lost("its sweep was stopped at once" if status == "KILLED" else "it was lost")
    except (UserError, *STORE_ERRORS):
        pass
    if isinstance(source, Searched):
        from sweeps.figures import figures, write_trials

        parent.artifact("search/trials.csv", lambda path: write_trials(source.study, path))
        for name, write in figures(source.study):
            try:
                parent.artifact(name, write)
            except (ValueError, RuntimeError, ZeroDivisionError):
                continue
    parent.publish(ledger, force=True)
    parent.finish(status, reason)


def make_source(plan: Plan, data: DataSets, home: Path) -> tuple[Any, Ledger]:
    """Return where the plan's cells come from, and the ledger for them."""
    if plan.search is None:
        cells = plan_cells(plan, data)
        cost = sum(cell.cost for cell in cells)
        return Grid(cells), Ledger(len(cells), [("best_val_auroc", True)], cost)
    from sweeps.search import Searched

    search = Searched(plan, data, home)
    for line in search.space.left_out:
        print(f"{plan.name}: {line}", file=sys.stderr)
    ledger = Ledger(search.total, search.best_by)
    for cell, outcome in search.ended():
        ledger.add(cell, outcome, 0)
    return search, ledger


def deliver_rest(home: Path, tidy: bool = False) -> None:
    """Deliver what earlier runs could not, in a process of its own: it may need keras.

    Args:
        home: folder of ``runs``.
        tidy: also remove the folders of runs that nobody needs any more.
    """
    left = (one for one in journals(home / "runs") if not one.is_live())
    if any(tidy or one.pending() for one in left):
        code = f"import sys; sys.path[:0] = {list(CODE)!r}; from mlproject.cli import main; main()"
        subprocess.run(
            [sys.executable, "-c", code, "sync"],
            cwd=home,
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
