"""Checks of the files that a command is to write, before it works for them."""

import os
from contextlib import suppress
from pathlib import Path

from mlproject.system.errors import UserError
from mlproject.system.files import LONGEST_NAME


def require_writable(path: Path, folder: bool = False) -> None:
    """Raise a `UserError` if a file, or a `folder`, cannot be written. Nothing is written."""
    full = Path(os.path.realpath(path))
    try:
        fits = full.is_dir() if folder else full.is_file()
        if not fits and (full.exists() or os.path.exists(path)):
            kind = "folder" if folder else "file"
            raise UserError(f"cannot write {path}: it exists and is not a {kind}")
        if fits and not folder and _is_printed_to(full):
            raise UserError(f"cannot write {path}: standard output or error goes there")
    except OSError as error:
        raise UserError(f"cannot write {str(path)[:60]}: {error.strerror or error}") from error
    if len(os.fsencode(full.name)) > LONGEST_NAME:
        raise UserError(
            f"a name must have at most {LONGEST_NAME} bytes: got {len(os.fsencode(full.name))} in "
            f"{str(path)[:60]}"
        )
    place = full if folder else full.parent
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise UserError(f"cannot write {path}: {place} is not a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UserError(f"cannot write {path}: the folder {place} cannot be written")


def _is_printed_to(path: Path) -> bool:
    """Return whether a file is standard output or error, which a new file would replace."""
    for number in (1, 2):
        with suppress(OSError):
            if os.path.samestat(os.fstat(number), path.stat()):
                return True
    return False


def require_other(*paths: Path | None) -> None:
    """Raise a `UserError` if two of the paths are one file; None stands for no path."""
    known: list[Path] = []
    for path in paths:
        if path is not None:
            full = path.resolve()
            if full in known:
                raise UserError(f"files to read and to write must differ: got {path} twice")
            known.append(full)
