"""The memory of the machine, and the check whether something fits into it."""

from contextlib import suppress
from pathlib import Path

import psutil

from mlproject.system.errors import UserError

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def machine_bytes() -> int:
    """Return the memory available to this process: of the machine, or of its container."""
    present = [psutil.virtual_memory().total]
    for path in LIMITS:
        with suppress(OSError, ValueError):
            present.append(int(Path(path).read_text(encoding="ascii")))
    return min(present)


def require_memory(needed: int, what: str, advice: str) -> None:
    """Raise a `UserError` if something needs more memory than the machine has.

    Args:
        needed: the least memory that it needs, bytes.
        what: its name, for the message.
        advice: what to do instead, for the message.
    """
    present = machine_bytes()
    if needed > present:
        raise UserError(
            f"{what} must fit into memory: needs at least {_gb(needed)} and the machine has "
            f"{_gb(present)}; {advice}"
        )


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count < 1e15 else "more than a million GB"


class Room:
    """The memory of the machine that a growing collection may take."""

    def __init__(self, what: str, advice: str) -> None:
        self._most, self._texts = machine_bytes(), (what, advice)

    def require(self, needed: int) -> None:
        """Raise a `UserError` if the collection needs more bytes, see `require_memory`."""
        if needed > self._most:
            require_memory(needed, *self._texts)
