"""The doctor: a line for each part, and what to do where something does not work."""

import re
import sqlite3
from pathlib import Path

import pytest

from mlproject.commands import doctor as parts
from mlproject.commands.cli import main


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
