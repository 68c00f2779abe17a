"""Progress on the terminal: a bar with the time left; elsewhere a plain line per epoch or stage.

Without a terminal, or with ``NO_COLOR``, nothing moves and nothing has a colour.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

SHOWN = (
    ("train_loss", "loss"), ("val_loss", "val loss"), ("val_auroc", "val AUROC"),
    ("val_accuracy", "val accuracy"), ("val_pearson", "val Pearson"), ("val_r2", "val R²"),
)  # fmt: skip
SLOW = 0.5  # seconds; a faster stage is not worth a line
LARGE = 10_000_000  # bytes; a smaller file is read in a second
T = TypeVar("T")

_active: ContextVar[bool] = ContextVar("progress", default=False)


def live_console() -> Console | None:
    """Return the console of a terminal on which a bar may move, else None.

    With ``FORCE_COLOR``, which Jupyter sets for the commands of its notebooks, rich takes a pipe
    for a terminal.
    """
    if "NO_COLOR" in os.environ or ("FORCE_COLOR" in os.environ and not sys.stderr.isatty()):
        return None
    console = Console(stderr=True)
    return console if console.is_terminal else None


@contextmanager
def progress_shown(quiet: bool = False) -> Iterator[None]:
    """Show what `stage` and `watched` report during the ``with`` block, unless `quiet`."""
    token = _active.set(not quiet)
    try:
        yield
    finally:
        _active.reset(token)


@contextmanager
def stage(title: str) -> Iterator[None]:
    """Show a stage of a run: a moving line with the time on a terminal, and a line at its end."""
    if not _active.get():
        yield
        return
    started = time.perf_counter()
    if console := live_console():
        columns = [TextColumn("{task.description} …"), TimeElapsedColumn()]
        with Progress(*columns, console=console, transient=True) as bar:
            bar.add_task(title, total=None)
            yield
    else:
        yield
    seconds = time.perf_counter() - started
    if seconds >= SLOW:
        print(f"{title}  {seconds:.1f} s", file=sys.stderr, flush=True)


def watched(items: Iterable[T], title: str) -> Iterator[T]:
    """Yield items and show how many are done and how long the rest takes, on a terminal only.

    Args:
        items: what a loop runs over.
        title: what it does.
    """
    console = live_console() if _active.get() else None
    if console is None:
        yield from items
        return
    count = len(items) if isinstance(items, Sized) else None
    with MethodProgress(title) as bar:
        for done, item in enumerate(items):
            bar.show(done, count)
            yield item


@contextmanager
def read_progress(title: str, size: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that shows how many bytes of a large file are read, on a terminal only.

    Args:
        title: what is read.
        size: bytes of the file; below `LARGE` nothing is shown.
    """
    console = live_console() if _active.get() and size >= LARGE else None
    if console is None:
        yield lambda done: None
        return
    left = [TimeRemainingColumn(), TextColumn("left")]
    columns = [TextColumn("{task.description}"), BarColumn(), DownloadColumn(), *left]
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=size)
        yield lambda done: bar.update(task, completed=done)


class _ProgressBar:
    """A bar on a terminal, nothing elsewhere."""

    def __init__(self, columns: list[Any], title: str, total: int | None, transient: bool) -> None:
        console = live_console()
        self._title, self._total = title, total
        self._bar = (
            Progress(*columns, console=console, transient=transient)
            if console and columns
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
        count = MofNCompleteColumn()
        left = [TimeRemainingColumn(), TextColumn("left")]
        columns = [TextColumn("{task.description}"), BarColumn(), count, TimeElapsedColumn(), *left]
        super().__init__([] if quiet else columns, title, None, transient=True)

    def show(self, done: int, total: int | None) -> None:
        """Show that `done` of `total` steps are done; None: their number is unknown."""
        if self._bar:
            self._bar.update(self._task, completed=done, total=total)
