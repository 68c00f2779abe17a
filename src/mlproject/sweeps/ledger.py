"""What has become of each cell: the counts, the table, the parent run that shows them."""

import csv
import io
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from mlproject.names import Tag
from mlproject.store import STORE_ERRORS, Store, Tracker
from mlproject.store.liveness import end_dead, find_runs
from mlproject.sweeps.cells import Cell
from mlproject.sweeps.job import Outcome
from mlproject.sweeps.plan import Plan
from mlproject.sweeps.records import has_finished, is_worked_on
from mlproject.system.errors import UserError

PUBLISH_SECONDS = 10.0
BEST = 10
SHOWN = ("best_val_auroc", "val_conv1/match_relevant", "test_auroc", "conv1/match_relevant")


class Row(NamedTuple):
    """A cell and how it ended."""

    cell: Cell
    outcome: Outcome
    attempts: int


class Ledger:
    """Counts cells and tells the parent run.

    Attributes:
        total: cells of the sweep.
        rows: those that have ended for good, by `spec_sha256`; a search has one a trial.
    """

    def __init__(self, total: int, best: Sequence[tuple[str, bool]], cost: float = 0.0) -> None:
        self.total = total
        self._cost = cost
        self.rows: dict[str, Row] = {}
        self.running = 0
        self._best = best

    def add(self, cell: Cell, outcome: Outcome, attempts: int) -> None:
        """Note a cell's end."""
        key = cell.spec_sha256 if cell.trial is None else f"trial {cell.trial}"
        self.rows[key] = Row(cell, outcome, attempts)

    @property
    def done(self) -> int:
        """Cells that are finished, pruned trials among them."""
        return sum(row.outcome.status in ("FINISHED", "PRUNED") for row in self.rows.values())

    @property
    def failed(self) -> int:
        """Cells that were given up."""
        return sum(row.outcome.status == "FAILED" for row in self.rows.values())

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do, and nothing failed."""
        return self.done >= self.total

    @property
    def share(self) -> float:
        """How much of the work has been done, 0 to 1: by cost where it is known."""
        if self._cost:
            return sum(row.cell.cost for row in self.rows.values()) / self._cost
        return len(self.rows) / self.total

    def best(self) -> list[Row]:
        """Return finished cells, the best by the first objective first."""
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
        """Return the parent's description, Markdown."""
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


class Parent:
    """The run of the sweep, whose children are the cells."""

    def __init__(self, store: Store, plan: Plan, home: Path, experiment: str | None) -> None:
        root = self._root = home / "runs"
        experiment_id = store.experiment(experiment)
        older = find_runs(store, experiment_id, sweep=plan.name)
        open_ones = [run for run in older if Tag.CONTINUED_BY not in run.data.tags]
        adopted = store.adopted() if open_ones else None
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
        self._store = store
        self._forget_failure()
        self._published = 0.0
        self._last: Mapping[str, float] = {}
        name = "search" if plan.search else "grid"
        self.tracker.tags({Tag.SWEEP_KIND: name})
        self.tracker.artifact("plan.yaml", lambda path: path.write_text(plan.text, "utf-8"))

    @property
    def run_id(self) -> str:
        """Id of the parent run."""
        return self.tracker.run_id

    def publish(self, ledger: Ledger, force: bool = False) -> None:
        """Tell the store how far the sweep is, a few times a minute."""
        self.tracker.beat()
        if self._second:
            self._second.beat()
        now, counts = time.monotonic(), ledger.counts()
        if counts == self._last or (now - self._published < PUBLISH_SECONDS and not force):
            return
        self._published, self._last = now, counts
        self.tracker.metrics(counts)
        self.tracker.tags({Tag.PROGRESS: ledger.line()})
        self.tracker.note(ledger.note(self.tracker.experiment_id))
        self.tracker.artifact("cells.csv", lambda path: path.write_text(ledger.table(), "utf-8"))

    def artifact(self, path: str, write: Callable[[Path], object]) -> None:
        """Record an artifact of the sweep."""
        self.tracker.artifact(path, write)

    def end_lost(self, reason: str, ended: Collection[str] = ()) -> int:
        """End children that are RUNNING without anybody who works on them.

        Of those whose local record knows better how they ended, that is delivered.

        Args:
            reason: why they are ended.
            ended: tokens of attempts that have ended, see `is_worked_on`.

        Returns:
            How many were ended.
        """
        lost = [
            run
            for run in find_runs(self._store, self.tracker.experiment_id, parent=self.run_id)
            if run.info.status == "RUNNING" and not is_worked_on(run, self._root, ended)
        ]
        count = 0
        for run in lost:
            with suppress(UserError):
                end_dead(self._store, run, reason, root=self._root)
                count += 1
        return count

    def finish(self, status: str, reason: str | None = None) -> None:
        """Record the end of the sweep, or of this part of it."""
        self.tracker.finish(status, reason)
        if status == "FINISHED":
            self._forget_failure()
        if self._second:
            self._second.finish(status, reason)

    def _forget_failure(self) -> None:
        """Remove the reason why an earlier part of the sweep ended."""
        with suppress(UserError, *STORE_ERRORS):
            if Tag.FAILURE in self._store.run(self.run_id).data.tags:
                self._store.client.delete_tag(self.run_id, Tag.FAILURE)


def finished_runs(store: Store, experiment_id: str, root: Path) -> dict[str, Any]:
    """Return the runs of an experiment that count as done, by `spec_sha256`.

    Args:
        store: where to look.
        experiment_id: the experiment.
        root: folder of the local records, which know of ends that the store does not.
    """
    found = find_runs(store, experiment_id, spec_sha256="")
    return {
        run.data.tags[Tag.SPEC_SHA256]: run
        for run in reversed(found)
        if has_finished(store, run, root)
    }
