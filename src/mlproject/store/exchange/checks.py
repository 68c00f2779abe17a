"""Validate ``run.json``: its types, limits, names and hashes.

The limits are those of MLflow's SQL store, so that it accepts every valid run.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from mlproject.names import Artifact, Tag, is_project_tag, tag
from mlproject.store.results.recorded import Profile, parse_spec
from mlproject.store.transfer import COPIED_TAGS, LOCAL_TAGS

VERSION = 1
RUN, METRICS = "run.json", "metrics.csv"
SUFFIXES = (".json", ".csv", ".tsv", ".meme")
PACKED = (".xz", ".gz")

LAST_TIME = 32_503_680_000_000  # the year 3000, in ms
MOST_ENTRIES, MOST_FILES, MOST_INPUTS = 1_000, 1_000, 100
LONGEST_KEY, LONGEST_PATH = 250, 200
MLFLOW = re.compile(r"[/\w.\- :]+")
_FILE_NAME = re.compile(r"[\w.,+=@() \-]+")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def is_key(text: str) -> bool:
    """Return whether MLflow accepts a text as the name of a metric, parameter or tag."""
    parts = text.split("/")
    return bool(
        len(text) <= LONGEST_KEY
        and MLFLOW.fullmatch(text)
        and not text.startswith("..")
        and not any(part in ("", ".", "..") for part in parts)
    )


def is_file_name(text: str) -> bool:
    """Return whether a text is a relative path that is valid on every operating system."""
    parts = text.split("/")
    return len(text) <= LONGEST_PATH and all(
        _FILE_NAME.fullmatch(part)
        and part == part.strip(" ")
        and not part.endswith(".")
        and not _DEVICES.fullmatch(part)
        for part in parts
    )


def checked_key(text: str) -> str:
    """Return the name of a metric, parameter or tag; raise a `ValueError` if it is none."""
    if not is_key(text):
        raise ValueError(f"must be of letters, digits and _-./: (250 at most), got {text[:60]!r}")
    return text


def _text(text: str) -> str:
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("must be a text without null bytes")
    return text


def _line(text: str) -> str:
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text):
        raise ValueError("must be one line without control characters")
    return text


def _path(text: str) -> str:
    if ".." in PurePosixPath(text).parts or text.startswith("/"):
        raise ValueError(f"the path {text[:60]!r} leads out of it")
    if not is_file_name(text):
        raise ValueError(f"{text[:60]!r} is no name that a file of a run may have")
    if text != Artifact.WEIGHTS and not text.endswith(SUFFIXES):
        raise ValueError(f"{text[:60]!r} is no file that `export` writes ({' '.join(SUFFIXES)})")
    return text


Key = Annotated[str, AfterValidator(checked_key)]
Line = Annotated[str, Field(min_length=1, max_length=250), AfterValidator(_line)]
Time = Annotated[int, Field(ge=0, le=LAST_TIME)]
Sha256 = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Input(_Strict):
    """A data set of a run; the fields are in the order of ``run.json``."""

    context: Annotated[str, Field(max_length=500), AfterValidator(_line)]
    digest: Annotated[str, Field(min_length=1, max_length=36), AfterValidator(_line)]
    name: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_line)]
    profile: Annotated[str, Field(max_length=1_000_000), AfterValidator(_text)]
    source: Annotated[str, Field(max_length=65_535), AfterValidator(_text)]

    @model_validator(mode="after")
    def _profile_is_read(self) -> "Input":
        if self.profile:
            json_object(self.profile)
            Profile.model_validate_json(self.profile)
        return self


class About(_Strict):
    """``run.json``."""

    version: Annotated[int, Field(ge=VERSION, le=VERSION)]
    run_id: Annotated[str, Field(pattern=r"\A[0-9A-Za-z_\-]{1,64}\z")]
    name: Line
    started: Time
    ended: Time
    tags: Annotated[
        dict[Key, Annotated[str, Field(max_length=8_000), AfterValidator(_text)]],
        Field(max_length=MOST_ENTRIES),
    ]
    params: Annotated[
        dict[Key, Annotated[str, Field(max_length=6_000), AfterValidator(_text)]],
        Field(max_length=MOST_ENTRIES),
    ]
    inputs: Annotated[list[Input], Field(max_length=MOST_INPUTS)]
    files: Annotated[
        dict[Annotated[str, AfterValidator(_path)], Sha256], Field(max_length=MOST_FILES)
    ]
    left_out: Annotated[list[str], Field(max_length=MOST_FILES)] = []
    sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> "About":
        if self.ended < self.started:
            raise ValueError(f"`ended` must not be before `started`, got {self.ended}")
        _check_tags(self.tags)
        _check_names(self.files)
        return self


def _check_tags(tags: Mapping[str, str]) -> None:
    for name in tags:
        if name in LOCAL_TAGS or not (is_project_tag(name) or name in COPIED_TAGS):
            raise ValueError(f"`export` writes no tag `{name}`")
    for name in ("spec_sha256", "train_sha256", "dataset_sha256"):
        if not re.fullmatch(r"[0-9a-f]{64}", tags.get(tag(name), "")):
            raise ValueError(f"the tag `mlproject.{name}` must be a SHA-256")
    if not re.fullmatch(r"\d{1,9}", tags.get(Tag.METRIC_VERSION, "0"), re.ASCII):
        raise ValueError("the tag `mlproject.metric_version` must be a number")
    for name, value in tags.items():
        if is_project_tag(name) and name not in (Tag.FAILURE, Tag.REFUSED):
            _line(value)
    found = parse_spec(tags.get(Tag.SPEC, ""))
    data = tags[Tag.DATASET_SHA256]
    for name, sha256 in (
        ("spec_sha256", found.spec_sha256(data)),
        ("train_sha256", found.train_sha256(data)),
    ):
        if sha256 != tags[tag(name)]:
            raise ValueError(
                f"a run must be what its hash says: its spec has {name} {sha256[:16]}, "
                f"not {tags[tag(name)][:16]}"
            )


def _check_names(names: Iterable[str]) -> None:
    """Refuse names that collide on some file system, as one file or as a file and a folder."""
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in names:
        folded = unicodedata.normalize("NFC", name).casefold()
        for suffix in ("", *PACKED):
            if (other := seen.setdefault(folded + suffix, name)) != name:
                raise ValueError(f"{other!r} and {name!r} are one file on some systems")
        for folder in PurePosixPath(folded).parents:
            folders.setdefault(folder.as_posix(), name)
    for folded, name in seen.items():
        if folded in folders:
            raise ValueError(f"{name!r} is a file and a folder")
    if METRICS not in seen:
        raise ValueError(f"`files` must have {METRICS}")
    if RUN in seen:
        raise ValueError(f"`files` must not have {RUN}")


def json_object(text: str | bytes) -> dict[str, Any]:
    """Read a JSON object; a repeated name is refused.

    Raises:
        ValueError: it is not JSON, not an object, or nested too deeply.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a name stands twice")
        return found

    def number(text: str) -> float:
        raise ValueError(f"{text} is no number of JSON")

    try:
        found = json.loads(text, object_pairs_hook=once, parse_constant=number)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(found, dict):
        raise ValueError("it must be an object {...}")
    return found


def about_of(content: bytes) -> About:
    """Read ``run.json``.

    Raises:
        ValueError: it is not what `export` writes; the message is one line.
    """
    try:
        found = json_object(content)
    except ValueError as error:
        raise ValueError(f"{RUN} cannot be read: {shortened(error)}") from error
    try:
        return About.model_validate(found)
    except ValidationError as error:
        raise ValueError(f"{RUN}: {one_line(error)}") from error


def one_line(error: ValidationError) -> str:
    """Return the first error in one line: the field, the rule, the value received."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part)[:60] for part in first["loc"] if part != "[key]")
    rule = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    received = "" if first["type"] == "value_error" else f", got {repr(first['input'])[:60]}"
    return shortened(f"`{place}` {rule}{received}" if place else rule)


def shortened(error: object) -> str:
    """Return a message in one line of at most 300 characters."""
    return " ".join(str(error).split())[:300]
