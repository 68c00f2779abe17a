"""Ctrl-C: SIGINT and SIGTERM end a run in good order; a second Ctrl-C ends the process at once.

A signal only sets a flag. An exception raised wherever the program happens to be would be lost in a
callback of a library (JAX has one in Python's garbage collection) or leave work half done. The
program looks at the flag between its stages and inside the long ones: `look`.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

SAME_SECONDS = 1.0  # `mlflow run` turns one Ctrl-C into SIGINT and, 0.25 s later, SIGTERM
SIGNALS = (signal.SIGINT, signal.SIGTERM)

_current: ContextVar["Interrupts | None"] = ContextVar("interrupts", default=None)


class Interrupted(Exception):  # noqa: N818, it is no error
    """The run was asked to end."""


class Interrupts:
    """Handlers of SIGINT and SIGTERM while the context lasts; `look` looks at the innermost one.

    Attributes:
        requested: name of the signal that asks for the end, None if none came.
        insisted: whether a second one came; it ends the process unless `insistable`.
    """

    def __init__(
        self, should_stop: Callable[[], bool | str] = lambda: False, *, insistable: bool = False
    ) -> None:
        """Make handlers.

        Args:
            should_stop: asked by `look` too; true, or the text who wants it, asks for the end.
            insistable: the program looks at `insisted` itself; only a third signal ends the
                process.
        """
        self.requested: str | None = None
        self.insisted = False
        self._should_stop = should_stop
        self._insistable = insistable
        self._last = 0.0
        self._deferred = False
        self._ended = False
        self._old: dict[int, Any] = {}
        self._token: Token[Interrupts | None] | None = None

    def __enter__(self) -> "Interrupts":
        if current_thread() is main_thread():
            for number in SIGNALS:
                self._old[number] = signal.signal(number, self._handle)
        self._token = _current.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _current.reset(self._token)
        self._ended = True
        if self.requested is None or time.monotonic() - self._last >= SAME_SECONDS:
            self._restore()  # else the second signal of the same Ctrl-C may be still to come

    @property
    def reason(self) -> str | None:
        """Who asks for the end, None if nobody does."""
        if self.requested:
            return self.requested
        asked = self._should_stop()
        return asked if isinstance(asked, str) and asked else "its caller" if asked else None

    def check(self) -> None:
        """Raise `Interrupted` if the end is asked for, unless that is deferred."""
        if not self._deferred and (reason := self.reason):
            raise Interrupted(f"interrupted by {reason}")

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let `look` pass by: what happens here happens whole."""
        before, self._deferred = self._deferred, True
        try:
            yield
        finally:
            self._deferred = before

    def _restore(self) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self.requested is not None
        if again and time.monotonic() - self._last < SAME_SECONDS:
            return
        if self._ended:
            self._restore()
            signal.raise_signal(number)
        elif not again:
            self.requested = signal.Signals(number).name
        elif self._insistable and not self.insisted:
            self.insisted = True
        else:
            end_at_once(number)
        self._last = time.monotonic()


def look() -> None:
    """Raise `Interrupted` if the run that is under way in this thread is asked to end."""
    current = _current.get()
    if current is not None:
        current.check()


def end_at_once(number: int) -> None:
    """End this process by a signal, as if nobody handled it."""
    with suppress(OSError):
        os.write(2, b"ended at once\n")
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def ignore_signals() -> None:
    """Let nothing disturb the end of this process, of which nobody waits for anything more."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
