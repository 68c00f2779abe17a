"""The identity of a process, and the test whether it still runs."""

import functools
import math
import os
import socket
import time
from pathlib import Path
from typing import NamedTuple

import psutil

LARGEST_PID = 2**31
SILENT_SECONDS = 600.0
SINCE_1970 = 1e9  # larger values of `Process.started` are of an earlier version, or not of Linux


class Process(NamedTuple):
    """A process on any machine.

    Attributes:
        host: machine, boot and container, within which process ids are unique.
        pid: process id.
        started: distinguishes a process from a later one with the same id. Seconds since the start
            of the machine on Linux, where the system's clock may be set meanwhile, else since 1970.
    """

    host: str
    pid: int
    started: float

    def __str__(self) -> str:
        return f"{self.host}/{self.pid}/{self.started:.2f}"

    @property
    def here(self) -> bool:
        """Whether the process belongs to the same host as this one."""
        return self.host == _host()

    @property
    def gone(self) -> bool:
        """Whether the process has certainly ended. Always False for other hosts."""
        if not self.here:
            return False
        try:
            found = psutil.Process(self.pid)
            started = found.create_time() if self.started > SINCE_1970 else _started(found)
            return abs(started - self.started) > 1.0 or found.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False


def this_process() -> Process:
    """Return the current process."""
    return Process(_host(), os.getpid(), _started(psutil.Process()))


def is_alive(process: Process | None, last_sign: float) -> bool:
    """Return whether a process still runs.

    A process of this host must exist. Of any other process, the last sign of life must be at most
    `SILENT_SECONDS` old.

    Args:
        process: None if it is unknown.
        last_sign: time of its last sign of life, seconds since 1970.
    """
    if process is not None and process.here:
        return not process.gone
    return time.time() - last_sign < SILENT_SECONDS


def parse_process(text: str) -> Process | None:
    """Return the process that `str` wrote as `text`, None for any other text."""
    host, *rest = text.split("/")
    try:
        pid, started = rest
        found = Process(host, int(pid), float(started))
    except ValueError:
        return None
    return found if 0 < found.pid < LARGEST_PID and math.isfinite(found.started) else None


def _started(process: psutil.Process) -> float:
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text(errors="replace").rpartition(")")[2]
        return int(fields.split()[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):  # not on Linux
        return process.create_time()


@functools.cache
def _host() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id")
    container = Path("/proc/self/ns/pid")
    parts = [socket.gethostname()]
    parts += [boot.read_text("utf-8").strip()[:8]] if boot.exists() else []
    parts += [str(container.stat().st_ino)] if container.exists() else []
    return ".".join(parts)
