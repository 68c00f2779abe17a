"""Compiled programs of JAX on disk, so that the second start of a network does not compile again.

JAX has such a cache. This module gives it a folder for each kind of processor, writes entries
atomically, checks them when they are read, and bounds the size of the folder.
"""

import hashlib
import os
import platform
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

from mlproject.system.errors import UserError
from mlproject.system.files import atomic_file
from mlproject.system.streams import hidden_stderr

MOST_BYTES = 1 << 28  # of a folder of programs: a few hundred networks
DAY_SECONDS = 86_400
SHORTEST_SECONDS = 0  # of compilation: a run has some sixty small programs, half a second in all
MARK = b"mlproject program 1\n"
DIGEST_BYTES = 32
USABLE, UNUSABLE = "usable", "unusable"


def keep_programs() -> None:
    """Keep the programs that JAX compiles on this processor in the user's cache folder.

    Nothing changes where ``JAX_COMPILATION_CACHE_DIR`` names a folder, apart from entries that are
    written atomically and checked. Programs for accelerators are kept only in such a folder. An
    unusable cache folder means that nothing is kept.
    """
    import jax
    from jax._src import compilation_cache, config

    compilation_cache.LRUCache = _checked_cache()  # type: ignore[misc]
    if config.compilation_cache_dir.value or not config.enable_compilation_cache.value:
        return
    if any(device.platform != "cpu" for device in jax.devices()):
        return
    try:
        folder = program_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _private(folder) or not _usable(folder):
            return
    except (OSError, RuntimeError, UserError):  # RuntimeError: the user has no home folder
        return
    with suppress(OSError):
        shrink_daily(folder)
    _use(folder)


def program_folder() -> Path:
    """Return the cache folder for programs of this processor and number of threads.

    JAX's own keys hold the program, the versions and the flags, but not these two.
    """
    home = platformdirs.user_cache_path("mlproject", appauthor=False)
    return home / "programs" / hashlib.sha256(_processor().encode()).hexdigest()[:16]


def shrink_daily(folder: Path, most: int = MOST_BYTES) -> None:
    """Call `shrink` if no process has done so for a day, by the time of a file in the folder."""
    path = folder / "shrunk.txt"
    if path.exists() and 0 <= time.time() - path.stat().st_mtime < DAY_SECONDS:
        return
    path.touch()
    shrink(folder, most)


def shrink(folder: Path, most: int = MOST_BYTES) -> None:
    """Remove the programs that were not read for longest, until `most` bytes are left."""
    found = []
    for path in folder.glob("*-program"):
        try:
            state = path.stat()
        except OSError:  # another process has removed it
            continue
        found.append((state.st_mtime, state.st_size, path))
    size = sum(one[1] for one in found)
    for _, bytes_, path in sorted(found):
        if size <= most:
            return
        path.unlink(missing_ok=True)
        size -= bytes_


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


def _use(folder: Path) -> None:
    import jax

    jax.config.update("jax_compilation_cache_dir", str(folder))
    for name, value in (
        ("jax_persistent_cache_min_compile_time_secs", SHORTEST_SECONDS),
        ("jax_persistent_cache_min_entry_size_bytes", -1),
    ):
        if not os.environ.get(name.upper()):
            jax.config.update(name, value)


def _checked_cache() -> type[Any]:
    """Return JAX's cache class with atomic entries that carry their SHA-256.

    JAX 0.10 writes entries in place: another process may read an incomplete one, and a killed
    process leaves one behind. It compiles again what `get` does not return. The files have names
    that JAX itself does not read, so that other programs may use the same folder.
    """
    from jax._src import lru_cache

    class CheckedCache(lru_cache.LRUCache):
        def get(self, key: str) -> bytes | None:
            if self._of_jax():
                return super().get(key)
            path = self._file(key)
            try:
                value = unsealed(path.read_bytes())
            except OSError:
                return None
            with suppress(OSError):
                os.utime(path)  # `shrink` keeps what was read last
            return value

        def put(self, key: str, value: bytes) -> None:
            if self._of_jax():
                super().put(key, value)
            elif self.get(key) is None:
                with atomic_file(self._file(key)) as file:
                    file.write(sealed(value))

        def _of_jax(self) -> bool:
            """Return whether the folder has a lock of JAX, or is not on this machine."""
            return self.eviction_enabled or "://" in str(self.path)

        def _file(self, key: str) -> Path:
            return Path(str(self.path)) / f"{key}-program"

    return CheckedCache


def _processor() -> str:
    """Return what machine code depends on: the features of the processor and the threads."""
    parts = [platform.system(), platform.machine(), platform.processor(), str(os.cpu_count())]
    if hasattr(os, "sched_getaffinity"):
        parts.append(str(len(os.sched_getaffinity(0))))
    parts.append(os.environ.get("NPROC", ""))
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = ("model name", "flags", "Features", "CPU part", "CPU implementer")
    parts.extend(sorted({line for line in lines if line.startswith(names)}))
    return "\n".join(parts)


def _private(folder: Path) -> bool:
    """Return whether the folder is this user's only, since programs in it are executed."""
    if not hasattr(os, "getuid"):
        return True
    state = folder.stat()
    return state.st_uid == os.getuid() and not state.st_mode & 0o022


def _usable(folder: Path) -> bool:
    """Return whether this processor loads a program that it compiled; remembered in the folder.

    On some processors XLA refuses its own programs, with a message for each
    (https://github.com/jax-ml/jax/issues/38445).
    """
    path = folder / "loads.txt"
    try:
        return path.read_text("utf-8") == USABLE
    except OSError:
        pass
    usable = _loads()
    with atomic_file(path) as file:
        file.write((USABLE if usable else UNUSABLE).encode())
    return usable


def _loads() -> bool:
    """Compile a small program, load it from its bytes, and return whether that is silent."""
    import jax
    import numpy as np
    from jax.experimental import serialize_executable

    compiled = jax.jit(lambda x: x * 2 + 1).lower(np.zeros(8, np.float32)).compile()
    with hidden_stderr() as printed:
        try:
            serialize_executable.deserialize_and_load(*serialize_executable.serialize(compiled))
        except Exception:
            return False
        return not printed()
