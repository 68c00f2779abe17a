"""Parameters: the flat names of a spec's fields, as users write them (``pool1=25``)."""

import json
import re
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from mlproject.fields import (
    Group,
    declared,
)
from mlproject.spec import (
    BLOCK_FIELDS,
    RunSpec,
    field_of,
)
from mlproject.system.errors import UserError, short_repr

MOST_DIGITS = 60  # characters of a number
ARGUMENT = "model_args."  # one argument of the model's function: `model_args.width=3`
TYPE_NAMES: dict[type, str] = {int: "an integer", float: "a number", str: "a text"}


class FieldInfo(NamedTuple):
    """What a flat field takes, and what it belongs to.

    Attributes:
        kind: type of its value.
        description: one line for users.
        group: the part of the run that it belongs to.
        fits: whether a value is valid depends on other fields.
    """

    kind: type[int] | type[float] | type[str]
    description: str
    group: Group
    fits: bool


@lru_cache(maxsize=1024)
def field_info(name: str) -> FieldInfo | None:
    """Return what is declared about a flat field name, None if there is no such field."""
    if is_argument(name):
        return FieldInfo(str, "argument of the model's function", Group.NETWORK, fits=False)
    field = field_of(name)
    if field is None or name == "blocks":
        return None
    extra = declared(field)
    fits = extra["fits"] and name != "filters1"  # only a later block can be absent
    return FieldInfo(_kind(field.annotation), field.description or "", Group(extra["group"]), fits)


def default_of(name: str) -> Any:
    """Return the default of a flat field name, None if it has none."""
    field = field_of(name)
    return None if field is None or field.is_required() else field.default


def is_argument(name: str) -> bool:
    """Return whether a name is that of one argument of the model's function."""
    return name.startswith(ARGUMENT) and name.removeprefix(ARGUMENT).isidentifier()


def kind_of(name: str, *values: object) -> type[int] | type[float] | type[str]:
    """Return the type of a field's values; an argument of the model's function has theirs."""
    info = field_info(name)
    assert info is not None, name
    if not is_argument(name):
        return info.kind
    kinds = {type(value) for value in values}
    return int if kinds == {int} else float if kinds and kinds <= {int, float} else str


def _kind(annotation: Any) -> type[int] | type[float] | type[str]:
    """Return the type of a field's values; ``X | None`` has that of X."""
    if annotation in (int, float):
        return int if annotation is int else float
    inner = [one for one in get_args(annotation) if one is not type(None)]
    if get_origin(annotation) is Annotated:
        return _kind(inner[0])
    return _kind(inner[0]) if get_origin(annotation) in (Union, UnionType) else str


def field_names() -> list[str]:
    """Return the flat names of all fields, those of blocks for the first three."""
    names: list[str] = []
    for name in RunSpec.model_fields:
        blocks = [f"{key}{number}" for number in (1, 2, 3) for key in BLOCK_FIELDS]
        names += blocks if name == "blocks" else [name]
    return names


def parse_value(name: str, value: object) -> int | float | str:
    """Turn what a user wrote for field `name` (text, or a YAML value) into the field's type.

    Raises:
        UserError: the value has another type; integers refuse booleans and ``25.0``.
    """
    info = field_info(name)
    assert info is not None, name
    if is_argument(name):
        return _argument(value)
    if isinstance(value, str) and info.kind is not str:
        pattern = r"[+-]?\d+" if info.kind is int else r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
        if re.fullmatch(pattern, value.strip()) and len(value) <= MOST_DIGITS:
            value = info.kind(value)
    if isinstance(value, int) and abs(value) >= 2**63:
        raise UserError(
            f"`{name}` must be below 2^63: got {short_repr(value)} ({info.description})"
        )
    if isinstance(value, info.kind) and not isinstance(value, bool):
        return value
    if info.kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    raise UserError(
        f"`{name}` must be {TYPE_NAMES[info.kind]}: got {short_repr(value)} ({info.description})"
    )


def _argument(value: object) -> Any:
    """Return an argument of the model's function: a text that is a JSON value is read as one."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value
