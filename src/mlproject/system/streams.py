"""Standard output and error that survive a full disk and a closed pipe."""

import errno
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from mlproject.system.errors import UserError


class Stream:
    """A text stream that stores its first error instead of raising it, and drops later text.

    Attributes:
        error: the first error, None if there was none.
    """

    def __init__(self, stream: Any) -> None:
        self.error: OSError | None = None
        self._stream = stream
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # for letters that the terminal's encoding lacks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, unless an earlier write has failed."""
        if self.error is None:
            try:
                self._stream.write(text)
            except OSError as error:
                self._fail(error)
        return len(text)

    def flush(self) -> None:
        """Flush the buffer."""
        if self.error is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.error = error
        with suppress(OSError, ValueError, AttributeError):  # discard the rest of the buffer
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Keep a command running when `sys.stdout` or `sys.stderr` cannot be written.

    Lost progress messages are ignored. If results are lost, the command finishes its work and then
    fails.

    Raises:
        BrokenPipeError: the reader of standard output has closed the pipe.
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
                    f"standard output must be writable: {out.error.strerror}; "
                    "free disk space or write elsewhere"
                ) from out.error
    finally:
        for stream in streams:
            if stream is not None:
                with suppress(ValueError):
                    stream.flush()
        sys.stdout, sys.stderr = before


@contextmanager
def hidden_stderr() -> Iterator[Callable[[], str]]:
    """Hide what libraries in C write to standard error; the value returns it.

    Without a folder for temporary files nothing is kept, and the value returns "".
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with _scratch() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield lambda: _text(file)
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def _scratch() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "w+b")


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _is_closed_pipe(error: OSError | None) -> bool:
    """Return whether an error of Windows means a closed pipe."""
    return error is not None and error.errno == errno.EINVAL and os.name == "nt"
