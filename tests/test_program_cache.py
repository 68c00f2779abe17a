"""Compiled programs are kept, checked when they are read, and never of another processor."""

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlproject.system import files, program_cache
from mlproject.system.errors import UserError
from mlproject.system.program_cache import keep_programs, kept_folder, program_folder
from mlproject.system.program_entries import (
    MOST_BYTES,
    checked_cache,
    sealed,
    shrink,
    shrink_daily,
    unsealed,
)

Setting = Callable[[str, object], None]
KERAS = "from mlproject.system.startup import prepare_keras; prepare_keras('jax')"
NO_KERAS = "from mlproject.system.program_cache import keep_programs; keep_programs()"
COMPILE = """
import collections, json
import jax
events = collections.Counter()
jax.monitoring.register_event_listener(lambda name, **_: events.update([name.rpartition("/")[2]]))
value = float(jax.jit(lambda x: x * 2 + 0.5)(21.0))
print(json.dumps([value, events["cache_hits"], jax.config.jax_compilation_cache_dir]))
"""


def compile_once(cache: Path, start: str = KERAS, **settings: str) -> tuple[float, int, str | None]:
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)} | settings
    for name in list(environment):
        if name.startswith("JAX_") and name not in settings:
            del environment[name]
    done = subprocess.run(
        [sys.executable, "-c", start + COMPILE],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.stderr == ""
    value, hits, folder = json.loads(done.stdout)
    return value, hits, folder


@pytest.fixture
def own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jax_settings: Setting
) -> Iterator[list[bool]]:
    """A user's empty cache folder at `tmp_path`, and the verdicts of tests that follow."""
    verdicts: list[bool] = []
    monkeypatch.setattr(program_cache.platformdirs, "user_cache_path", lambda *_, **__: tmp_path)
    monkeypatch.setattr(program_cache, "_loads", verdicts.pop)
    jax_settings("jax_compilation_cache_dir", None)
    yield verdicts
    assert not verdicts, "tested again"


def fail(*_: object, **__: object) -> Any:
    raise OSError(errno.EROFS, "Read-only file system")


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
    unread = tmp_path / "mlproject" / "programs" / "of another processor" / "unread-program"
    unread.parent.mkdir()
    with unread.open("wb") as file:
        file.truncate(MOST_BYTES)
    os.utime(unread, (1e9, 1e9))
    value, hits, _ = compile_once(tmp_path)
    assert (value, hits) == (42.5, len(entries))
    assert unread.exists(), "the first start has cut the folders today"
    os.utime(unread.parent.parent / "shrunk.txt", (1e9, 1e9))
    for path in entries:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    value, hits, _ = compile_once(tmp_path)
    assert (value, hits) == (42.5, 0)
    assert all(unsealed(path.read_bytes()) is not None for path in entries)
    assert not unread.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="XDG_CACHE_HOME names the folder on Linux only")
def test_programs_that_jax_cannot_load_are_replaced_without_a_warning(tmp_path: Path) -> None:
    folder = Path(compile_once(tmp_path, NO_KERAS)[2] or "")
    entries = list(folder.glob("*-program"))
    assert entries
    for path in entries:
        path.write_bytes(sealed(b"not what JAX has written"))
    assert compile_once(tmp_path, NO_KERAS) == (42.5, 0, str(folder))
    assert compile_once(tmp_path, NO_KERAS) == (42.5, len(entries), str(folder))


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
    value, hits, kept = compile_once(tmp_path, NO_KERAS, **settings)
    assert (value, hits, kept) == (42.5, 0, None)
    assert not list(tmp_path.rglob("*-program"))


@pytest.mark.parametrize(
    "content",
    [None, b"", b"\xff\xfe", bytes(6), b"usable", b"unusable", b"usable 0.1", b"unusable 0.1"],
)
@pytest.mark.parametrize("usable", [True, False])
def test_a_verdict_of_other_content_or_of_another_jaxlib_is_tested_again_and_rewritten(
    usable: bool, content: bytes | None, own: list[bool]
) -> None:
    folder = program_folder()
    folder.mkdir(mode=0o700, parents=True)
    if content is not None:
        (folder / "loads.txt").write_bytes(content)
    own.append(usable)
    for _ in range(2):
        if usable:
            assert kept_folder() == str(folder)
        else:
            with pytest.raises(UserError, match="another version of jaxlib"):
                kept_folder()
        assert not own
        assert (folder / "loads.txt").read_bytes() not in (content, b"")


