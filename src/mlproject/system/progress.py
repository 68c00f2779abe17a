"""Progress on the terminal: a bar, or one line per epoch."""

import sys
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SHOWN = (("train_loss", "loss"), ("val_loss", "val loss"), ("val_auroc", "val AUROC"))


class EpochProgress:
    """Shows training progress: a bar on a terminal, else one line per epoch."""

    def __init__(self, epochs: int, quiet: bool = False) -> None:
        console = Console(stderr=True)
        self._epochs = epochs
        self._quiet = quiet
        self._bar: Progress | None = None
        if console.is_terminal and not quiet:
            self._bar = Progress(
                TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
                BarColumn(),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                TextColumn("at most"),
                TimeRemainingColumn(),
                TextColumn("left"),
                console=console,
            )

    def __enter__(self) -> "EpochProgress":
        if self._bar:
            self._bar.start()
            self._task = self._bar.add_task("", total=self._epochs)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def show(self, epoch: int, values: Mapping[str, float], seconds: float) -> None:
        """Show the end of `epoch` (from 1) with its values."""
        text = "  ".join(f"{label} {values[name]:.4f}" for name, label in SHOWN if name in values)
        if self._bar:
            self._bar.update(self._task, completed=epoch, description=text)
        elif not self._quiet:
            line = f"epoch {epoch}/{self._epochs}  {text}  {seconds:.1f} s"
            print(line, file=sys.stderr, flush=True)


class MethodProgress:
    """Shows the progress of one attribution method, on a terminal only."""

    def __init__(self, title: str, quiet: bool = False) -> None:
        console = Console(stderr=True)
        self._title = title
        self._bar: Progress | None = None
        if console.is_terminal and not quiet:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed:.0f}/{task.total:.0f}"),
                TimeElapsedColumn(),
                console=console,
                transient=True,
            )

    def __enter__(self) -> "MethodProgress":
        if self._bar:
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def show(self, done: int, total: int) -> None:
        """Show that `done` of `total` steps are done."""
        if self._bar:
            self._bar.update(self._task, completed=done, total=total)
