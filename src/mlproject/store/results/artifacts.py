"""Files that a run has left in the tracking store, read with care: they may be damaged."""

import csv
import io
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pandas

from mlproject.motifs.meme import read_meme
from mlproject.motifs.pwm import Motif
from mlproject.motifs.tomtom import HEADER, Match
from mlproject.store import Store
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupted

MEGABYTE = 1 << 20
MOST_TEXT = 64 * MEGABYTE
START_OF_MEME = "MEME version"


class Columns(NamedTuple):
    """What a table of a run must have: `key`, whole numbers or a text; all but `texts` numbers."""

    key: str
    texts: tuple[str, ...] = ()


HISTORY = Columns("epoch")
PER_CLASS = Columns("name", ("name", "note"))
TRUTH = Columns("filter", ("motif", "strand"))
IMPORTANCE = Columns("filter", ("drives",))


@contextmanager
def downloaded(store: Store, run_id: str, path: str, what: str = "artifact") -> Iterator[Path]:
    """Download an artifact of a run; what goes wrong in reading it is told with its name.

    Raises:
        UserError: the run has no such artifact, or the body of the ``with`` fails: it should do no
            more than read the file.
    """
    with tempfile.TemporaryDirectory() as folder:
        local = store.download(run_id, path, Path(folder))
        with told_as_damaged(f"the {what} `{path}` of run `{run_id}`", local):
            yield local


@contextmanager
def told_as_damaged(name: str, local: Path) -> Iterator[None]:
    """Turn whatever a library says of a damaged file into one line that names it.

    Raises:
        UserError: the body has failed.
    """
    try:
        yield
    except Interrupted:
        raise
    except Exception as error:  # of any kind: each library has its own for a file it cannot read
        reason = " ".join(f"{error}".replace(str(local), local.name).split())[:200]
        raise UserError(
            f"{name} cannot be read, it is damaged or no file of this project: "
            f"{reason or type(error).__name__}"
        ) from error


def read_text(path: Path) -> str:
    """Return a file of text.

    Raises:
        ValueError: it is larger than `MOST_TEXT`, or no text.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(MOST_TEXT + 1)
    if len(content) > MOST_TEXT:
        raise ValueError(f"larger than {MOST_TEXT:,} bytes")
    return content.decode("utf-8")


def read_table(path: Path, columns: Columns) -> pandas.DataFrame:
    """Read a table that a run has written as CSV.

    Raises:
        ValueError: it is cut short, lacks its key, or a column that must hold numbers does not.
    """
    text = read_text(path)
    rows = list(csv.reader(io.StringIO(text), strict=True))
    if not rows or not text.endswith("\n"):
        raise ValueError("cut short")
    header = rows[0]
    if columns.key not in header or len(set(header)) < len(header):
        raise ValueError(f"its columns must be unique and have `{columns.key}`")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise ValueError(f"row {number} has {len(row)} cells, not {len(header)}")
    frame = pandas.read_csv(io.StringIO(text))
    for name in frame.columns if len(frame) else ():
        kind = frame[name].dtype
        if name not in columns.texts and not pandas.api.types.is_numeric_dtype(kind):
            raise ValueError(f"`{name}` must hold numbers")
        if name == columns.key not in columns.texts and not pandas.api.types.is_integer_dtype(kind):
            raise ValueError(f"`{name}` must hold whole numbers")
    return frame


def read_motifs(path: Path) -> tuple[Motif, ...]:
    """Read motifs; a file without any, which is no MEME file, has all filters dead.

    Raises:
        ValueError: it is not what a run has written.
    """
    text = read_text(path)
    if not text.startswith(START_OF_MEME):
        raise ValueError(f"must start with `{START_OF_MEME}`")
    return read_meme(path, unknown=0) if "MOTIF" in text else ()


def read_matches(text: str) -> tuple[Match, ...]:
    """Read Tomtom's table, as `mlproject.motifs.tomtom.format_tsv` writes it.

    Raises:
        ValueError: it is another table, or a line of it is damaged; with the line's number.
    """
    if not text.startswith(HEADER):
        raise ValueError("must start with the names of Tomtom's columns")
    found = []
    for number, line in enumerate(text.splitlines()[1:], 2):
        if line.strip() and not line.startswith("#"):
            try:
                found.append(_match(line.split("\t")))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error
    return tuple(found)


def _match(cells: Sequence[str]) -> Match:
    values: list[Any] = [kind(cell) for kind, cell in zip(_KINDS, cells, strict=True)]
    match = Match(*values)
    if not all(0 <= value < math.inf for value in (match.p_value, match.e_value, match.q_value)):
        raise ValueError("p, E and q must be numbers, 0 or more")
    if match.orientation not in ("+", "-") or match.overlap < 0:
        raise ValueError("no orientation, or an overlap below 0")
    return match


_KINDS: tuple[Callable[[str], Any], ...] = (
    str, str, int, float, float, float, int, str, str, str,
)  # fmt: skip