def test_a_folder_that_cannot_be_written_is_read(
    own: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    program_folder().mkdir(mode=0o700, parents=True)
    for place, name in ((files, "_temporary"), (Path, "touch"), (Path, "unlink"), (os, "utime")):
        monkeypatch.setattr(place, name, fail)
    own.append(True)
    cache = checked_cache()(kept_folder(), max_size=-1)
    (program_folder() / "key-program").write_bytes(sealed(b"program"))
    assert cache.get("key") == b"program"
    cache.put("other", b"program")
    assert cache.get("other") is None


def test_an_entry_that_jax_was_given_and_compiles_again_is_replaced(tmp_path: Path) -> None:
    bad, good = (checked_cache()(str(tmp_path), max_size=-1) for _ in range(2))
    bad.put("key", b"bad")
    good.put("key", b"meanwhile written by another process")
    assert good.get("key") == b"bad"
    good.put("key", b"good")
    assert bad.get("key") == b"good"


def test_each_condition_without_kept_programs_says_what_to_do(
    own: list[bool], monkeypatch: pytest.MonkeyPatch, jax_settings: Setting
) -> None:
    import jax

    def homeless(*_: object, **__: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    with monkeypatch.context() as patch:
        patch.setattr(program_cache.platformdirs, "user_cache_path", homeless)
        with pytest.raises(UserError, match="home directory; make it so, or set `JAX_COMP"):
            kept_folder()
        keep_programs()
        assert jax.config.values["jax_compilation_cache_dir"] is None
    with monkeypatch.context() as patch:
        patch.setattr(jax, "devices", lambda: [SimpleNamespace(platform="gpu")])
        with pytest.raises(UserError, match="programs for gpu are kept only where `JAX_COMP"):
            kept_folder()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", fail)
        with pytest.raises(UserError, match=r"must be writable: .*Read-only file system; make it"):
            kept_folder()
    with monkeypatch.context() as patch:
        patch.setattr(program_cache, "_private", lambda _: False)
        with pytest.raises(UserError, match=r"only its user may write to .*chmod"):
            kept_folder()
    jax_settings("jax_enable_compilation_cache", False)
    with pytest.raises(UserError, match=r"`JAX_ENABLE_COMPILATION_CACHE` .*; unset it"):
        kept_folder()


def test_a_folder_that_the_user_names_has_a_subfolder_for_each_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jax_settings: Setting
) -> None:
    import jax

    def kept() -> str:
        keep_programs()
        assert kept_folder() == jax.config.values["jax_compilation_cache_dir"]
        return kept_folder()

    jax_settings("jax_compilation_cache_dir", f"{tmp_path}/")
    found = [kept(), kept()]
    monkeypatch.setattr(program_cache.platform, "machine", lambda: "abacus")
    found += [kept(), kept()]
    assert found[::2] == found[1::2]
    assert found[0] != found[2]
    assert all(Path(one).parent == tmp_path for one in found)
    jax_settings("jax_compilation_cache_dir", "gs://bucket/programs")
    assert kept_folder() == f"gs://bucket/programs/{Path(found[2]).name}"


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


def test_the_programs_of_all_folders_that_were_not_read_for_longest_are_removed_first(
    tmp_path: Path,
) -> None:
    for age in (5, 1, 9, 3):
        path = tmp_path / f"processor {age % 3}" / f"{age}-program"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(100))
        os.utime(path, (1e9 - age, 1e9 - age))
    (tmp_path / "processor 0" / "loads.txt").write_text("usable")
    shrink(tmp_path, 400)
    assert len(list(tmp_path.glob("*/*-program"))) == 4
    shrink(tmp_path, 250)
    left = {path.name for path in tmp_path.rglob("*.*")} | {
        path.name for path in tmp_path.rglob("*-program")
    }
    assert left == {"1-program", "3-program", "loads.txt"}


@pytest.mark.parametrize(("hours", "left"), [(0, True), (23, True), (25, False)])
def test_incomplete_files_and_folders_without_programs_are_removed_after_a_day(
    hours: int, left: bool, tmp_path: Path
) -> None:
    then = time.time() - 3600 * hours
    used, unused = tmp_path / "used", tmp_path / "unused"
    for folder in (used, unused):
        folder.mkdir()
        (folder / "loads.txt").write_text("usable")
    (used / "a-program").write_bytes(bytes(100))
    with pytest.raises(KeyboardInterrupt), files.atomic_file(used / "b-program") as file:
        partial = used / Path(file.name).name
        os.link(partial, used / "killed")
        raise KeyboardInterrupt
    (used / "killed").rename(partial)
    for path in (*used.iterdir(), used, unused):
        os.utime(path, (then, then))
    shrink(tmp_path)
    assert (partial.exists(), unused.exists()) == (left, left)
    assert (used / "a-program").exists()
    assert (used / "loads.txt").exists()


@pytest.mark.parametrize(("hours", "left"), [(0, 2), (23, 2), (25, 1), (-1, 1)])
def test_the_folders_are_looked_through_once_a_day(hours: int, left: int, tmp_path: Path) -> None:
    shrink_daily(tmp_path, 100)
    (tmp_path / "processor").mkdir()
    for name in "ab":
        (tmp_path / "processor" / f"{name}-program").write_bytes(bytes(100))
    then = time.time() - 3600 * hours - 1
    os.utime(tmp_path / "shrunk.txt", (then, then))
    shrink_daily(tmp_path, 100)
    shrink_daily(tmp_path, 0)
    assert len(list(tmp_path.glob("*/*-program"))) == left
