"""Files appear whole or not at all, whatever happens while they are written."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from mlproject.commands.cli import main
from mlproject.data import read
from mlproject.system.errors import UserError
from mlproject.system.files import LONGEST_NAME, atomic_file, atomic_hdf5
from mlproject.system.outputs import require_writable
from mlproject.system.texts import require_file


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes: what a full disk does, with another error number."""
    resource = pytest.importorskip("resource", reason="needs POSIX limits")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.bin"
    with atomic_file(path) as file:
        file.write(b"first ")
        assert not path.exists()
        file.write(b"second")
    assert path.read_bytes() == b"first second"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_file_leaves_the_older_one(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_file(path) as file:
        file.write(b"new")
        raise error
    with pytest.raises(error), atomic_hdf5(path) as hdf5:
        hdf5["new"] = np.zeros(1000)
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    words = r"cannot write .*a\.h5: \w+"
    with (
        pytest.raises(UserError, match=words) as raised,
        atomic_hdf5(tmp_path / "file" / "a.h5"),
    ):
        pass
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["folder", "pipe"])
def test_what_is_no_file_stays_and_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    words = f"cannot write .*{name}: it exists and is not a file"
    with pytest.raises(UserError, match=words), atomic_file(tmp_path / name) as file:
        file.write(b"x")
    assert set(tmp_path.iterdir()) == {tmp_path / "folder", tmp_path / "pipe"}
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("name", ["folder", "pipe", "/dev/null", "é" * 130, "x" * 250])
def test_an_output_that_cannot_be_is_refused_before_the_work(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr("mlproject.motifs.tomtom.match_files", lambda *_: pytest.fail("worked"))
    with pytest.raises(SystemExit, match="2"):
        main(["match", "query.meme", "--out", str(tmp_path / name)])
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert len(error) < 300
    assert {one.name for one in tmp_path.iterdir()} == {"folder", "pipe"}


def test_the_file_of_standard_output_is_not_replaced(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mlproject.system.outputs import *\n"
        "for path in sys.argv[1:]:\n"
        "    try: require_writable(Path(path))\n"
        "    except UserError as error: print(error, file=sys.stderr)"
    )
    log = tmp_path / "log.txt"
    log.write_text("before\n")
    with log.open("a") as file:
        done = subprocess.run(
            [sys.executable, "-c", code, "/dev/stdout", str(log), str(tmp_path / "other")],
            check=True, stdout=file, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.stderr.count("standard output or error goes there") == 2
    assert done.stderr.count("\n") == 2
    assert log.read_text() == "before\n"


def test_the_longest_name_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("é" * (LONGEST_NAME // 2) + "x" * (LONGEST_NAME % 2))
    require_writable(path)
    with atomic_file(path) as file:
        file.write(b"x")
    assert path.read_bytes() == b"x"
    with pytest.raises(UserError, match="a name must have at most"):
        require_writable(path.with_name(f"{path.name}y"))


def test_a_pipe_that_is_to_be_read_is_said_to_be_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        for use in (require_file, read):
            with pytest.raises(UserError, match="a pipe or a device: write its content to a file"):
                use(path)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "file")
    for text in (b"first", b"second"):
        with atomic_file(tmp_path / "link") as file:
            file.write(text)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "disk" / "file").read_bytes() == text


@pytest.mark.parametrize("size", [0, 3000, 50_000])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, size: int) -> None:
    with (
        pytest.raises(UserError, match=r"cannot write .*a\.bin: File too large$"),
        largest_file(size),
        atomic_file(tmp_path / "a.bin") as file,
    ):
        file.write(bytes(100_000))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [0, 100, 3000, 50_000, 120_000])
def test_a_full_disk_does_not_crash_hdf5(tmp_path: Path, size: int) -> None:
    with (
        pytest.raises(UserError, match=r"cannot write .*a\.h5: File too large$"),
        largest_file(size),
        atomic_hdf5(tmp_path / "a.h5") as file,
    ):
        file["small"] = np.arange(10)
        file["large"] = np.zeros(100_000, np.uint8)
        file.attrs["text"] = "x" * 30_000
    assert not list(tmp_path.iterdir())


def test_hdf5_can_be_read_while_and_after_it_is_written(tmp_path: Path) -> None:
    import h5py

    with atomic_hdf5(tmp_path / "a.h5") as file:
        file["numbers"] = np.arange(100_000)
        file.flush()
        assert file["numbers"][-1] == 99_999
    with h5py.File(tmp_path / "a.h5", "r") as file:
        np.testing.assert_array_equal(file["numbers"][()], np.arange(100_000))
