"""Atomic writing of files and folders, and SHA-256 seals that reveal damage."""

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mlproject.system.errors import UserError
from mlproject.system.locks import take

if TYPE_CHECKING:
    import h5py


LONGEST_NAME = 255 - len("..01234567.partial")
"""Bytes of a name of a file that `atomic_file` can write."""
SEAL = b"\nsha256:"
SEAL_LENGTH = len(SEAL) + 64


@contextmanager
def atomic_file(path: Path, keep: Path | None = None) -> Iterator[BufferedRandom]:
    """Open a binary file that gets its name only when its content is completely on disk.

    The content is written under a temporary name in the same folder, which is created if needed.
    After an error or Ctrl-C the temporary file is removed and an older file stays unchanged. The
    temporary file of a killed process is removed by the next writer of the same name. A symbolic
    link is kept, and its target is written.

    Args:
        path: the file.
        keep: new name of an older file at `path`. None: it is replaced.

    Raises:
        UserError: the folder cannot be written, the disk is full, `path` is a folder or a device.
    """
    path = Path(os.path.realpath(path))
    if os.path.exists(path) and not os.path.isfile(path):
        raise UserError(f"cannot write {path}: it exists and is not a file")
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        temporary, file = _temporary(path)
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if os.name == "nt":
                file.close()  # Windows cannot rename an open file
            if keep is not None:
                with suppress(FileNotFoundError):
                    os.replace(path, keep)
            os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def _temporary(path: Path) -> tuple[Path, BufferedRandom]:
    """Open a file with a temporary name, and lock it until it is closed."""
    while True:
        temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.partial"
        file = open(temporary, "x+b")  # noqa: SIM115
        _lock(file, wait=True)
        if temporary.exists():
            return temporary, file
        file.close()  # another process removed it before it was locked


def _remove_abandoned(path: Path) -> None:
    """Remove temporary files of `path` whose writers have ended."""
    for name in os.listdir(path.parent):
        if name.startswith(f".{path.name}.") and name.endswith(".partial"):
            with suppress(OSError), open(path.parent / name, "rb") as file:
                if _lock(file, wait=False):
                    os.unlink(file.name)


def _lock(file: BinaryIO, wait: bool) -> bool:
    """Lock a file until it is closed; not on Windows, where an open file cannot be removed."""
    return os.name != "nt" and take(file.fileno(), wait) is True


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder. Its files move to `folder` when the block ends without error.

    After an error `folder` is unchanged. Other files in `folder` always stay.

    Raises:
        UserError: the folder cannot be written, the disk is full.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".", suffix=".partial", dir=folder))
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}") from error
    try:
        yield aside
        for path in sorted(aside.rglob("*")):
            target = folder / path.relative_to(aside)
            if path.is_dir():
                target.mkdir(exist_ok=True)
            else:
                os.replace(path, target)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if made:
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def atomic_hdf5(
    path: Path, *, keep: Path | None = None, sealed: bool = False
) -> Iterator["h5py.File"]:
    """Open an HDF5 file for writing, atomically as with `atomic_file`.

    Args:
        path: the file.
        keep: see `atomic_file`.
        sealed: append the SHA-256 of the file, for `check_seal`. HDF5 ignores appended bytes.

    Raises:
        UserError: the folder cannot be written, the disk is full.
    """
    import h5py

    with atomic_file(path, keep) as file:
        sink = _Sink(file.raw)
        try:
            with h5py.File(sink, "w") as hdf5:
                yield hdf5
        finally:
            if sink.error is not None:
                raise sink.error
        if sealed:
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.write(SEAL + digest.encode())


def has_seal(path: Path) -> bool:
    """Return whether a file ends with a seal, right or wrong."""
    try:
        with open(path, "rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - SEAL_LENGTH, 0))
            return file.read(len(SEAL)) == SEAL
    except OSError:
        return False


def check_seal(path: Path) -> None:
    """Compare a file with the SHA-256 at its end.

    Raises:
        UserError: the SHA-256 is wrong or missing, or the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            rest = max(file.seek(0, os.SEEK_END) - SEAL_LENGTH, 0)
            file.seek(0)
            digest = hashlib.sha256()
            while rest and (block := file.read(min(rest, 1 << 20))):
                digest.update(block)
                rest -= len(block)
            found = file.read()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    if found != SEAL + digest.hexdigest().encode():
        raise UserError(
            f"the content of a file must have the SHA-256 at its end: {path} is damaged, "
            "or an earlier version has written it"
        )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


class _Sink:
    """A file that stores its first error instead of raising it.

    HDF5 1.14 crashes the process (segmentation fault) if a full disk stops it from closing a file.
    After the first error, further data is discarded until the file is closed.
    """

    def __init__(self, file: RawIOBase) -> None:
        self.file = file
        self.error: BaseException | None = None
        self.seek, self.tell, self.flush = file.seek, file.tell, file.flush
        self.read, self.readinto = file.read, file.readinto

    def write(self, data: memoryview) -> None:
        try:
            while self.error is None and data:
                data = data[self.file.write(data) :]
        except BaseException as error:
            self.error = error

    def truncate(self, size: int) -> None:
        try:
            if self.error is None:
                self.file.truncate(size)
        except BaseException as error:
            self.error = error
