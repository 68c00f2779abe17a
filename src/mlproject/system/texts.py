"""Users' text files: plain or compressed, in any Unicode encoding, with any line ends.

The kind of a file is recognized by its first bytes, not by its name.
"""

import bz2
import codecs
import gzip
import io
import lzma
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from mlproject.system.errors import UserError
from mlproject.system.progress import read_progress

HEAD = 512
LONGEST_LINE = 1 << 28
SHOWN_EACH = 4096  # lines

_PACKED: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_ENCODINGS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_OTHER_KINDS = {
    b"PK\x03\x04": "a ZIP archive: unpack it",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"\x1f\x9d": "compressed by compress: unpack it",
    b"\x04\x22\x4d\x18": "compressed by LZ4: unpack it",
    b"\xd0\xcf\x11\xe0": "a file of Microsoft Office: save it as text",
    b"{\\rtf": "RTF: save it as plain text",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: unpack it",
    b"\x89HDF\r\n": "an HDF5 file",
    b"MATLAB 5.0": "a MATLAB file",
    b"SQLite format 3": "an SQLite database",
    b"\xeb\xf2\x89\x87": "a bigBed file: convert it with bigBedToBed",
    b"\x87\x89\xf2\xeb": "a bigBed file: convert it with bigBedToBed",
    b"\x26\xfc\x8f\x88": "a bigWig file, which holds a signal",
    b"\x88\x8f\xfc\x26": "a bigWig file, which holds a signal",
    b"\x43\x27\x41\x1a": "a 2bit file: convert it with twoBitToFa",
    b"\x1a\x41\x27\x43": "a 2bit file: convert it with twoBitToFa",
    b"BAM\x01": "a BAM file, which holds reads",
    b"CRAM": "a CRAM file, which holds reads",
    b"%PDF": "a PDF file",
    b"<!DOCTYPE": "a web page: download the text file that it shows or links to",
    b"<HTML": "a web page: download the text file that it shows or links to",
    b"<?XML": "XML: take the text file beside it",
}


def require_file(path: Path) -> None:
    """Raise a `UserError` if `path` is not a file."""
    if found := why_no_file(path):
        raise UserError(f"cannot read {path}: {found}")


def why_no_file(path: Path) -> str | None:
    """Return why a path is not one of a file that can be read several times, None if it is."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return "no such file"
    except OSError as error:
        return error.strerror or "no such file"
    if stat.S_ISDIR(mode):
        return "a folder"
    return None if stat.S_ISREG(mode) else "a pipe or a device: write its content to a file"


def is_packed(head: bytes) -> bool:
    """Return whether the first bytes of a file are those of gzip, bgzip, bzip2 or xz."""
    return head.startswith(tuple(_PACKED))


def other_kind(head: bytes) -> str | None:
    """Return the kind of a file with these first bytes, None if it may be text."""
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it"
    start = head.lstrip()
    start = start[:9].upper() + start[9:] if start.startswith(b"<") else head
    return next((kind for magic, kind in _OTHER_KINDS.items() if start.startswith(magic)), None)


def decoded(raw: bytes) -> str:
    """Return the text of a small file: UTF-8, or UTF-16 or UTF-32 with a byte-order mark.

    Raises:
        ValueError: it is not text.
    """
    if is_packed(raw):
        raise ValueError("is compressed: decompress it")
    if kind := other_kind(raw):
        raise ValueError(f"is {kind}")
    return raw.decode(_encoding(raw))


def _encoding(start: bytes) -> str:
    return next((name for mark, name in _ENCODINGS.items() if start.startswith(mark)), "utf-8")


def lines(path: Path, errors: str = "strict") -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of each line of a file, without line ends.

    Args:
        path: plain, or compressed by gzip, bgzip, bzip2 or xz. The encoding is UTF-8, or UTF-16 or
            UTF-32 with a byte-order mark. Marks at the start of lines are removed.
        errors: ``strict``, or ``replace`` to replace bytes that are not text.

    Raises:
        UserError: the file cannot be read, is cut short or is not text.
    """
    require_file(path)
    number = 0
    try:
        with (
            _opened(path, errors) as (file, raw),
            read_progress(f"reading {path.name}", path.stat().st_size) as show,
        ):
            while line := file.readline(LONGEST_LINE):
                number += 1
                if number % SHOWN_EACH == 0:
                    show(raw.tell())
                if len(line) == LONGEST_LINE:
                    raise UserError(
                        f"{path}, line {number}: is longer than {LONGEST_LINE:,} letters"
                    )
                if errors == "strict" and "\0" in line:
                    raise UserError(f"{path}, line {number}: is not text")
                yield number, line.removesuffix("\n").lstrip("\ufeff")
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise UserError(f"{path}, line {number + 1}: cut short or damaged") from error
    except UnicodeError as error:
        raise UserError(f"{path}, line {number + 1}: is not text") from error
    except OSError as error:
        reason = error.strerror or "damaged"
        raise UserError(f"cannot read {path}: {reason}") from error


@contextmanager
def _opened(path: Path, errors: str) -> Iterator[tuple[IO[str], IO[bytes]]]:
    """Yield the text of a file, and the file as it lies on the disk."""
    with open(path, "rb") as raw:
        head = raw.read(HEAD)
        raw.seek(0)
        unpack = next((tool for magic, tool in _PACKED.items() if head.startswith(magic)), None)
        binary = io.BufferedReader(unpack(raw)) if unpack else raw
        start = binary.peek(HEAD)[:HEAD] if unpack else head
        if is_packed(start) and unpack:
            raise UserError(f"{path}: is compressed twice: decompress it once")
        if kind := other_kind(start):
            raise UserError(f"{path}: must be text, plain or compressed by gzip: is {kind}")
        with io.TextIOWrapper(binary, _encoding(start), errors) as file:
            yield file, raw
