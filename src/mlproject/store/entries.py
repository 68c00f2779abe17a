"""The lines of a run's journal: the fields of each kind of entry, and the checksum."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    create_model,
)

from mlproject.system.masking import mask_addresses

_CHECK = re.compile(r', "check": "([0-9a-f]{16})"}$')


class Entry(NamedTuple):
    """One entry of a journal.

    Attributes:
        kind: params, metrics, ...
        content: its fields.
        end: the byte at which its line ends in the journal; 0 if it was not read from one.
    """

    kind: str
    content: dict[str, Any]
    end: int = 0


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise ValueError("the path must stay inside the run's folder")
    return path


Inside = Annotated[str, AfterValidator(_inside)]
_STRICT = ConfigDict(extra="forbid", strict=True)


def _kind(kind: str, /, **fields: Any) -> type[BaseModel]:
    required: dict[str, Any] = {name: (field, ...) for name, field in fields.items()}
    made: type[BaseModel] = create_model(kind, __config__=_STRICT, **required)
    return made


class _Model(BaseModel):
    """A logged model; earlier versions wrote the first two fields only."""

    model_config = _STRICT

    path: Inside
    requirements: list[str]
    classes: list[str] = Field(default_factory=list)
    average: bool = False
    backend: str = "jax"
    example: str = ""


_KINDS: Mapping[str, type[BaseModel]] = {
    "params": _kind("params", values=dict[str, str]),
    "tags": _kind("tags", values=dict[str, str]),
    "metrics": _kind("metrics", values=dict[str, FiniteFloat], step=int, time=int),
    "input": _kind("input", name=str, digest=str, source=str, profile=str, context=str),
    "artifact": _kind("artifact", path=Inside),
    "remove": _kind("remove", path=Inside),
    "model": _Model,
    "tag_other": _kind("tag_other", run_id=str, key=str, value=str),
    "status": _kind("status", status=Literal["FINISHED", "FAILED", "KILLED"], time=int),
}


def recordable(value: object) -> str:
    """Return a value as a text that every store accepts, without credentials.

    Bytes of file names that are not UTF-8, and NUL, become escapes.
    """
    text = mask_addresses(str(value)).replace("\0", "\\x00")
    return text.encode("utf-8", "backslashreplace").decode()


def write_line(kind: str, content: Mapping[str, Any]) -> str:
    """Return an entry as a line of JSON whose last field, ``check``, is a hash of the others."""
    text = json.dumps({"kind": kind, **content}, allow_nan=False)
    return f'{text[:-1]}, "check": "{digest(text)}"}}'


def read_line(line: str) -> Entry | None:
    """Return the entry of a line, None if the line is cut off, damaged or of an unknown kind.

    Lines of earlier versions have no ``check``; only their fields are validated.
    """
    if found := _CHECK.search(line):
        line = line[: found.start()] + "}"
        if digest(line) != found[1]:
            return None
    try:
        content = json.loads(line)
        kind = content.pop("kind")
        _KINDS[kind].model_validate(content)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError, ValidationError):
        return None
    return Entry(kind, content)


def digest(text: str) -> str:
    """Return the first 16 hexadecimal digits of a text's SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
