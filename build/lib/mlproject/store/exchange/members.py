"""Read single files of a run's folder: regular files only, of bounded size."""

import hashlib
import lzma
import stat
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mlproject.names import Artifact
from mlproject.store.exchange.checks import PACKED

MEGABYTE = 1 << 20
MOST_WEIGHTS = 1024 * MEGABYTE
MOST_MEMORY = 256 * MEGABYTE
_GZIP = 31


def plain(folder: Path, name: str, most: int) -> bytes:
    """Return the stored content of a file.

    Args:
        folder: of a run.
        name: path below it.
        most: largest size, in bytes.

    Raises:
        ValueError: it is a link, a folder or a device, or larger than `most`.
        OSError: it does not exist or cannot be read.
    """
    path = folder
    for part in PurePosixPath(name).parts:
        path = path / part
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            raise ValueError(f"{path.relative_to(folder)} is a link, which is not followed")
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{name} must be a file, it is a folder or a device")
    if found.st_size > most:
        raise ValueError(f"{name} is larger than {most:,} bytes")
    with path.open("rb") as file:
        return file.read(most)


def stored(folder: Path, name: str, sha256: str, most: int) -> bytes:
    """Return the unpacked content of a file and verify its SHA-256.

    Args:
        folder: of a run.
        name: path below it; a packed file has ``.xz`` or ``.gz`` after it.
        sha256: of the content.
        most: largest size of the content, in bytes.

    Raises:
        ValueError: see `plain`; or it is packed wrongly, cut short, or has another hash.
        OSError: see `plain`.
    """
    content = None
    if name == Artifact.WEIGHTS:
        most = MOST_WEIGHTS
    else:
        for suffix in PACKED:
            if (folder / f"{name}{suffix}").is_symlink() or (folder / f"{name}{suffix}").exists():
                content = unpacked(plain(folder, f"{name}{suffix}", most), suffix, name, most)
                break
    if content is None:
        content = plain(folder, name, most)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{name} is not what was written")
    return content


def unpacked(packed: bytes, suffix: str, name: str, most: int) -> bytes:
    """Return the content of one xz or gzip stream; at most `most` bytes are unpacked.

    Raises:
        ValueError: it is damaged, cut short, followed by other data, or larger than `most`.
    """
    stream = _UNPACKERS[suffix]()
    try:
        content: bytes = stream.decompress(packed, most + 1)
    except (zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"{name}{suffix} is damaged: {error}") from error
    if len(content) > most:
        raise ValueError(f"{name}{suffix} unpacks to more than {most:,} bytes")
    if not stream.eof or stream.unused_data:
        raise ValueError(f"{name}{suffix} is cut short, or more stands behind it")
    return content


_UNPACKERS: Mapping[str, Callable[[], Any]] = {
    ".xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_MEMORY),
    ".gz": lambda: zlib.decompressobj(_GZIP),
}
