"""Progress on the terminal: a bar, or one line per epoch."""

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SHOWN = (
    ("train_loss", "loss"), ("val_loss", "val loss"), ("val_auroc", "val AUROC"),
    ("val_accuracy", "val accuracy"), ("val_pearson", "val Pearson"), ("val_r2", "val R²"),
)  # fmt: skip


class _ProgressBar:
    """A bar on a terminal, nothing elsewhere."""

    def __init__(self, columns: list[Any], title: str, total: int | None, transient: bool) -> None:
        console = Console(stderr=True)
        self._title, self._total = title, total
        self._bar = (
            Progress(*columns, console=console, transient=transient)
            if console.is_terminal and columns
            else None
        )

    def __enter__(self) -> Any:
        if self._bar:
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=self._total)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()


class EpochProgress(_ProgressBar):
    """Shows training progress: a bar on a terminal, else one line per epoch."""

    def __init__(self, epochs: int, quiet: bool = False) -> None:
        count = TextColumn("epoch {task.completed:.0f}/{task.total:.0f}")
        text, most, left = map(TextColumn, ("{task.description}", "at most", "left"))
        columns = [count, BarColumn(), text, TimeElapsedColumn(), most, TimeRemainingColumn(), left]
        super().__init__([] if quiet else columns, "", epochs, transient=False)
        self._epochs, self._quiet = epochs, quiet

    def show(self, epoch: int, values: Mapping[str, float], seconds: float) -> None:
        """Show the end of `epoch` (from 1) with its values."""
        text = "  ".join(f"{label} {values[name]:.4f}" for name, label in SHOWN if name in values)
        if self._bar:
            self._bar.update(self._task, completed=epoch, description=text)
        elif not self._quiet:
            line = f"epoch {epoch}/{self._epochs}  {text}  {seconds:.1f} s"
            print(line, file=sys.stderr, flush=True)


class MethodProgress(_ProgressBar):
    """Shows the progress of one attribution method, on a terminal only."""

    def __init__(self, title: str, quiet: bool = False) -> None:
        count = TextColumn("{task.completed:.0f}/{task.total:.0f}")
        columns = [TextColumn("{task.description}"), BarColumn(), count, TimeElapsedColumn()]
        super().__init__([] if quiet else columns, title, None, transient=True)

    def show(self, done: int, total: int) -> None:
        """Show that `done` of `total` steps are done."""
        if self._bar:
            self._bar.update(self._task, completed=done, total=total)
