"""The files of compiled programs: their seals, JAX's access to them, and the bound of all."""

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlproject.system.errors import UserError
from mlproject.system.files import atomic_file

MOST_BYTES = 1 << 28  # of all folders of programs: a few hundred networks
DAY_SECONDS = 86_400
MARK = b"mlproject program 1\n"
DIGEST_BYTES = 32
SHRUNK = "shrunk.txt"  # in the folder of all; earlier versions have written it beside programs
VERDICT = "loads.txt"


def checked_cache() -> type[Any]:
    """Return JAX's cache class with atomic entries that carry their SHA-256.

    JAX 0.10 writes entries in place: another process may read an incomplete one, and a killed
    process leaves one behind. It compiles again what `get` does not return. The files have names
    that JAX itself does not read, so that other programs may use the same folder.
    """
    from jax._src import lru_cache

    class CheckedCache(lru_cache.LRUCache):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._given: set[str] = set()

        def get(self, key: str) -> bytes | None:
            if self._of_jax():
                return super().get(key)
            path = self._file(key)
            value = _read(path)
            if value is not None:
                self._given.add(key)
                with suppress(OSError):
                    os.utime(path)  # `shrink` keeps what was read last
            return value

        def put(self, key: str, value: bytes) -> None:
            """Write an entry, if it can be written and is needed.

            JAX compiles a program whose entry it was given only if it could not load the entry.
            """
            if self._of_jax():
                super().put(key, value)
                return
            path = self._file(key)
            if key in self._given or _read(path) is None:
                with suppress(UserError), atomic_file(path) as file:
                    file.write(sealed(value))

        def _of_jax(self) -> bool:
            """Return whether the folder has a lock of JAX, or is not on this machine."""
            return self.eviction_enabled or "://" in str(self.path)

        def _file(self, key: str) -> Path:
            return Path(str(self.path)) / f"{key}-program"

    return CheckedCache


def sealed(value: bytes) -> bytes:
    """Return the content of an entry: a mark, the SHA-256 of `value`, and `value`."""
    return MARK + hashlib.sha256(value).digest() + value


def unsealed(content: bytes) -> bytes | None:
    """Return the value of an entry, None if the entry is damaged or not one of `sealed`."""
    start = len(MARK) + DIGEST_BYTES
    value = content[start:]
    whole = content[: len(MARK)] == MARK
    if not whole or hashlib.sha256(value).digest() != content[len(MARK) : start]:
        return None
    return value


def shrink_daily(programs: Path, most: int = MOST_BYTES) -> None:
    """Call `shrink` if no process has done so for a day, by the time of a file in the folder.

    Raises:
        OSError: the folder cannot be written.
    """
    path = programs / SHRUNK
    if path.exists() and 0 <= time.time() - path.stat().st_mtime < DAY_SECONDS:
        return
    path.touch()
    shrink(programs, most)


def shrink(programs: Path, most: int = MOST_BYTES) -> None:
    """Remove what nobody needs from all folders in `programs`.

    These are the programs that were not read for longest, until `most` bytes are left, and of
    killed processes the incomplete files that are older than a day. A folder that has lost its
    programs is removed when nothing was written to it for a day.
    """
    found = sorted((*time_and_size(path), path) for path in programs.glob("*/*-program"))
    size = sum(one[1] for one in found)
    for _, bytes_, path in found:
        if size <= most:
            break
        _remove(path)
        size -= bytes_
    before = time.time() - DAY_SECONDS
    for path in programs.glob("*/.*.partial"):
        if time_and_size(path)[0] < before:
            _remove(path)
    for folder in programs.glob("*/"):
        if time_and_size(folder)[0] < before and not any(folder.glob("*-program")):
            for name in (SHRUNK, VERDICT):
                _remove(folder / name)
            with suppress(OSError):  # it has other files
                folder.rmdir()


def time_and_size(path: Path) -> tuple[float, int]:
    """Return when `path` was last changed, in seconds since 1970, and its bytes.

    Another process may have removed it: 0 bytes of now.
    """
    try:
        state = path.stat()
    except OSError:
        return time.time(), 0
    return state.st_mtime, state.st_size


def _read(path: Path) -> bytes | None:
    """Return the value of the entry at `path`, None if it is damaged or cannot be read."""
    try:
        return unsealed(path.read_bytes())
    except OSError:
        return None


def _remove(path: Path) -> None:
    with suppress(OSError):  # another process has removed it, or it belongs to another user
        path.unlink()
