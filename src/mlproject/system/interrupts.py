"""SIGINT (Ctrl-C), SIGTERM and SIGHUP end a run in good order; a second Ctrl-C ends it at once.

SIGHUP tells a process that its terminal or SSH session is closed. ``nohup`` makes a process ignore
it, and then it is ignored here too.

A signal only sets a flag. An exception raised by the handler could be lost in a callback of a
library (JAX has one in Python's garbage collection) or leave work half done. The program therefore
calls `check_interrupts` between its stages and inside the long ones.
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

SAME_SECONDS = 1.0  # `mlflow run` turns one Ctrl-C into SIGINT and, after 0.25 s, SIGTERM
HANG_UP = getattr(signal, "SIGHUP", None)  # Windows has none
SIGNALS = (signal.SIGINT, signal.SIGTERM, *([HANG_UP] if HANG_UP else []))

_current: ContextVar["Interrupts | None"] = ContextVar("interrupts", default=None)


class Interrupted(Exception):  # noqa: N818, not an error
    """The run was asked to end."""


class Interrupts:
    """Handlers of `SIGNALS` inside a context. `check_interrupts` checks the innermost.

    Attributes:
        requested: name of the first signal, None if none came.
        repeated: whether a second signal came. It ends the process, unless `defers_second`. A
            SIGHUP is never a second signal: a terminal that closes may send several.
    """

    def __init__(
        self, should_stop: Callable[[], bool | str] = lambda: False, *, defers_second: bool = False
    ) -> None:
        """Prepare the handlers.

        Args:
            should_stop: a second way to request the end: returns True, or a text that names the
                requester.
            defers_second: the program reads `repeated` itself, and only a third signal ends the
                process.
        """
        self.requested: str | None = None
        self.repeated = False
        self._should_stop = should_stop
        self._defers_second = defers_second
        self._last = 0.0
        self._deferred = False
        self._ended = False
        self._old: dict[int, Any] = {}
        self._token: Token[Interrupts | None] | None = None

    def __enter__(self) -> "Interrupts":
        if current_thread() is main_thread():
            for number in SIGNALS:
                if number != HANG_UP or signal.getsignal(number) is not signal.SIG_IGN:
                    self._old[number] = signal.signal(number, self._handle)
        self._token = _current.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _current.reset(self._token)
        self._ended = True
        if self.requested is None or time.monotonic() - self._last >= SAME_SECONDS:
            self._restore()  # else the second signal of the same Ctrl-C may still come

    @property
    def reason(self) -> str | None:
        """The requester of the end, None if there is none."""
        if self.requested:
            return self.requested
        asked = self._should_stop()
        return asked if isinstance(asked, str) and asked else "its caller" if asked else None

    def check(self) -> None:
        """Raise `Interrupted` if the end is requested, unless interrupts are deferred."""
        if not self._deferred and (reason := self.reason):
            raise Interrupted(f"interrupted by {reason}")

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Defer interrupts, so that the block runs to its end."""
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
        if again and (number == HANG_UP or time.monotonic() - self._last < SAME_SECONDS):
            return
        if self._ended:
            self._restore()
            signal.raise_signal(number)
        elif not again:
            self.requested = signal.Signals(number).name
        elif self._defers_second and not self.repeated:
            self.repeated = True
        else:
            end_at_once(number)
        self._last = time.monotonic()


def check_interrupts() -> None:
    """Raise `Interrupted` if the end of this thread's run is requested."""
    current = _current.get()
    if current is not None:
        current.check()


def end_at_once(number: int) -> None:
    """End this process by a signal with its default handler."""
    with suppress(OSError):
        os.write(2, b"ended at once\n")
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def ignore_signals() -> None:
    """Ignore further signals while this process exits."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
