"""The doctor: a line for each part, and what to do where something does not work."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import keras
import pytest

from mlproject.commands import doctor as parts
from mlproject.commands.cli import main
from mlproject.system.program_cache import kept_folder


def test_each_part_gets_a_line_and_a_working_installation_exits_with_0(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["doctor", "--no-device"])
    assert caught.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(re.match(r"(ok|--)  [\w ]+: ", line) for line in lines)
    found = {line[4:].partition(":")[0] for line in lines}
    assert {"Python", "packages", "device", "tracking store", "disk", "threads"} <= found
    assert ("compiled programs" in found) == (keras.backend.backend() == "jax")
    assert {"extra modisco", "extra jax", "extra tensorflow"} <= found
    assert sum("answers and can be written" in line for line in lines) == 1


def test_a_store_that_does_not_exist_yet_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (found,) = parts.store()
    assert (found.advice, "the first run makes it" in found.text) == ("", True)
    assert not list(tmp_path.iterdir())


def test_what_does_not_work_says_what_to_do_and_gives_exit_code_1(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mlflow.db").write_text("no database")
    monkeypatch.setattr(parts, "ROOM", 1e30)
    monkeypatch.setattr(parts, "EXTRAS", {"moon": ("no_such_module", "the moon", "build it")})
    with pytest.raises(SystemExit) as caught:
        main(["doctor", "--no-device", "--backend", "jax"])
    assert caught.value.code == 1
    printed = capsys.readouterr().out
    assert re.search(r"(?m)^!!  tracking store: cannot be used; .*mlflow.db", printed)
    assert re.search(r"(?m)^--  disk: .*; make room", printed)
    assert "--  extra moon: not installed, for: the moon; build it" in printed


def test_a_store_that_cannot_be_written_is_found(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite3.connect("mlflow.db") as store:
        store.execute(
            "CREATE TRIGGER t BEFORE INSERT ON experiment_tags "
            "BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    (found,) = parts.store()
    assert "cannot be written" in found.text
    assert "MLFLOW_TRACKING_URI" in found.advice


def test_compiled_programs_have_a_line_with_their_folder_and_its_size(
    tmp_path: Path, jax_settings: Callable[[str, object], None]
) -> None:
    jax_settings("jax_compilation_cache_dir", str(tmp_path))
    folder = Path(kept_folder())
    folder.mkdir()
    (folder / "a-program").write_bytes(bytes(1_260_000))
    assert parts.programs().line() == f"ok  compiled programs: 1.3 MB in {folder}"


def test_the_line_of_compiled_programs_says_why_none_are_kept_and_what_to_do(
    tmp_path: Path, jax_settings: Callable[[str, object], None]
) -> None:
    (tmp_path / "file").touch()
    jax_settings("jax_compilation_cache_dir", str(tmp_path / "file"))
    line = parts.programs().line()
    assert line.startswith(f"--  compiled programs: {tmp_path}/file/processor-")
    assert re.search("cannot be written: [^;]+; make it writable", line)
    jax_settings("jax_enable_compilation_cache", False)
    line = parts.programs().line()
    assert re.match("--  compiled programs: not kept; `JAX_ENABLE_.* unset it$", line)
