"""A plan: which cells a sweep has, or what a search may choose. One YAML file, checked whole."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
    Tag,
    ValidationError,
)

from mlproject.architectures import arch_name, make_spec, protocol_name
from mlproject.spec import RunSpec, field_info, field_names, parse_value
from mlproject.sweeps.objectives import EPOCH_OBJECTIVES, check_objective
from mlproject.sweeps.ranges import LARGEST, Part, Range
from mlproject.sweeps.reading import one_line, read_yaml
from mlproject.system.errors import UserError, nearest, short_repr

Value = StrictInt | StrictFloat | StrictStr
Options = dict[str, Value]
LONGEST_NAME = 200  # bytes: it is part of file names


Axis = Annotated[
    Annotated[list[Value], Tag("list")] | Annotated[Range, Tag("Range")],
    Discriminator(lambda axis: "Range" if isinstance(axis, (dict, Range)) else "list"),
]
Direction = Literal["maximize", "minimize"]


class Search(Part):
    """What Optuna may choose and what it is to improve."""

    space: Annotated[dict[str, Axis], Field(min_length=1)]
    objectives: Annotated[dict[str, Direction], Field(min_length=1)]
    trials: Annotated[StrictInt, Field(ge=1, le=LARGEST)]
    sampler: Literal["tpe", "random", "grid", "nsga2", "gp"] = "tpe"
    pruner: Literal["none", "median", "hyperband"] = "none"
    warmup: Annotated[StrictInt, Field(ge=0, le=LARGEST)] = 5
    seed: Annotated[StrictInt, Field(ge=0, lt=2**31)] = 0
    storage: str | None = None


class Plan(Part):
    """A sweep: fields of the spec that all cells share, and what varies.

    Attributes:
        name: the parent run's name and the lock's; default the file's name.
        base: fields of the spec, `arch`, `protocol`.
        axes: a cell for each combination.
        cells: further cells, each stating its difference from the base.
        exclude: cells to leave out: those that have all the values of a row.
        search: instead of axes and cells: a search with Optuna.
        text: the file as it was read.
    """

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    base: dict[str, Value] = Field(default={})
    axes: dict[str, Axis] = Field(default={})
    cells: list[dict[str, Value]] = Field(default=[])
    exclude: list[dict[str, Value | list[Value]]] = Field(default=[])
    search: Search | None = None
    text: str = ""


def read_plan(path: Path) -> Plan:
    """Read a plan and check all of it that can be checked without the data.

    Raises:
        UserError: no such file, no YAML, an unknown key or field, a value that does not fit; one
            line that names the file.
    """
    text, content = read_yaml(path)
    try:
        return _checked(content, path, text)
    except UserError as error:
        raise UserError(one_line(f"{path}: {error}")) from error


def count_cells(plan: Plan) -> int:
    """Return how many cells a grid has before exclusions, by arithmetic: nothing is built."""
    grid = math.prod(map(count_values, plan.axes.values())) if plan.axes else 0
    return grid + len(plan.cells) or 1


def count_values(axis: Axis) -> int:
    """Return how many values an axis has."""
    return axis.count if isinstance(axis, Range) else len(axis)


def expand(plan: Plan) -> Iterator[tuple[Options, RunSpec]]:
    """Yield the options and the spec of each cell of a grid, in the plan's order, each once.

    Raises:
        UserError: a cell's spec is not valid, or an exclusion leaves nothing out.
    """
    axes = {name: list(_values(axis)) for name, axis in plan.axes.items()}
    grid = (dict(zip(axes, row, strict=True)) for row in itertools.product(*axes.values()))
    rows: list[Options] = [*(grid if axes else []), *plan.cells]
    rows = rows or [{}]
    seen: set[RunSpec] = set()
    used = [False] * len(plan.exclude)
    for row in rows:
        options = {**plan.base, **row}
        try:
            spec = make_spec(options)
        except UserError as error:
            named = ", ".join(f"{key}={value}" for key, value in row.items()) or "base"
            raise UserError(f"cell {named}: {error}") from error
        have = _told_of(spec) if plan.exclude else {}
        matches = [_matches(have, exclusion) for exclusion in plan.exclude]
        used = [one or two for one, two in zip(used, matches, strict=True)]
        if not any(matches) and spec not in seen:
            seen.add(spec)
            yield options, spec
    for exclusion, hit in zip(plan.exclude, used, strict=True):
        if not hit:
            raise UserError(f"`exclude` must name cells of the plan: {exclusion} is none of them")


def _values(axis: Axis) -> Sequence[Value]:
    return axis.values() if isinstance(axis, Range) else axis


def _told_of(spec: RunSpec) -> dict[str, Value]:
    return {"arch": arch_name(spec), "protocol": protocol_name(spec), **spec.flat()}


def _matches(have: Mapping[str, Value], exclusion: Mapping[str, Value | list[Value]]) -> bool:
    for name, wanted in exclusion.items():
        several = wanted if isinstance(wanted, list) else [wanted]
        parsed = [one if field_info(name) is None else parse_value(name, one) for one in several]
        if have.get(name) not in parsed:
            return False
    return True


def _checked(content: object, path: Path, text: str) -> Plan:
    if not isinstance(content, dict):
        raise UserError(
            f"the plan must be a mapping with {', '.join(_keys(Plan))}: got {short_repr(content)}"
        )
    try:
        plan = Plan.model_validate({"name": path.stem, **content, "text": text})
    except ValidationError as error:
        raise UserError(_one_line(error)) from error
    if len(plan.name.encode()) > LONGEST_NAME:
        raise UserError(f"`name` must have at most {LONGEST_NAME} bytes: got {plan.name!r}")
    _check_names(plan)
    if plan.search is None:
        if len(list(itertools.islice(expand(plan), 2))) == 0:
            raise UserError("the plan must have at least one cell: all are excluded")
        return plan
    if plan.axes or plan.cells or plan.exclude:
        raise UserError("`search` chooses the cells: leave axes, cells and exclude out")
    _check_search(plan.search)
    make_spec(plan.base)
    return plan


def _check_names(plan: Plan) -> None:
    groups: dict[str, Mapping[str, Any]] = {"base": plan.base, "axes": plan.axes}
    groups |= {f"cells[{number}]": row for number, row in enumerate(plan.cells)}
    groups |= {f"exclude[{number}]": row for number, row in enumerate(plan.exclude)}
    groups |= {"search.space": plan.search.space} if plan.search else {}
    for group, row in groups.items():
        for name, axis in row.items():
            if name not in ("arch", "protocol") and field_info(name) is None:
                hint = nearest(name, [*field_names(), "arch", "protocol"])
                raise UserError(f"unknown field `{name}` in {group}: {hint}")
            if isinstance(axis, list) and not axis:
                raise UserError(f"`{group}.{name}` must have at least one value: got []")
            if isinstance(axis, Range):
                _check_range(f"{group}.{name}", name, axis, searched=group == "search.space")
    _check_count("a plan", count_cells(plan), plan.axes)


def _check_count(what: str, count: int, axes: Mapping[str, Axis]) -> None:
    if count > LARGEST:
        sizes = " x ".join(f"{name} {count_values(axis):,}" for name, axis in axes.items())
        raise UserError(
            f"{what} must have at most {LARGEST:,} cells: got {count:,}"
            f"{f' ({sizes})' if sizes else ''}; use fewer values"
        )


def _check_range(where: str, name: str, axis: Range, searched: bool) -> None:
    info = field_info(name)
    if info is None or info.kind is str:
        raise UserError(f"`{where}` must be a list of names: got a range")
    if axis.count < 1:
        step = 1 if axis.step is None else axis.step
        raise UserError(f"`{where}` must go up: got from {axis.start} to {axis.to}, step {step}")
    if info.kind is int and isinstance(axis.step, float):
        raise UserError(f"`{where}` must have a whole step: got {axis.step}")
    if not searched and (axis.log or (axis.step is None and info.kind is float)):
        raise UserError(f"`{where}` must have a step, and no log, outside a search")
    if axis.log and (axis.step is not None or axis.start <= 0):
        raise UserError(f"`{where}` with log must begin above 0 and have no step")
    for value in (axis.start, axis.to):
        parse_value(name, value)


def _check_search(search: Search) -> None:
    for name in search.objectives:
        check_objective(name)
    if search.pruner != "none":
        if len(search.objectives) > 1:
            raise UserError(
                f"`pruner` needs one objective: got {len(search.objectives)}; use pruner: none"
            )
        name = next(iter(search.objectives))
        if name not in EPOCH_OBJECTIVES:
            raise UserError(
                f"`pruner` needs an objective known after each epoch: got {name}; "
                f"{', '.join(EPOCH_OBJECTIVES)} are"
            )
    if search.sampler == "grid":
        for name, axis in search.space.items():
            if isinstance(axis, Range) and (axis.log or axis.step is None):
                raise UserError(f"`search.space.{name}` must have a step for sampler: grid")
        _check_count(
            "sampler: grid", math.prod(map(count_values, search.space.values())), search.space
        )


def _keys(part: type[BaseModel]) -> list[str]:
    fields = part.model_fields.items()
    return [field.alias or name for name, field in fields if name != "text"]


def _one_line(error: ValidationError) -> str:
    telling = ("extra_forbidden", "finite_number")
    first = min(error.errors(), key=lambda one: one["type"] not in telling)
    kinds = ("int", "float", "str", "list", "Range")
    where = [str(one) for one in first["loc"] if one not in kinds]
    where = [one for one in where if not one.startswith(("list[", "function-"))]
    name = ".".join(where)
    if first["type"] == "extra_forbidden":
        part: type[BaseModel] = Plan
        if len(where) > 1:
            part = Search if where[0] == "search" and "space" not in where else Range
        return f"unknown key `{name}`: {nearest(where[-1], _keys(part))}"
    if first["type"] == "missing":
        return f"`{name}` is missing"
    rule = first["msg"].replace("Input should be", "must be").replace("'", "")
    if first["type"] == "string_pattern_mismatch":
        rule = "must be of letters, digits, `_`, `.` and `-` (default: the file's name)"
    elif first["type"].endswith("_type") and first["loc"][-1] in kinds[:3]:
        rule = "must be a number or a text"
    return f"`{name}` {rule.removeprefix('Value error, ')}: got {short_repr(first['input'])}"
