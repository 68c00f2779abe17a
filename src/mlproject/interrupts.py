"""Ctrl-C: SIGINT and SIGTERM end a run in good order; a second Ctrl-C ends it at once."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SAME_SECONDS = 1.0  # `mlflow run` turns one Ctrl-C into SIGINT and, 0.25 s later, SIGTERM


class Interrupted(Exception):  # noqa: N818, it is no error
    """The run was asked to end."""


class Interrupts:
    """Handlers of SIGINT and SIGTERM while the context lasts.

    Inside `deferred` the first signal only sets `requested`, for a loop that looks at it;
    elsewhere, and at the second signal, `Interrupted` is raised where the program is.
    """

    def __init__(self) -> None:
        self.requested: str | None = None
        self._first = 0.0
        self._deferred = False
        self._old: dict[int, object] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        if self.requested is not None:
            return  # the second signal of the same Ctrl-C may be still to come
        for number, handler in self._old.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let signals wait for the loop that asks for `requested`."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self.requested is not None
        if again and time.monotonic() - self._first < SAME_SECONDS:
            return
        self._first = time.monotonic()
        self.requested = signal.Signals(number).name
        if again or not self._deferred:
            raise Interrupted(f"interrupted by {self.requested}")


def ignore_signals() -> None:
    """Let nothing disturb the end of this process, of which nobody waits for anything more."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
