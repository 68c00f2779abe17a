"""Compiled programs of JAX on disk, so that the second start of a network does not compile again.

JAX has such a cache. This module gives it a folder for each kind of processor, if such a folder is
safe and of use. `program_entries` has the files in it.
"""

import hashlib
import os
import platform
import warnings
from contextlib import suppress
from pathlib import Path

import platformdirs

from mlproject.system.errors import UserError, reason
from mlproject.system.files import atomic_file
from mlproject.system.program_entries import VERDICT, checked_cache, shrink_daily
from mlproject.system.streams import hidden_stderr

SHORTEST_SECONDS = 0  # of compilation: a run has some sixty small programs, half a second in all
SUBFOLDER = "processor-"  # and its digest, in a folder that the user names
MESSAGES = "Error (reading|writing) persistent compilation cache entry"
ISSUE = "https://github.com/jax-ml/jax/issues/38445"


def keep_programs() -> None:
    """Keep the programs that JAX compiles on this processor in the folder of `kept_folder`.

    Without such a folder nothing is kept. JAX's limits of time and size count in a folder that
    ``JAX_COMPILATION_CACHE_DIR`` names. An entry that cannot be read or written is compiled again,
    without a message.
    """
    import jax
    from jax._src import compilation_cache

    compilation_cache.LRUCache = checked_cache()  # type: ignore[misc]
    warnings.filterwarnings("ignore", MESSAGES, UserWarning)
    named = _named()
    with suppress(UserError):
        jax.config.update("jax_compilation_cache_dir", kept_folder())
        if named:
            return
        for name, value in (
            ("jax_persistent_cache_min_compile_time_secs", SHORTEST_SECONDS),
            ("jax_persistent_cache_min_entry_size_bytes", -1),
        ):
            if not os.environ.get(name.upper()):
                jax.config.update(name, value)


def kept_folder() -> str:
    """Return the folder in which this process keeps programs, maybe an address such as ``gs://…``.

    In a folder that ``JAX_COMPILATION_CACHE_DIR`` names, it is a subfolder for this processor, and
    may hold programs for accelerators too.

    Raises:
        UserError: no programs are kept; the message says why.
    """
    import jax
    from jax._src import config

    if not config.enable_compilation_cache.value:
        raise UserError(
            "`JAX_ENABLE_COMPILATION_CACHE` must be true to keep compiled programs: it is false; "
            "unset it"
        )
    if named := _named():
        head, tail = os.path.split(named)
        base = head if head and tail.startswith(SUBFOLDER) else named.rstrip("/")
        return f"{base}/{SUBFOLDER}{_digest()}"
    if others := {one.platform for one in jax.devices()} - {"cpu"}:
        raise UserError(
            f"programs for {', '.join(sorted(others))} are kept only where "
            "`JAX_COMPILATION_CACHE_DIR` names a folder: set it"
        )
    return str(_own_folder())


def program_folder() -> Path:
    """Return the cache folder for programs of this processor and number of threads.

    JAX's own keys hold the program, the versions and the flags, but not these two.

    Raises:
        RuntimeError: the user has no home folder.
    """
    return _programs() / _digest()


def _programs() -> Path:
    """Return the folder of all these folders, which needs no look at the processor."""
    return platformdirs.user_cache_path("mlproject", appauthor=False) / "programs"


def _named() -> str:
    """Return the folder that the user has named for JAX, "" if there is none."""
    from jax._src import config

    value = config.compilation_cache_dir.value or ""
    with suppress(RuntimeError):
        if Path(value).parent == _programs():
            return ""
    return value


def _own_folder() -> Path:
    """Make the folder of `program_folder`, and bound the size of all of this user's.

    Raises:
        UserError: it cannot be made, others may write to it, or its programs cannot be loaded.
    """
    try:
        folder = program_folder()
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(OSError):
            shrink_daily(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        private = _private(folder)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"the user's cache folder must be writable: {reason(error)}; make it so, or set "
            "`JAX_COMPILATION_CACHE_DIR` to another folder"
        ) from error
    if not private:
        raise UserError(
            f"only its user may write to {folder}, since its programs are executed: it is "
            "another user's or writable for others; `chmod go-w` it, or remove it"
        )
    if not _usable(folder):
        raise UserError(
            "XLA must load the programs that it compiles: it does not on this processor; "
            f"another version of jaxlib may ({ISSUE})"
        )
    return folder


def _digest() -> str:
    return hashlib.sha256(_processor().encode()).hexdigest()[:16]


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
    """Return whether this processor loads a program that it compiled.

    On some processors XLA refuses its own programs, with a message for each (`ISSUE`). The verdict
    on this version of jaxlib is remembered in the folder, if that can be written.
    """
    import jax

    path, version = folder / VERDICT, jax.lib.__version__
    verdicts = {True: f"usable {version}".encode(), False: f"unusable {version}".encode()}
    found = b""
    with suppress(OSError):
        found = path.read_bytes()
    for usable, content in verdicts.items():
        if found == content:
            return usable
    usable = _loads()
    with suppress(UserError), atomic_file(path) as file:
        file.write(verdicts[usable])
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
