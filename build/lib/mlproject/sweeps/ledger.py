"""The outcomes of a sweep's cells, and the run of the sweep, which shows them."""

import csv
import io
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mlproject.names import Tag
from mlproject.store import STORE_ERRORS, Store, Tracker
from mlproject.store.liveness import end_dead, find_runs
from mlproject.sweeps.cells import Cell
from mlproject.sweeps.plan import Plan
from mlproject.sweeps.run_state import is_worked_on
from mlproject.sweeps.task import Outcome
from mlproject.system.errors import UserError

PUBLISH_SECONDS = 10.0
BEST = 10
SHOWN = (
    "best_val_auroc", "best_val_pearson", "val_conv1/match_relevant", "test_auroc", "test_pearson",
    "conv1/match_relevant",
)  # fmt: skip


class LedgerRow(NamedTuple):
    """A cell, its outcome and the number of attempts."""

    cell: Cell
    outcome: Outcome
    attempts: int


def key_of(cell: Cell) -> str:
    """Return what identifies a cell in its sweep."""
    return cell.spec_sha256 if cell.trial is None else f"trial {cell.trial}"


class Ledger:
    """The cells that have ended, with counts.

    Attributes:
        total: number of cells of the sweep.
        rows: cells whose last attempt has ended, by `spec_sha256` or, in a search, by trial.
        running: number of running cells.
    """

    def __init__(self, total: int, best: Sequence[tuple[str, bool]], cost: float = 0.0) -> None:
        """Make an empty ledger.

        Args:
            total: number of cells.
            best: metrics to rank cells by, each with whether more is better.
            cost: multiply-adds of all cells, 0 if it is unknown.
        """
        self.total = total
        self._cost = cost
        self.rows: dict[str, LedgerRow] = {}
        self.running = 0
        self._best = best

    def add(self, cell: Cell, outcome: Outcome, attempts: int) -> None:
        """Add the outcome of a cell's last attempt."""
        self.rows[key_of(cell)] = LedgerRow(cell, outcome, attempts)

    @property
    def done(self) -> int:
        """Number of finished cells and pruned trials."""
        return sum(row.outcome.status in ("FINISHED", "PRUNED") for row in self.rows.values())

    @property
    def failed(self) -> int:
        """Number of cells that failed in every attempt."""
        return sum(row.outcome.status == "FAILED" for row in self.rows.values())

    @property
    def complete(self) -> bool:
        """Whether all cells are done."""
        return self.done >= self.total

    @property
    def ranked_by(self) -> list[str]:
        """Metrics that cells are ranked by."""
        return [name for name, _ in self._best]

    @property
    def cells_left(self) -> int:
        """Number of cells that have not ended."""
        return max(self.total - len(self.rows), 1)

    @property
    def cost_left(self) -> float:
        """Cost of the cells that have not ended, in the unit of `cost_of`."""
        ended = sum(self.cost_of(row.cell) for row in self.rows.values())
        return max((self._cost or self.total) - ended, 0.0)

    def cost_of(self, cell: Cell) -> float:
        """Return the cost of a cell: its multiply-adds, or 1 if those of all cells are unknown."""
        return cell.cost if self._cost else 1.0

    def best(self) -> list[LedgerRow]:
        """Return the finished cells, ranked by the first objective."""
        name, up = self._best[0]
        finished = [
            row
            for row in self.rows.values()
            if row.outcome.status == "FINISHED" and name in row.outcome.metrics
        ]
        return sorted(finished, key=lambda row: row.outcome.metrics[name], reverse=up)

    def counts(self) -> dict[str, float]:
        """Return the numbers of cells by metric name."""
        return {
            "cells/total": self.total,
            "cells/done": self.done,
            "cells/failed": self.failed,
            "cells/running": self.running,
        }

    def line(self) -> str:
        """Return the counts in words."""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.done} of {self.total} done, {self.running} running{failed}"

    def note(self, experiment_id: str) -> str:
        """Return the description of the sweep's run, Markdown."""
        names = list(dict.fromkeys([*(name for name, _ in self._best), *SHOWN]))
        lines = [f"{self.line()}.", ""]
        best = self.best()[:BEST]
        if best:
            head = ["best cells", *names]
            lines += [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
        for row in best:
            link = f"[{row.cell.name}](#/experiments/{experiment_id}/runs/{row.outcome.run_id})"
            numbers = (row.outcome.metrics.get(name) for name in names)
            texts = ("" if number is None else f"{number:.4f}" for number in numbers)
            lines.append(f"| {link} | {' | '.join(texts)} |")
        failed = [row for row in self.rows.values() if row.outcome.status == "FAILED"]
        lines += [f"\nFailed: {row.cell.name}: {row.outcome.reason}" for row in failed[:BEST]]
        return "\n".join(lines)[:7500]

    def table(self) -> str:
        """Return all cells that have ended as CSV."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["cell", "spec_sha256", "status", "run_id", "attempts", "reason"])
        for cell, outcome, attempts in self.rows.values():
            how = [outcome.status, outcome.run_id or "", attempts, outcome.reason]
            writer.writerow([cell.name, cell.spec_sha256, *how])
        return text.getvalue()


class SweepRun:
    """The run of the sweep, parent of the cells' runs.

    Attributes:
        plan: the plan.
        store: the tracking store.
        tracker: recorder of the run.
    """

    def __init__(self, store: Store, plan: Plan, home: Path, experiment: str | None) -> None:
        root = self._root = home / "runs"
        experiment_id = store.experiment(experiment)
        older = find_runs(store, experiment_id, sweep=plan.name)
        open_ones = [run for run in older if Tag.CONTINUED_BY not in run.data.tags]
        adopted = store.take_offered_run() if open_ones else None
        tags = {Tag.SWEEP: plan.name}
        if open_ones:
            self.tracker = store.reopen(open_ones[0].info.run_id, root)
        else:
            self.tracker = store.start(plan.name, tags, root, experiment)
        self._second: Tracker | None = None
        if adopted:
            self._second = store.reopen(adopted, root)
            went_on = {Tag.CONTINUED_BY: self.tracker.run_id, **tags}
            self._second.tags({**went_on, "mlflow.runName": f"{plan.name} · restarted"})
            link = f"#/experiments/{experiment_id}/runs/{self.tracker.run_id}"
            self._second.note(f"Went on with the sweep [{plan.name}]({link}), where the runs are.")
        self.plan, self.store = plan, store
        self._forget_failure()
        self._published = 0.0
        self._last: Mapping[str, float] = {}
        name = "search" if plan.search else "grid"
        self.tracker.tags({Tag.SWEEP_KIND: name})
        self.tracker.artifact("plan.yaml", lambda path: path.write_text(plan.text, "utf-8"))

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.tracker.run_id

    @property
    def experiment_id(self) -> str:
        """Id of the experiment of the run and its children."""
        return self.tracker.experiment_id

    def publish(self, ledger: Ledger, force: bool = False) -> None:
        """Record the progress of the sweep, a few times a minute."""
        self.tracker.beat()
        if self._second:
            self._second.beat()
        now, counts = time.monotonic(), ledger.counts()
        if counts == self._last or (now - self._published < PUBLISH_SECONDS and not force):
            return
        self._published, self._last = now, counts
        self.tracker.metrics(counts)
        self.tracker.tags({Tag.PROGRESS: ledger.line()})
        self.tracker.note(ledger.note(self.experiment_id))
        self.tracker.artifact("cells.csv", lambda path: path.write_text(ledger.table(), "utf-8"))

    def artifact(self, path: str, write: Callable[[Path], object]) -> None:
        """Record an artifact of the sweep."""
        self.tracker.artifact(path, write)

    def end_lost(self, reason: str, ended: Collection[str] = ()) -> int:
        """End child runs that are RUNNING in the store although no process works on them.

        If the local record of a child holds its end, that is delivered instead.

        Args:
            reason: reason to record.
            ended: tokens of attempts that have ended, see `is_worked_on`.

        Returns:
            The number of runs that were ended.
        """
        lost = [
            run
            for run in find_runs(self.store, self.experiment_id, parent=self.run_id)
            if run.info.status == "RUNNING" and not is_worked_on(run, self._root, ended)
        ]
        count = 0
        for run in lost:
            with suppress(UserError):
                end_dead(self.store, run, reason, root=self._root)
                count += 1
        return count

    def finish(self, status: str, reason: str | None = None) -> None:
        """Record the end of the sweep, or of this session of it."""
        self.tracker.finish(status, reason)
        if status == "FINISHED":
            self._forget_failure()
        if self._second:
            self._second.finish(status, reason)

    def _forget_failure(self) -> None:
        """Remove the recorded reason for the end of an earlier session."""
        with suppress(UserError, *STORE_ERRORS):
            if Tag.FAILURE in self.store.run(self.run_id).data.tags:
                self.store.client.delete_tag(self.run_id, Tag.FAILURE)
