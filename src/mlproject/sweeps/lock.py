"""One driver a plan: a lock file that names its process."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from mlproject.system.errors import UserError
from mlproject.system.processes import is_alive, parse_process, this_process

TOUCH_SECONDS = 30.0


class Lock:
    """A held lock; `touch` it now and then, so that other machines see it is alive."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._touched = time.monotonic()

    def touch(self) -> None:
        """Tell that the holder is alive, twice a minute at most."""
        if time.monotonic() - self._touched > TOUCH_SECONDS:
            self._touched = time.monotonic()
            with contextlib.suppress(OSError):
                os.utime(self._path)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[Lock]:
    """Hold the lock file `path`.

    A lock whose process is gone is taken over; one of another machine when it was not touched for
    ten minutes.

    Raises:
        UserError: somebody holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = str(this_process())
    while not _take(path, mine):
        holder = _read(path)
        process = parse_process(holder)
        try:
            alive = is_alive(process, path.stat().st_mtime)
        except FileNotFoundError:
            continue
        if holder and alive:
            where = f"process {process.pid} on {process.host.split('.')[0]}" if process else holder
            raise UserError(
                f"one driver a plan: {where} works on this one ({path}); wait for it or stop it"
            )
        with contextlib.suppress(FileNotFoundError):
            if _read(path) == holder:
                path.unlink()
    try:
        yield Lock(path)
    finally:
        if _read(path) == mine:
            path.unlink(missing_ok=True)


def _take(path: Path, mine: str) -> bool:
    """Make the file with its content at once: it never exists without."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(mine, "utf-8")
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    return True


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
