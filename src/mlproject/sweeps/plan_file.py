"""Read a plan's file and check everything that can be checked without the data."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mlproject.architectures import make_spec
from mlproject.names import Metric
from mlproject.parameters import field_info, field_names, kind_of, parse_value
from mlproject.sweeps.plan import (
    EPOCH_OBJECTIVES,
    Axis,
    Plan,
    Search,
    count_cells,
    count_values,
    expand,
)
from mlproject.sweeps.ranges import LARGEST, Range
from mlproject.system.errors import SHOWN, UserError, nearest, short_repr
from mlproject.system.yaml_file import one_line, read_yaml

PLANS = Path(__file__).resolve().parents[3] / "sweeps"  # those of a checkout
LONGEST_NAME = 200  # bytes: it is part of file names
FILTER_OBJECTIVES = ("match_jaspar", "match_relevant", "coverage", "dead")


def find_plan(path: Path) -> Path:
    """Return the file of a plan: `path`, else the plan of this project with that name.

    So ``sweeps/table1.yaml``, ``table1.yaml`` and ``table1`` work in any folder.
    """
    name = path.name if path.suffix else f"{path.name}.yaml"
    own = PLANS / name
    nearby = path.parent.name in ("", PLANS.name)
    return own if not path.exists() and nearby and own.is_file() else path


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        UserError: the file is missing or no YAML, a key or a field is unknown, or a value is not
            allowed; one line that names the file.
    """
    text, content = read_yaml(path)
    try:
        return _checked(content, path, text)
    except UserError as error:
        raise UserError(one_line(f"{path}: {error}")) from error


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
            if isinstance(axis, list) and group == "axes":
                value, count = Counter(map(repr, axis)).most_common(1)[0]
                if count > 1:
                    found = f"{value[:SHOWN]} {count} times"
                    raise UserError(f"`{group}.{name}` must have different values: got {found}")
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
    kind = str if name in ("arch", "protocol") else kind_of(name, *axis.given)
    if kind is str:
        raise UserError(f"`{where}` must be a list of names: got a range")
    if axis.count < 1:
        step = 1 if axis.step is None else axis.step
        raise UserError(f"`{where}` must go up: got from {axis.start} to {axis.to}, step {step}")
    if kind is int and isinstance(axis.step, float):
        raise UserError(f"`{where}` must have a whole step: got {axis.step}")
    if not searched and (axis.log or (axis.step is None and kind is float)):
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
    from mlproject.sweeps.samplers import SAMPLERS  # Optuna: only searches need it

    if search.sampler not in SAMPLERS:
        raise UserError(
            f"`search.sampler` must be one of {', '.join(SAMPLERS)}: "
            f"got {short_repr(search.sampler)}"
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
    preferred = ("extra_forbidden", "finite_number")
    first = min(error.errors(), key=lambda one: one["type"] not in preferred)
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


def check_objective(name: str) -> None:
    """Check that an objective is measured on training or validation data.

    Raises:
        UserError: the metric is one of the test split, or unknown.
    """
    layer, _, score = name.partition("/")
    if name.startswith("test_"):
        raise UserError(f"the test split is never an objective: got {name}; use val_auroc, …")
    if layer.startswith("conv") and score:
        raise UserError(
            f"the test split is never an objective: {name} is scanned over it; use val_{name}"
        )
    if re.fullmatch(r"val_conv[1-9][0-9]?", layer) and score in FILTER_OBJECTIVES:
        return
    allowed = [*EPOCH_OBJECTIVES, Metric.TIME_TRAIN]
    if name not in allowed:
        filters = [f"val_conv1/{one}" for one in FILTER_OBJECTIVES]
        raise UserError(f"unknown objective `{name}`: {nearest(name, [*allowed, *filters])}")
