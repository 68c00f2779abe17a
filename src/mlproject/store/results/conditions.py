"""Conditions on columns, as users write them: ``pool1 >= 10 and arch != CNN-25``.

A small grammar parses them; no text of a user is executed.
"""

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pandas

from mlproject.system.errors import UserError, nearest

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "==": operator.eq,
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
_CONDITION = re.compile(r"\s*([^\s<>=!()]+)\s*(>=|<=|!=|==|=|>|<|\bin\b)\s*(.+?)\s*", re.DOTALL)


BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class Condition(NamedTuple):
    """A column, an operator (``in``: one of the values), and the values as text or typed."""

    column: str
    sign: str
    values: tuple[object, ...]


def parse(text: str) -> list[Condition]:
    """Parse conditions joined by ``and``.

    Args:
        text: each ``COLUMN SIGN VALUE`` with a sign of ``= == != < <= > >=``, or
            ``COLUMN in (VALUE, VALUE)``; texts may be quoted; ``""`` gives no condition.

    Raises:
        UserError: a part is not a condition.
    """
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise UserError(f"`where` must be text in UTF-8: got {text!r}")
    found = []
    for part in re.split(r"\s+and\s+", text.strip(), flags=re.IGNORECASE) if text.strip() else []:
        match = _CONDITION.fullmatch(part)
        if match is None:
            raise UserError(
                f"`where` must be conditions such as `pool1 >= 10 and arch = CNN-25`: got {part!r}"
            )
        column, sign, value = match.groups()
        values = [value]
        if sign == "in":
            if not re.fullmatch(r"\(.*\)", value, re.DOTALL):
                raise UserError(f"`where` with `in` needs `(a, b)`: got {part!r}")
            values = value[1:-1].split(",")
        found.append(Condition(column, sign, tuple(one.strip().strip("'\"") for one in values)))
    return found


def equals(column: str, value: object) -> Condition:
    """Return the condition that a column has the value, or one of several values."""
    if isinstance(value, Iterable) and not isinstance(value, str):
        return Condition(column, "in", tuple(value))
    return Condition(column, "=", (value,))


def check_columns(wanted: Sequence[str], known: Sequence[str]) -> None:
    """Raise a `UserError` with the nearest valid names if a column does not exist."""
    for name in wanted:
        if name not in known:
            raise UserError(f"no run has a column `{name}`: {nearest(name, known)}")


def select(frame: pandas.DataFrame, conditions: Sequence[Condition]) -> pandas.DataFrame:
    """Return the rows that meet all conditions; a missing value meets no condition.

    Raises:
        UserError: a number is compared with a text, or a text with ``<`` or ``>``.
    """
    for condition in conditions:
        column = frame[condition.column]
        values = [_typed(condition, column, value) for value in condition.values]
        if condition.sign == "in":
            met = column.isin(values)
        else:
            met = OPERATORS[condition.sign](column, values[0])
        frame = frame[met.fillna(False).astype(bool) & column.notna()]
    return frame


def unknown_values(frame: pandas.DataFrame, conditions: Sequence[Condition]) -> Iterator[str]:
    """Yield a sentence on each text that a condition asks for and that no run has."""
    for condition in conditions:
        column = frame[condition.column]
        text = pandas.api.types.is_string_dtype(column.dropna())
        if condition.sign not in ("=", "==", "in") or not text:
            continue
        known = {str(value) for value in column.dropna().unique()}
        for value in map(str, condition.values):
            if known and value not in known:
                yield f"no run has {condition.column} = {value}: {nearest(value, known)}"


def _typed(condition: Condition, column: pandas.Series, value: object) -> object:
    if pandas.api.types.is_bool_dtype(column):
        if (word := str(value).lower()) not in BOOLEANS:
            raise UserError(
                f"`{condition.column}` is true or false: got "
                f"`{condition.column} {condition.sign} {value}`"
            )
        return BOOLEANS[word]
    if not pandas.api.types.is_numeric_dtype(column):
        if condition.sign not in ("=", "==", "!=", "in"):
            raise UserError(
                f"`{condition.column}` is text, which has no order: got "
                f"`{condition.column} {condition.sign} {value}`; use = or !="
            )
        return str(value)
    try:
        return float(str(value))
    except ValueError as error:
        raise UserError(
            f"`{condition.column}` is a number: got `{condition.column} {condition.sign} {value}`"
        ) from error
