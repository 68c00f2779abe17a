"""Compiled programs are kept, checked when they are read, and never of another processor."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlproject.system import program_cache
from mlproject.system.program_cache import (
    MOST_BYTES,
    program_folder,
    sealed,
    shrink,
    shrink_daily,
    unsealed,
)

COMPILE = """
import collections, json
from mlproject.system.startup import prepare_keras
prepare_keras("jax")
import jax
events = collections.Counter()
jax.monitoring.register_event_listener(lambda name, **_: events.update([name.rpartition("/")[2]]))
value = float(jax.jit(lambda x: x * 2 + 0.5)(21.0))
print(json.dumps([value, events["cache_hits"], jax.config.jax_compilation_cache_dir]))
"""


def compile_once(cache: Path, **settings: str) -> tuple[float, int, str | None]:
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)} | settings
    for name in list(environment):
        if name.startswith("JAX_") and name not in settings:
            del environment[name]
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], check=True, capture_output=True, text=True, env=environment
    )
    assert done.stderr == ""
    value, hits, folder = json.loads(done.stdout)
    return value, hits, folder


@pytest.mark.skipif(sys.platform != "linux", reason="XDG_CACHE_HOME names the folder on Linux only")
def test_a_second_start_loads_programs_and_compiles_damaged_ones_again(tmp_path: Path) -> None:
    first, hits, folder = compile_once(tmp_path)
    assert (first, hits) == (42.5, 0)
    assert folder is not None
    assert Path(folder).parent == tmp_path / "mlproject" / "programs"
    entries = sorted(Path(folder).glob("*-program"))
    assert entries
    wanted = [unsealed(path.read_bytes()) for path in entries]
    assert None not in wanted
    unread = Path(folder) / "unread-program"
    with unread.open("wb") as file:
        file.truncate(MOST_BYTES)
    os.utime(unread, (1e9, 1e9))
    value, hits, _ = compile_once(tmp_path)
    assert (value, hits) == (42.5, len(entries))
    assert unread.exists(), "the first start has cut the folder today"
    os.utime(Path(folder) / "shrunk.txt", (1e9, 1e9))
    for path in entries:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    value, hits, _ = compile_once(tmp_path)
    assert (value, hits) == (42.5, 0)
    assert all(unsealed(path.read_bytes()) is not None for path in entries)
    assert not unread.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
@pytest.mark.parametrize("reason", ["switched off", "writable for others"])
def test_nothing_is_kept_where_it_is_not_wanted_or_not_safe(reason: str, tmp_path: Path) -> None:
    settings = {}
    if reason == "switched off":
        settings["JAX_ENABLE_COMPILATION_CACHE"] = "false"
    else:
        folder = tmp_path / "mlproject" / "programs" / program_folder().name
        folder.mkdir(parents=True)
        folder.chmod(0o777)
    value, hits, kept = compile_once(tmp_path, **settings)
    assert (value, hits, kept) == (42.5, 0, None)
    assert not list(tmp_path.rglob("*-program"))


def test_a_user_without_a_home_folder_computes_without_kept_programs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import jax

    def homeless(*_: object, **__: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(program_cache.platformdirs, "user_cache_path", homeless)
    before = jax.config.values["jax_compilation_cache_dir"]
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        program_cache.keep_programs()
        assert jax.config.values["jax_compilation_cache_dir"] is None
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


def test_another_processor_or_number_of_threads_has_another_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = program_folder()
    monkeypatch.setenv("NPROC", "77")
    threads = program_folder()
    monkeypatch.setattr(program_cache.platform, "machine", lambda: "abacus")
    assert len({here, threads, program_folder()}) == 3


def test_an_entry_is_its_value_or_nothing() -> None:
    content = sealed(b"program")
    assert unsealed(content) == b"program"
    cut = [content[:size] for size in range(len(content))]
    flipped = [
        content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]
        for place in range(len(content))
    ]
    assert not [one for one in (*cut, *flipped, b"program") if unsealed(one) is not None]


def test_the_programs_that_were_not_read_for_longest_are_removed_first(tmp_path: Path) -> None:
    for age in (5, 1, 9, 3):
        path = tmp_path / f"{age}-program"
        path.write_bytes(bytes(100))
        os.utime(path, (1e9 - age, 1e9 - age))
    (tmp_path / "loads.txt").write_text("usable")
    shrink(tmp_path, 400)
    assert len(list(tmp_path.glob("*-program"))) == 4
    shrink(tmp_path, 250)
    assert {path.name for path in tmp_path.iterdir()} == {"1-program", "3-program", "loads.txt"}


@pytest.mark.parametrize(("hours", "left"), [(0, 2), (23, 2), (25, 1), (-1, 1)])
def test_a_folder_is_looked_through_once_a_day(hours: int, left: int, tmp_path: Path) -> None:
    shrink_daily(tmp_path, 100)
    for name in "ab":
        (tmp_path / f"{name}-program").write_bytes(bytes(100))
    then = time.time() - 3600 * hours - 1
    os.utime(tmp_path / "shrunk.txt", (then, then))
    shrink_daily(tmp_path, 100)
    shrink_daily(tmp_path, 0)
    assert len(list(tmp_path.glob("*-program"))) == left
