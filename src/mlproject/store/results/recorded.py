"""Parse the tags and files that runs recorded, with validation: any of them may be damaged."""

import csv
import io
import json
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pandas
from pydantic import BaseModel, ConfigDict, Field

from mlproject.architectures import recorded_spec
from mlproject.fields import TaskName
from mlproject.motifs.meme import read_meme
from mlproject.motifs.pwm import Motif
from mlproject.motifs.tomtom import HEADER, NAMED_HEADER, Match
from mlproject.spec import RunSpec
from mlproject.store.connection import StoreConnection
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupted
from mlproject.system.messages import quantity

MEGABYTE = 1 << 20
MOST_TEXT = 64 * MEGABYTE
START_OF_MEME = "MEME version"


class Columns(NamedTuple):
    """Columns of a table: `key` (integers or texts) is required; all but `texts` are numbers."""

    key: str
    texts: tuple[str, ...] = ()


HISTORY = Columns("epoch")
PER_CLASS = Columns("name", ("name", "note"))
TRUTH = Columns("filter", ("motif", "strand"))
IMPORTANCE = Columns("filter", ("drives",))
EXAMPLES = Columns("sequence", ("class", "letters", "contributions"))


class Profile(BaseModel):
    """The fields of a data set's profile that this project reads; others are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)

    length: Annotated[int, Field(ge=1, le=10**9)] | None = None
    classes: Annotated[int, Field(ge=1, le=10**6)] | None = None
    relevant: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    task: TaskName = "binary"


@lru_cache(maxsize=1024)
def parse_spec(text: str) -> RunSpec:
    """Parse a run's tag ``mlproject.spec``.

    Raises:
        UserError: it is not a spec, or a spec of a later version of the project.
    """
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("it must be an object {...}")
        return recorded_spec(values)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"the tag `mlproject.spec` must be a spec: {reason}") from error


@contextmanager
def downloaded(store: StoreConnection, run_id: str, path: str) -> Iterator[Path]:
    """Download an artifact of a run for the ``with`` block, which should only read the file.

    Raises:
        UserError: the run has no such artifact, or the block fails; the message names the artifact.
    """
    with tempfile.TemporaryDirectory() as folder:
        local = store.download(run_id, path, Path(folder))
        with damage_as_user_error(f"the artifact `{path}` of run `{run_id}`", local):
            yield local


@contextmanager
def damage_as_user_error(name: str, local: Path) -> Iterator[None]:
    """Convert any error of a library that reads a damaged file to one line with the file's name.

    Raises:
        UserError: the ``with`` block failed.
    """
    try:
        yield
    except Interrupted:
        raise
    except Exception as error:  # each library raises its own kinds for an unreadable file
        reason = " ".join(f"{error}".replace(str(local), local.name).split())[:200]
        raise UserError(
            f"{name} cannot be read, it is damaged or not a file of this project: "
            f"{reason or type(error).__name__}"
        ) from error


def read_text(path: Path) -> str:
    """Return the content of a text file.

    Raises:
        ValueError: it is larger than `MOST_TEXT` or not UTF-8.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(MOST_TEXT + 1)
    if len(content) > MOST_TEXT:
        raise ValueError(f"larger than {MOST_TEXT:,} bytes")
    return content.decode("utf-8")


def read_table(path: Path, columns: Columns) -> pandas.DataFrame:
    """Read a CSV table of a run.

    Raises:
        ValueError: it is cut short, its key column is missing, or a column of numbers has a text.
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
            raise ValueError(f"row {number} has {quantity(len(row), 'cell')}, not {len(header)}")
    frame = pandas.read_csv(io.StringIO(text))
    for name in frame.columns if len(frame) else ():
        kind = frame[name].dtype
        if name not in columns.texts and not pandas.api.types.is_numeric_dtype(kind):
            raise ValueError(f"`{name}` must hold numbers")
        if name == columns.key not in columns.texts and not pandas.api.types.is_integer_dtype(kind):
            raise ValueError(f"`{name}` must hold whole numbers")
    return frame


def read_motifs(path: Path) -> tuple[Motif, ...]:
    """Read motifs; if all filters are dead, the file has a header only.

    Raises:
        ValueError: it is not a file that a run writes.
    """
    text = read_text(path)
    if not text.startswith(START_OF_MEME):
        raise ValueError(f"must start with `{START_OF_MEME}`")
    return read_meme(path, unknown=0) if "MOTIF" in text else ()


def read_matches(text: str) -> tuple[Match, ...]:
    """Parse Tomtom's table, as `mlproject.motifs.tomtom.format_tsv` writes it.

    Raises:
        ValueError: it is another table, or a line is damaged; the message has its number.
    """
    named = text.startswith(NAMED_HEADER)
    if not named and not text.startswith(HEADER):
        raise ValueError("must start with the names of Tomtom's columns")
    found = []
    for number, line in enumerate(text.splitlines()[1:], 2):
        if line.strip() and not line.startswith("#"):
            try:
                cells = line.split("\t")
                found.append(_match(cells[:-1] if named else cells))
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
