"""Run one plan: open the store, the lock and the workers, run the driver, close everything."""

import os
import subprocess
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from mlproject.store import STORE_ERRORS, check_registry, connect, register
from mlproject.store.journal import journals
from mlproject.store.registry import BEST
from mlproject.sweeps import SOURCE
from mlproject.sweeps.cell_source import CellSource
from mlproject.sweeps.cells import DataSets, plan_cells
from mlproject.sweeps.display import REPORTED, make_display
from mlproject.sweeps.driver import Driver
from mlproject.sweeps.ledger import Ledger
from mlproject.sweeps.lock import PlanLock, plan_lock
from mlproject.sweeps.options import SweepOptions
from mlproject.sweeps.pages import sweep_pages
from mlproject.sweeps.plan import Plan
from mlproject.sweeps.plan_file import read_plan
from mlproject.sweeps.run_state import finished_runs
from mlproject.sweeps.sweep_run import SweepRun
from mlproject.sweeps.together import in_groups
from mlproject.sweeps.workers import Workers, open_workers
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupted, Interrupts, ignore_signals
from mlproject.system.yaml_file import one_line


def run_plan(path: Path, options: SweepOptions) -> bool:
    """Run the cells of a plan; return whether all are done.

    Raises:
        UserError: the plan, the data, the store or the workers cannot be used, or another driver
            runs the plan.
    """
    plan = read_plan(path)
    store = connect()
    if options.register:
        check_registry(store, options.register)
    home = options.home
    try:
        with (
            plan_lock(home / "runs" / f"{plan.name}.lock") as lock,
            Interrupts(defers_second=True) as interrupts,
        ):
            source, ledger = make_source(plan, DataSets(home / "data"), home, options.together)
            deliver_rest(home)
            parent = SweepRun(store, plan, home, options.experiment)
            if parent.note:
                print(f"note: {parent.note}", file=sys.stderr)
            return _run_cells(options, source, ledger, parent, lock, interrupts)
    except Interrupted as error:
        print(f"{error} before the sweep began", file=sys.stderr)
        return False


def _run_cells(
    options: SweepOptions,
    source: CellSource,
    ledger: Ledger,
    parent: SweepRun,
    lock: PlanLock,
    interrupts: Interrupts,
) -> bool:
    home = options.home
    display = make_display(
        parent.plan.name, options.quiet, ledger.ranked_by if parent.plan.search else REPORTED
    )
    status = "FAILED"
    reason: str | None = "the driver has failed"
    workers: Workers | None = None
    driver: Driver | None = None
    lost = 0
    try:
        lost = parent.end_lost("its process was lost")
        known = finished_runs(parent.store, parent.experiment_id, home / "runs")
        interrupts.check()
        workers = _open_workers(options, interrupts)
        if workers.warning:
            display.say(workers.warning)
        interrupts.check()
        with display, interrupts.deferred():
            driver = Driver(source, known, workers, parent, ledger, display, options, lock)
            interrupted = driver.run(interrupts)
        status, reason = _verdict(ledger, interrupts.requested if interrupted else None)
    except (Interrupted, KeyboardInterrupt) as error:
        status, reason = "KILLED", str(error) or "interrupted"
        if workers is not None:
            workers.close(at_once=True)
    except UserError as error:
        reason = str(error)
        raise
    finally:
        ignore_signals()
        if workers is not None:
            workers.close()
        _close(parent, ledger, source, home, status, reason, driver.ended if driver else set())
    if status != "KILLED":
        deliver_rest(home, tidy=True)
    address = parent.store.ui_address(parent.experiment_id)
    display.summary(ledger, parent.run_id, lost, address)
    if options.register and status == "FINISHED":
        print(_register_best(parent, ledger, options.register))
    return ledger.complete


def _register_best(parent: SweepRun, ledger: Ledger, name: str) -> str:
    """Register the best cell under the alias ``best``; return a line about it."""
    found = ledger.best()
    if not found or not found[0].outcome.run_id:
        return f"no cell has {ledger.ranked_by[0]}: nothing is registered as {name}"
    run_id = found[0].outcome.run_id
    version = register(parent.store, run_id, name, BEST)
    return f"registered: models:/{name}@{BEST} is version {version}, run {run_id}"


def _open_workers(options: SweepOptions, interrupts: Interrupts) -> Workers:
    try:
        workers = options.workers or (1 if options.together else None)
        return open_workers(workers, options.scheduler, options.resources, options.threads)
    except UserError:
        interrupts.check()  # a signal to all processes of the command ends starting workers, too
        raise


def _verdict(ledger: Ledger, interrupted: str | None) -> tuple[str, str | None]:
    """Return the status of the sweep's run and the reason for it."""
    if interrupted:
        return "KILLED", f"interrupted by {interrupted}: {ledger.line()}"
    if ledger.complete:
        return "FINISHED", None
    return "FAILED", ledger.line()


def _close(
    parent: SweepRun,
    ledger: Ledger,
    source: CellSource,
    home: Path,
    status: str,
    reason: str | None,
    ended: Collection[str],
) -> None:
    ledger.running = 0
    with suppress(UserError, *STORE_ERRORS):
        why = "its sweep was stopped at once" if status == "KILLED" else "it was lost"
        parent.end_lost(why, ended)
    for name, write in source.files():
        with suppress(ValueError, RuntimeError, ZeroDivisionError):
            parent.artifact(name, write)
    if status == "FINISHED":
        for name, write in sweep_pages(ledger, parent.store, parent.experiment_id, home):
            parent.artifact(name, write)
    parent.publish(ledger, force=True)
    parent.finish(status, reason)


def make_source(
    plan: Plan, data: DataSets, home: Path, together: bool = False
) -> tuple[CellSource, Ledger]:
    """Return the source of the plan's cells and a ledger for them.

    Raises:
        UserError: the seeds of a search cannot be trained `together`.
    """
    if together and plan.search is not None:
        raise UserError(
            f"`--together` trains the seeds of a grid: plan {plan.name} is a search; leave it out"
        )
    if plan.search is None:
        cells = plan_cells(plan, data)
        if together:
            cells = in_groups(cells)
        cost = sum(cell.cost for cell in cells)
        return CellSource(cells), Ledger(len(cells), [("best_val_auroc", True)], cost)
    from mlproject.sweeps.search import StudyCells

    search = StudyCells(plan, data, home)
    for line in search.space.left_out:
        print(f"{plan.name}: {line}", file=sys.stderr)
    ledger = Ledger(search.total, search.best_by)
    for cell, outcome in search.ended():
        ledger.add(cell, outcome, 0)
    return search, ledger


def deliver_rest(home: Path, tidy: bool = False) -> None:
    """Deliver the undelivered records of earlier runs in a child process, which may load keras.

    Args:
        home: folder of ``runs``.
        tidy: also remove folders of runs that nobody needs any more.
    """
    with suppress(OSError):
        left = [one for one in journals(home / "runs") if not one.is_live()]
        if not any(tidy or one.pending() for one in left):
            return
    paths = [SOURCE, *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "mlproject", "sync"],
        cwd=home,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    if done.returncode:
        for line in done.stderr.splitlines():
            print(one_line(line), file=sys.stderr)
