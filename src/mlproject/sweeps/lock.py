"""Lock file of a plan, which names the process of its driver."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from mlproject.system.errors import UserError
from mlproject.system.processes import is_alive, parse_process, this_process

TOUCH_SECONDS = 30.0
WRITE_SECONDS = 10.0
POLL_SECONDS = 0.1


class HeldError(UserError):
    """Another driver holds the lock."""


class PlanLock:
    """A held lock, to be touched regularly: other machines take its age as a sign of life."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._touched = time.monotonic()

    def touch(self) -> None:
        """Renew the time stamp of the file, at most twice a minute."""
        if time.monotonic() - self._touched > TOUCH_SECONDS:
            self._touched = time.monotonic()
            with contextlib.suppress(OSError):
                os.utime(self._path)


@contextlib.contextmanager
def plan_lock(path: Path) -> Iterator[PlanLock]:
    """Hold the lock file `path`.

    The lock of a process that has ended is taken over; that of another machine after ten minutes
    without a touch.

    Raises:
        HeldError: another driver holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = str(this_process())
    while not _take(path, mine):
        holder = _read(path)
        process = parse_process(holder)
        try:
            touched = path.stat().st_mtime
        except FileNotFoundError:
            continue
        if not holder and abs(time.time() - touched) < WRITE_SECONDS:
            time.sleep(POLL_SECONDS)
            continue
        alive = is_alive(process, touched)
        if holder and alive:
            where = f"process {process.pid} on {process.host.split('.')[0]}" if process else holder
            raise HeldError(
                f"one driver a plan: {where} runs this plan ({path}); wait for it or stop it"
            )
        with contextlib.suppress(FileNotFoundError):
            if _read(path) == holder:
                path.unlink()
    try:
        yield PlanLock(path)
    finally:
        if _read(path) == mine:
            path.unlink(missing_ok=True)


def _take(path: Path, mine: str) -> bool:
    """Create the lock file with its content in one step; return whether it did not exist.

    On a file system without hard links the file is empty for a moment.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(mine, "utf-8")
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(mine)
        except FileExistsError:
            return False
    finally:
        temporary.unlink()
    return True


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
