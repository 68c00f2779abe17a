"""Standard output and standard error of a command: a full disk or a closed pipe ends no work."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from mlproject.system.errors import UserError


class Stream:
    """A text stream that keeps its first error to itself and drops what comes later.

    Attributes:
        error: the first error, None if there was none.
    """

    def __init__(self, stream: Any) -> None:
        self.error: OSError | None = None
        self._stream = stream
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # a letter that the terminal's encoding lacks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, if nothing has failed before."""
        if self.error is None:
            try:
                self._stream.write(text)
            except OSError as error:
                self._fail(error)
        return len(text)

    def flush(self) -> None:
        """Pass on what is buffered."""
        if self.error is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.error = error
        with suppress(OSError, ValueError, AttributeError):  # what is still buffered goes nowhere
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Let `sys.stdout` and `sys.stderr` outlast a full disk and a closed pipe.

    What is shown of progress is not worth a run. What a command prints as its result is: the
    command does its work, and fails afterwards.

    Raises:
        BrokenPipeError: nobody reads standard output any more.
        UserError: standard output could not be written.
    """
    before = sys.stdout, sys.stderr
    streams = [Stream(stream) if stream is not None else None for stream in before]
    sys.stdout, sys.stderr = streams
    try:
        yield
        if (out := streams[0]) is not None:
            out.flush()
            if isinstance(out.error, BrokenPipeError) or _is_closed_pipe(out.error):
                raise BrokenPipeError
            if out.error is not None:
                raise UserError(
                    f"standard output must take what a command prints: {out.error.strerror}; "
                    "free the place or write elsewhere"
                ) from out.error
    finally:
        for stream in streams:
            if stream is not None:
                with suppress(ValueError):
                    stream.flush()
        sys.stdout, sys.stderr = before


def _is_closed_pipe(error: OSError | None) -> bool:
    """Return whether a pipe is closed, as Windows says it."""
    return error is not None and error.errno == errno.EINVAL and os.name == "nt"
