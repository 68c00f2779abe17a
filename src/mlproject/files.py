"""Files that are written whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING

from mlproject.errors import UserError

if TYPE_CHECKING:
    import h5py


@contextmanager
def written_whole(path: Path) -> Iterator[BufferedRandom]:
    """Open a binary file that appears under its name only when all of it is on disk.

    It grows under a temporary name in the same folder, which is made if there is none. An error
    or Ctrl-C removes it and leaves a file that had the name before as it was. A link stays one.

    Raises:
        UserError: the folder cannot be written, the disk is full, the name is that of a folder or
            a device.
    """
    path = Path(os.path.realpath(path))
    if os.path.exists(path) and not os.path.isfile(path):
        raise UserError(f"cannot write {path}: it exists and is no file")
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.partial"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def hdf5_written_whole(path: Path) -> Iterator["h5py.File"]:
    """Open an HDF5 file for writing as `written_whole` does.

    Raises:
        UserError: the folder cannot be written, the disk is full.
    """
    import h5py

    with written_whole(path) as file:
        sink = _Sink(file.raw)
        try:
            with h5py.File(sink, "w") as hdf5:
                yield hdf5
        finally:
            if sink.error is not None:
                raise sink.error


class _Sink:
    """A file that keeps its first error to itself.

    HDF5 1.14 crashes the process (segmentation fault) when a full disk stops it from closing a
    file. So it never learns: after an error, writing goes on into nothing until the file is closed.
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
