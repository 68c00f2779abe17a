"""Parsing of the options that give the files of each class."""

from pathlib import Path

from mlproject.system.errors import UserError
from mlproject.system.texts import lines, require_file

Files = dict[str, list[Path]]


def parse_files(text: str, option: str = "files") -> Files:
    """Return class -> files.

    Args:
        text: ``SRF=a.bed,SRF=b.bed,YY1=c.bed``, or the path of a table with a class and a path per
            line, tab-separated. The paths are relative to the table.
        option: name of the option in error messages.

    Raises:
        UserError: another form, or a missing file.
    """
    rule = f"`{option}` must be CLASS=FILE,CLASS=FILE,... or a table of classes and files"
    found: Files = {}
    if "=" in text:
        for entry in text.split(","):
            name, equals, path = entry.strip().partition("=")
            if not (name and equals and path):
                raise UserError(f"{rule}: got {entry!r}")
            found.setdefault(name.strip(), []).append(Path(path.strip()))
    else:
        table = Path(text)
        for number, line in lines(table):
            if not line.strip() or line.startswith("#"):
                continue
            name, tab, path = line.partition("\t")
            if not (name.strip() and tab and path.strip()):
                raise UserError(f"{table}, line {number}: must be a class, a tab, a path: {line!r}")
            found.setdefault(name.strip(), []).append(table.parent / path.strip())
    if not found:
        raise UserError(f"{rule}: got no class in {text!r}")
    for source in (path for paths in found.values() for path in paths):
        require_file(source)
    return found


def parse_paths(text: str | None) -> list[Path]:
    """Return the files of a comma-separated list, [] for None.

    Raises:
        UserError: a missing file.
    """
    paths = [Path(entry.strip()) for entry in (text or "").split(",") if entry.strip()]
    for path in paths:
        require_file(path)
    return paths
