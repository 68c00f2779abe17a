"""The outcomes of a sweep's cells."""

import csv
import io
from collections.abc import Sequence
from typing import NamedTuple

from mlproject.sweeps.cells import Cell
from mlproject.sweeps.task import Outcome

BEST = 10
SHOWN = (
    "best_val_auroc", "best_val_pearson", "val_conv1/match_relevant", "test_auroc", "test_pearson",
    "conv1/match_relevant", "conv1/coverage",
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
