"""Progress of a sweep on the terminal: a live table, or a line for each event."""

import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from mlproject.sweeps.cells import Cell
from mlproject.sweeps.ledger import Ledger, key_of
from mlproject.sweeps.task import Outcome
from mlproject.system.messages import quantity
from mlproject.system.progress import live_console

LAST = 8
EPOCH_WIDTH = 50
EPOCH_SHOWN = ("val_loss", "val_auroc", "val_pearson")
FEWEST, PADDING = 8, 2
BAR = 24
REPORTED = ("test_auroc", "test_pearson", "conv1/match_relevant")
LABELS = {
    "test_auroc": "test AUROC",
    "test_pearson": "test Pearson",
    "conv1/match_relevant": "relevant match",
    "best_val_auroc": "validation AUROC",
    "val_conv1/match_relevant": "relevant match (validation)",
}


def make_display(name: str, quiet: bool, shown: Sequence[str] = REPORTED) -> "Display":
    """Return a live table for a terminal, unless ``NO_COLOR`` is set, else lines.

    With `quiet` there is only the summary.

    Args:
        name: of the plan.
        quiet: show no progress.
        shown: metrics to show of a finished cell: the objectives of a search.
    """
    console = None if quiet else live_console()
    return LiveDisplay(name, console, shown) if console else Display(name, quiet, shown)


class TimeLeft:
    """Estimates the time left from the seconds of the cells that ended since the driver's start.

    A cell takes time in proportion to its cost, and as many cells run at once as have done so.
    """

    def __init__(self) -> None:
        self._begun: dict[str, float] = {}
        self._seconds: dict[str, float] = {}
        self._parallel = 1

    def text(self, ledger: Ledger, running: Sequence[Cell]) -> str:
        """Return the time left in words, '' while it is unknown."""
        now = time.monotonic()
        own = {key_of(cell): cell for cell in running}
        for key in own:
            self._begun.setdefault(key, now)
        for key in [key for key in self._begun if key not in own]:
            begun = self._begun.pop(key)
            if key in ledger.rows:
                self._seconds[key] = now - begun
        self._parallel = max(self._parallel, len(own))
        ended = [key for key in self._seconds if key in ledger.rows]
        known = sum(ledger.cost_of(ledger.rows[key].cell) for key in ended)
        left = ledger.cost_left
        if not known or not left:
            return ""
        rate = sum(self._seconds[key] for key in ended) / known
        spent = sum(
            min(now - self._begun[key], rate * ledger.cost_of(cell)) for key, cell in own.items()
        )
        seconds = max(rate * left - spent, 0.0) / min(self._parallel, ledger.cells_left)
        return f"about {duration(seconds)} left"


class Display:
    """Prints a line for each event; the summary only with `quiet`."""

    def __init__(self, name: str, quiet: bool = False, shown: Sequence[str] = REPORTED) -> None:
        self._name, self._quiet, self._shown = name, quiet, shown
        self._left = TimeLeft()
        self._counts = ""

    def __enter__(self) -> "Display":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def say(self, text: str) -> None:
        """Show a remark."""
        if not self._quiet:
            print(f"{self._name}: {text}", file=sys.stderr, flush=True)

    def epoch(self, cell: Cell, epoch: int, values: Mapping[str, float]) -> None:
        """Show an epoch of a cell: nothing on lines."""

    def result(self, cell: Cell, outcome: Outcome) -> None:
        """Show the outcome of a cell."""
        self.say(f"{cell.name}: {result_text(outcome, self._shown)}")

    def update(self, ledger: Ledger, running: Sequence[Cell]) -> None:
        """Show the counts, if they have changed."""
        line, left = ledger.line(), self._left.text(ledger, running)
        if line != self._counts:
            self._counts = line
            self.say(f"{line}; {left}" if left else line)

    def summary(self, ledger: Ledger, run_id: str, lost: int, address: str = "") -> None:
        """Print the end of the sweep.

        Args:
            ledger: its cells.
            run_id: of its run.
            lost: number of runs of an earlier driver that were ended.
            address: of its runs in the MLflow UI.
        """
        if lost:
            ended = quantity(lost, "run of a lost driver was", "runs of a lost driver were")
            print(f"{self._name}: {ended} ended", file=sys.stderr)
        rows = ledger.rows.values()
        for row in rows:
            if row.outcome.status == "FAILED":
                print(f"{row.cell.name}: failed: {row.outcome.reason}", file=sys.stderr)
        if reasons := [row.outcome.undelivered for row in rows if row.outcome.undelivered]:
            print(
                f"{self._name}: of {quantity(len(reasons), 'finished cell')} the tracking store "
                f"lacked something ({reasons[-1]}); `python -m mlproject sync` delivers what it "
                "still lacks",
                file=sys.stderr,
            )
        print(f"sweep {self._name}: {ledger.line()}; run {run_id}")
        if best := ledger.best():
            cell, outcome, _ = best[0]
            text = result_text(outcome, ledger.ranked_by)
            print(f"best cell: {cell.name}: {text}; run {outcome.run_id}")
        if address:
            print(f"in the UI: {address}")


