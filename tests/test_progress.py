"""Progress: a bar on a terminal; elsewhere, and with NO_COLOR, plain lines or nothing."""

import gzip
import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from mlproject.system import progress
from mlproject.system.progress import live_console, progress_shown, stage, watched
from mlproject.system.texts import lines


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal in place of the one that progress asks for."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    monkeypatch.setattr(progress, "Console", lambda stderr: console)
    return screen


def test_a_terminal_shows_the_items_done_and_the_time_left(terminal: io.StringIO) -> None:
    with progress_shown():
        assert list(watched(range(5), "shuffling")) == [0, 1, 2, 3, 4]
        assert list(watched(iter("ab"), "reading")) == ["a", "b"]
    assert "shuffling" in terminal.getvalue()
    assert "/5" in terminal.getvalue()
    assert "left" in terminal.getvalue()


def test_no_color_and_pipes_are_plain(
    terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert live_console() is not None
    monkeypatch.setenv("NO_COLOR", "1")
    assert live_console() is None
    monkeypatch.setattr(progress, "SLOW", 0.0)
    with progress_shown(), stage("testing"):
        assert list(watched([1, 2], "matching")) == [1, 2]
    assert terminal.getvalue() == ""
    error = capsys.readouterr().err
    assert error.startswith("testing  0.")
    assert error.count("\n") == 1
    assert error.isascii() or sys.platform == "win32"


def test_a_pipe_stays_plain_where_colours_are_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert live_console() is None


def test_without_a_command_that_shows_progress_a_library_is_silent(
    terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SLOW", 0.0)
    with stage("testing"):
        assert list(watched([1, 2], "matching")) == [1, 2]
    with progress_shown(quiet=True), stage("testing"):
        pass
    assert terminal.getvalue() + capsys.readouterr().err == ""


def test_a_bar_within_a_stage_is_shown_and_errors_pass(terminal: io.StringIO) -> None:
    with pytest.raises(ValueError, match="stop"), progress_shown(), stage("reading filters"):
        for one in watched(range(3), "removing each filter"):
            if one == 1:
                raise ValueError("stop")
    assert "reading filters" in terminal.getvalue()


def test_reading_a_large_file_shows_the_bytes_that_are_read(
    terminal: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join(f">s{n}\nACGTTGCA\n" for n in range(6000))
    (tmp_path / "plain.fa").write_text(text)
    (tmp_path / "packed.fa.gz").write_bytes(gzip.compress(text.encode()))
    monkeypatch.setattr(progress, "LARGE", 1000)
    for name in ("plain.fa", "packed.fa.gz"):
        with progress_shown():
            assert [line for _, line in lines(tmp_path / name)] == text.split()
        assert f"reading {name}" in terminal.getvalue()
    assert "kB" in terminal.getvalue()
    size = len(terminal.getvalue())
    assert len(list(lines(tmp_path / "plain.fa"))) == 12_000
    monkeypatch.setenv("NO_COLOR", "1")
    with progress_shown():
        assert len(list(lines(tmp_path / "plain.fa"))) == 12_000
    assert len(terminal.getvalue()) == size
