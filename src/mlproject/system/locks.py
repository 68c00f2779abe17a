"""Locks on files, for what one process at a time may do."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlproject.system.errors import UserError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

WAIT_SECONDS = 900.0
POLL_SECONDS = 0.1


@contextmanager
def locked(path: Path, rule: str) -> Iterator[None]:
    """Hold the lock file `path` and remove it afterwards; a killed process releases its lock.

    On a file system without locks, nothing is locked.

    Args:
        path: the lock file.
        rule: what one process at a time does, for the message.

    Raises:
        UserError: another process holds it for `WAIT_SECONDS`.
        OSError: the folder cannot be written.
    """
    until = time.monotonic() + WAIT_SECONDS
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if (taken := take(file)) is None:
                os.close(file)
                path.unlink(missing_ok=True)
                yield
                return
            if taken and _is_file_of(file, path):
                break
        except BaseException:
            with suppress(OSError):
                os.close(file)
            raise
        os.close(file)
        if time.monotonic() > until:
            raise UserError(
                f"one process at a time {rule}: another holds {path} for {WAIT_SECONDS:.0f} s; "
                "wait for it or stop it"
            )
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        if sys.platform == "win32":  # an open file cannot be removed there
            os.close(file)
            with suppress(OSError):
                path.unlink(missing_ok=True)
        else:
            path.unlink(missing_ok=True)
            os.close(file)


def take(file: int, wait: bool = False) -> bool | None:
    """Lock an open file until it is closed.

    Args:
        file: its descriptor.
        wait: wait for another process that holds the lock; not on Windows.

    Returns:
        Whether this process obtained the lock, None if the file system has no locks.
    """
    try:
        if sys.platform == "win32":
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def _is_file_of(file: int, path: Path) -> bool:
    """Return whether an open file still has its name: the last holder may have removed it."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
