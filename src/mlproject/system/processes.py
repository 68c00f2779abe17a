"""Which process works on something, and whether it is still there."""

import functools
import math
import os
import socket
from pathlib import Path
from typing import NamedTuple

import psutil

LARGEST_PID = 2**31


class Process(NamedTuple):
    """A process of some machine.

    Attributes:
        host: name of the machine, of its start and of the container: process ids are unique there.
        pid: process id.
        started: seconds since 1970; tells a process from a later one of the same id.
    """

    host: str
    pid: int
    started: float

    def __str__(self) -> str:
        return f"{self.host}/{self.pid}/{self.started:.2f}"

    @property
    def here(self) -> bool:
        """Whether it runs, or ran, where this one does."""
        return self.host == _host()

    @property
    def gone(self) -> bool:
        """Whether it has ended for certain; never known of other machines."""
        if not self.here:
            return False
        try:
            found = psutil.Process(self.pid)
            return (
                abs(found.create_time() - self.started) > 1.0
                or found.status() == psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False


def this_process() -> Process:
    """Return the process that asks."""
    return Process(_host(), os.getpid(), psutil.Process().create_time())


def parse_process(text: str) -> Process | None:
    """Return the process of a text that `str` made, None of any other text."""
    host, *rest = text.split("/")
    try:
        pid, started = rest
        found = Process(host, int(pid), float(started))
    except ValueError:
        return None
    return found if 0 < found.pid < LARGEST_PID and math.isfinite(found.started) else None


@functools.cache
def _host() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id")
    container = Path("/proc/self/ns/pid")
    parts = [socket.gethostname()]
    parts += [boot.read_text("utf-8").strip()[:8]] if boot.exists() else []
    parts += [str(container.stat().st_ino)] if container.exists() else []
    return ".".join(parts)
