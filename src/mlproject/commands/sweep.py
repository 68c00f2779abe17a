"""What ``mlproject sweep`` does: open everything, drive, close everything."""

import subprocess
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from dask.system import CPU_COUNT

from mlproject.store import STORE_ERRORS, connect
from mlproject.store.journal import journals
from mlproject.sweeps import SOURCE
from mlproject.sweeps.cells import DataSets, plan_cells
from mlproject.sweeps.driver import Driver, Grid, Options, Source
from mlproject.sweeps.dry import dry_run
from mlproject.sweeps.ledger import Ledger, Parent, finished_runs
from mlproject.sweeps.lock import locked
from mlproject.sweeps.plan import Plan, read_plan
from mlproject.sweeps.reading import one_line
from mlproject.sweeps.show import make_show
from mlproject.sweeps.workers import Pool, open_pool
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupted, Interrupts, ignore_signals

__all__ = ["Options", "do", "sweep"]


def do(plan: Path, options: Options, only_show: bool) -> bool:
    """Run a plan, or show what it would do; return whether all its cells are done."""
    if only_show:
        dry_run(plan, options.home, options.experiment, options.workers or CPU_COUNT)
        return True
    try:
        return sweep(plan, options)
    except Interrupted as error:
        print(f"{error} before the sweep began", file=sys.stderr)
        return False


def sweep(plan_path: Path, settings: Options) -> bool:
    """Do what a plan says; return whether all its cells are done.

    Raises:
        UserError: the plan, the data, the store or the workers cannot be used, or another driver
            works on the plan.
    """
    plan = read_plan(plan_path)
    store = connect()
    home = settings.home
    with (
        locked(home / "runs" / f"{plan.name}.lock") as lock,
        Interrupts(defers_second=True) as interrupts,
    ):
        data = DataSets(home / "data")
        source, ledger = make_source(plan, data, home)
        deliver_rest(home)
        parent = Parent(store, plan, home, settings.experiment)
        status: str = "FAILED"
        reason: str | None = "the driver has failed"
        pool, show = None, make_show(plan.name, settings.quiet)
        lost = 0
        driver: Driver | None = None
        try:
            lost = parent.end_lost("its process was lost")
            known = finished_runs(store, parent.tracker.experiment_id, home / "runs")
            interrupts.check()
            pool = _open_pool(settings, interrupts)
            if pool.warning:
                show.say(pool.warning)
            interrupts.check()
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
            ended = driver.ended if driver else set()
            _close(parent, ledger, source, status, reason, ended)
        if status != "KILLED":
            deliver_rest(home, tidy=True)
        show.summary(ledger, parent.run_id, lost)
        return ledger.complete


def _open_pool(settings: Options, interrupts: Interrupts) -> Pool:
    try:
        return open_pool(settings.workers, settings.scheduler, settings.resources, settings.threads)
    except UserError:
        interrupts.check()  # a signal to all processes of the command ends those that start
        raise


def _verdict(ledger: Ledger, interrupted: str | None) -> tuple[str, str | None]:
    if interrupted:
        return "KILLED", f"interrupted by {interrupted}: {ledger.line()}"
    if ledger.complete:
        return "FINISHED", None
    return "FAILED", ledger.line()


def _close(
    parent: Parent,
    ledger: Ledger,
    source: Source,
    status: str,
    reason: str | None,
    ended: Collection[str],
) -> None:
    from mlproject.sweeps.search import Searched

    ledger.running = 0
    with suppress(UserError, *STORE_ERRORS):
        why = "its sweep was stopped at once" if status == "KILLED" else "it was lost"
        parent.end_lost(why, ended)
    if isinstance(source, Searched):
        from mlproject.sweeps.figures import figures, write_trials

        parent.artifact("search/trials.csv", lambda path: write_trials(source.study, path))
        for name, write in figures(source.study):
            with suppress(ValueError, RuntimeError, ZeroDivisionError):
                parent.artifact(name, write)
    parent.publish(ledger, force=True)
    parent.finish(status, reason)


def make_source(plan: Plan, data: DataSets, home: Path) -> tuple[Any, Ledger]:
    """Return where the plan's cells come from, and the ledger for them."""
    if plan.search is None:
        cells = plan_cells(plan, data)
        cost = sum(cell.cost for cell in cells)
        return Grid(cells), Ledger(len(cells), [("best_val_auroc", True)], cost)
    from mlproject.sweeps.search import Searched

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
    with suppress(OSError):
        left = [one for one in journals(home / "runs") if not one.is_live()]
        if not any(tidy or one.pending() for one in left):
            return
    path = f"import sys; sys.path.insert(0, {SOURCE!r})"
    code = f"{path}; from mlproject.commands.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "sync"],
        cwd=home,
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
