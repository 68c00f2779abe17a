"""Format and parse ``metrics.csv``: every value of every metric of a run."""

import csv
import io
import math
import re
from collections.abc import Iterable

from mlproject.store.exchange.checks import LAST_TIME, METRICS, checked_key, shortened
from mlproject.store.transfer import Value

LAST_STEP = 2**31 - 1
_INTEGER = re.compile(r"-?\d{1,15}", re.ASCII)
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?", re.ASCII)


def format_values(values: Iterable[Value]) -> bytes:
    """Return the content of ``metrics.csv``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Value._fields)
    writer.writerows((one.metric, one.step, one.time, repr(float(one.value))) for one in values)
    return text.getvalue().encode()


def parse_values(content: bytes, started: int) -> list[Value]:
    """Read ``metrics.csv``.

    Args:
        content: of the file.
        started: start of the run, ms since 1970; the times of values count from it.

    Raises:
        ValueError: a row is invalid; the message names the line.
    """
    rows = csv.reader(io.StringIO(content.decode()), strict=True)
    found: list[Value] = []
    try:
        if next(rows, None) != list(Value._fields):
            raise ValueError(f"the first line must be {','.join(Value._fields)}")
        for row in rows:
            found.append(_value(row, started))
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{METRICS}, line {max(rows.line_num, 1)}: {shortened(error)}") from error
    if len(set(found)) < len(found):
        raise ValueError(f"{METRICS}: a value stands twice")
    return found


def _value(row: list[str], started: int) -> Value:
    if len(row) != len(Value._fields):
        raise ValueError(f"must have {len(Value._fields)} cells, got {len(row)}")
    if not (_INTEGER.fullmatch(row[1]) and _INTEGER.fullmatch(row[2])):
        raise ValueError(f"step and time must be integers, got {row[1][:20]!r}, {row[2][:20]!r}")
    if not _NUMBER.fullmatch(row[3]):
        raise ValueError(f"a value must be a finite number, got {row[3][:20]!r}")
    value = Value(checked_key(row[0]), int(row[1]), int(row[2]), float(row[3]))
    if not 0 <= value.step <= LAST_STEP:
        raise ValueError(f"a step must be 0 to {LAST_STEP}, got {value.step}")
    if not 0 <= started + value.time <= LAST_TIME:
        raise ValueError(f"a time must lie between 1970 and 3000, got {value.time} ms")
    if not math.isfinite(value.value):
        raise ValueError(f"a value must be a finite number, got {row[3][:20]!r}")
    return value