class LiveDisplay(Display):
    """Shows a live table of the running and the last finished cells."""

    def __init__(self, name: str, console: Console, shown: Sequence[str] = REPORTED) -> None:
        super().__init__(name, shown=shown)
        self._epochs: dict[str, str] = {}
        self._results: deque[tuple[str, str]] = deque(maxlen=LAST)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(BAR),
            TextColumn("{task.fields[left]}"),
        )
        self._task = self._bar.add_task("", total=None, left="")
        self._live = Live(self._bar, console=console, refresh_per_second=4, transient=False)

    def __enter__(self) -> "Display":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        self._live.console.print(text, highlight=False)

    def epoch(self, cell: Cell, epoch: int, values: Mapping[str, float]) -> None:
        numbers = "  ".join(f"{name} {values[name]:.4f}" for name in EPOCH_SHOWN if name in values)
        self._epochs[cell.name] = f"epoch {epoch}/{cell.spec.all_epochs}  {numbers}"

    def result(self, cell: Cell, outcome: Outcome) -> None:
        self._epochs.pop(cell.name, None)
        self._results.append((cell.name, result_text(outcome, self._shown)))

    def update(self, ledger: Ledger, running: Sequence[Cell]) -> None:
        self._bar.update(
            self._task,
            total=ledger.total,
            completed=ledger.done + ledger.failed,
            description=ledger.line(),
            left=self._left.text(ledger, running),
        )
        rows = [*self._results]
        rows += [(cell.name, self._epochs.get(cell.name, "starting")) for cell in running]
        table = Table(box=None, show_header=False, padding=(0, PADDING, 0, 0))
        names, texts = (max((len(row[place]) for row in rows), default=0) for place in (0, 1))
        room = self._live.console.width - 2 * PADDING
        second = min(texts, max(EPOCH_WIDTH, room - names))
        for width in (min(names, max(FEWEST, room - second)), second):
            table.add_column(no_wrap=True, width=width, overflow="ellipsis")
        for number, (name, how) in enumerate(rows):
            style = "cyan" if number >= len(self._results) else ""
            table.add_row(Text(name, style), Text(how))
        title = Text(self._name, "bold", no_wrap=True, overflow="ellipsis")
        self._live.update(Group(table, title, self._bar))


def result_text(outcome: Outcome, shown: Sequence[str] = REPORTED) -> str:
    """Return a cell's outcome in a few words: its status, or the metrics to show."""
    if outcome.status != "FINISHED":
        return f"{outcome.status} ({outcome.reason})"
    texts = [
        f"{LABELS.get(name, name)} {outcome.metrics[name]:.4f}"
        for name in shown
        if name in outcome.metrics
    ]
    return "  ".join(texts) or "done"


def duration(seconds: float) -> str:
    """Return a time in a suitable unit: ``40 s``, ``12 min``, ``3.4 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
