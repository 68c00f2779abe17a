"""Standard output and error that cannot be written end no work, and no command in a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlproject.system.streams import Stream

FULL = Path("/dev/full")
GOLDEN = Path(__file__).parent / "golden" / "tomtom.meme"
needs_full = pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")


def _start(
    arguments: list[str], stdout: int | None = None, stderr: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mlproject", *arguments]
    return subprocess.Popen(command, text=True, stdout=stdout, stderr=stderr)


@needs_full
@pytest.mark.parametrize("arguments", [["match", str(GOLDEN)], ["--help"]])
def test_a_full_disk_behind_standard_output_is_one_line(arguments: list[str]) -> None:
    with FULL.open("w") as full, _start(arguments, stdout=full.fileno()) as process:
        error = process.communicate()[1]
    assert process.returncode == 2
    assert error.startswith("error: standard output must be writable: No space left")
    assert error.count("\n") == 1


def test_a_closed_pipe_is_an_exit_code_without_a_word() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with _start(["match", str(GOLDEN)], stdout=writer) as process:
        os.close(writer)
        error = process.communicate()[1]
    assert (process.returncode, error) == (1, "")


@needs_full
def test_a_message_that_cannot_be_written_changes_no_exit_code() -> None:
    with FULL.open("w") as full, _start(["match", "none.meme"], stderr=full.fileno()) as process:
        process.communicate()
    assert process.returncode == 2


@needs_full
def test_after_an_error_a_stream_goes_on_into_nothing() -> None:
    with FULL.open("w") as full:
        stream = Stream(full)
        for _ in range(3):
            print("x" * 100_000, file=stream, flush=True)
        assert stream.error is not None
        assert stream.error.strerror == "No space left on device"


def test_letters_that_the_terminal_lacks_are_replaced(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as file:
        print("CNN-25 · seed 3 …", file=Stream(file))
    assert (tmp_path / "out").read_text(encoding="ascii") == "CNN-25 ? seed 3 ?\n"


def test_a_read_only_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "table.tsv"
    with _start(["match", str(GOLDEN), "--out", str(out)]) as process:
        error = process.communicate()[1]
    assert process.returncode == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
